"""Run by tests as a process of its own: evaluate `Repeat`, note what is asked, perhaps break.

The argument is a list of jobs in JSON, each with `name`, `output` (or null), `media`, and, to break
at a question, `kill_at` or `fail_at`. What comes of a job is appended to `<name>.<rank>` in the
folder of the second argument, what is asked to `<name>.asked`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from tests.core.evaluation.stand_ins import Echo, Repeat, case
from tpo_core.errors import TpoError
from tpo_core.evaluation import evaluate
from tpo_core.records.quarantine import BadSample

RANK = os.environ.get("RANK", "0")


class Noting(Echo):
    """Notes each question before it is answered; breaks at one, as asked for."""

    def __init__(self, notes, *, kill_at=None, fail_at=None):
        super().__init__()
        self.notes, self.kill_at, self.fail_at = notes, kill_at, fail_at

    def predict_batch(self, questions, **decoding):
        texts = [question.text for question in questions]
        with self.notes.open("a") as file:
            file.writelines(f"{RANK} {text}\n" for text in texts)
        if self.kill_at in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fail_at in texts:
            raise ZeroDivisionError("a bug")
        return super().predict_batch(questions, **decoding)


def benchmark(media):
    """Return a benchmark of so many media, some questions right, some wrong, some not answered."""
    words = ("x", "wrong", "silent")
    cases = [
        case(f"m{n}", *(f"{kind} {n} {words[n % 3]}" for kind in ("one", "two")[: 1 + n % 2]))
        for n in range(media)
    ]
    return Repeat([BadSample(path="x.jsonl", line=1, reason="torn"), *cases], macro={"accuracy"})


def run(job, folder):
    """Run a job and return what came of it."""
    name = job["name"]
    model = Noting(folder / f"{name}.asked", kill_at=job.get("kill_at"), fail_at=job.get("fail_at"))
    try:
        result = evaluate(
            benchmark(job["media"]),
            model,
            data=folder,
            output=job["output"],
            progress=False,
            batch_size=1,
            resume=job["output"] is not None,
        )
    except (TpoError, ZeroDivisionError) as error:
        return f"{type(error).__name__}: {error}"
    return json.dumps({"metrics": result.metrics, "predictions": len(result.predictions)})


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[2])
    for job in json.loads(sys.argv[1]):
        outcome = run(job, folder)
        (folder / f"{job['name']}.{RANK}").write_text(outcome)
        # A process that fails but lives on, as in a notebook: it waits for what the other says.
        deadline = time.monotonic() + 60
        while outcome.startswith("Zero") and not (folder / f"{job['name']}.0").exists():
            assert time.monotonic() < deadline, "the main process waits for ever"
            time.sleep(0.05)
    # torch's own threads now and then abort the interpreter's exit; nothing is left to do there.
    os._exit(0)


if __name__ == "__main__":
    main()
