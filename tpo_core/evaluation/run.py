"""Ask a model a benchmark's questions and score the answers."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tpo_core.errors import InputError
from tpo_core.evaluation.asking import answer_cases
from tpo_core.evaluation.benchmark import Benchmark
from tpo_core.evaluation.described import described_model, described_run
from tpo_core.evaluation.journal import Journal
from tpo_core.evaluation.named import data_folder, open_benchmark
from tpo_core.evaluation.processes import Processes, joined
from tpo_core.evaluation.progress import Progress, progress_bar
from tpo_core.evaluation.result import EvaluationResult, Prediction
from tpo_core.evaluation.work import Work
from tpo_core.files import held

if TYPE_CHECKING:
    from tpo_core.model import TpoModel

BATCH_SIZE: Final = 8


def evaluate(
    benchmark: str | Benchmark,
    model: TpoModel,
    *,
    data: str | Path,
    limit: int | None = None,
    progress: bool | Progress = True,
    output: str | Path | None = None,
    batch_size: int = BATCH_SIZE,
    resume: bool = False,
    overwrite: bool = False,
) -> EvaluationResult:
    """Evaluate a model.

    The model must emit task tokens by itself. A thing that was to be predicted and is not in the
    answer counts as missing, whether the model did not emit it, failed, has no head for the task,
    or the media could not be read; that scores 0 unless the benchmark's official rule says
    otherwise. Only `batch_size` media are held at a time.

    With `output`, what is answered is on disk at once, and a run that was cut off goes on with
    `resume`; its result is that of a run that was not.

    Launched by torchrun or `accelerate launch`, the processes share the media, and each must call
    this; the result is a single process's. The number of processes may change between runs.

    Args:
        benchmark: A registered name, or a benchmark.
        model: The model; its mode is restored afterwards.
        data: The folder that holds the benchmark's files.
        limit: How many media to look at, from the first; all if None.
        progress: Whether to show a bar, or what to call with (done, total) media.
        output: A folder to write answers and the result to; on a disk that all processes share.
        batch_size: How many media's questions to answer at once; changes speed and memory alone.
        resume: Go on with the run that `output` holds, or read its result again if it is finished;
            begin if it holds none.
        overwrite: Replace the run that `output` holds.

    Returns:
        Figures, counts and predictions; of several processes the main one alone has predictions.

    Raises:
        UnknownName: The benchmark is not registered.
        PluginError: The benchmark is broken.
        InputError: The data folder is missing or holds no record that can be used, an option
            cannot be used, or `output` cannot be written, holds another run, or is being written
            by another process.
        TpoError: Another process that shared the work has ended.
    """
    for name, value in (("limit", limit), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    if output is None and (resume or overwrite):
        raise InputError("resume and overwrite are about an output folder; give output")
    if resume and overwrite:
        raise InputError("resume goes on with a run, overwrite removes it; choose one")
    bench = open_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    folder = data_folder(data, bench)
    started = time.perf_counter()
    with joined() as processes, ExitStack() as stack:
        run = described_run(bench, model=described_model(model), data=folder, limit=limit)
        journal = None if output is None else Journal(output, run)
        earlier: dict[str, Prediction] = {}
        claim = partial(_claim, journal, earlier, stack, resume=resume, overwrite=overwrite)
        answered = processes.from_main(claim)
        if journal is not None and answered is None:
            return _to_all(processes, partial(EvaluationResult.read, journal.folder))
        work = Work(bench, folder, limit=limit, answered=answered or (), processes=processes)
        _answer(work, model, journal, batch_size=batch_size, progress=progress)
        every = processes.to_main(work.predictions)

        def finish() -> EvaluationResult:
            tally = work.tally(ChainMap(*every, earlier))
            result = tally.result(run=run, seconds=time.perf_counter() - started)
            if journal is not None:
                journal.finish(result)
            return result

        return _to_all(processes, finish)


def _claim(
    journal: Journal | None,
    earlier: dict[str, Prediction],
    stack: ExitStack,
    *,
    resume: bool,
    overwrite: bool,
) -> set[str] | None:
    """Take the folder; return which questions are answered, or None if all is finished."""
    found: dict[str, Prediction] | None = {}
    if journal is not None:
        stack.enter_context(held(journal.folder))
        found = journal.open(resume=resume, overwrite=overwrite)
    if found is None:
        return None
    earlier.update(found)
    return set(found)


def _answer(
    work: Work,
    model: TpoModel,
    journal: Journal | None,
    *,
    batch_size: int,
    progress: bool | Progress,
) -> None:
    """Do this process's share; what is answered goes to the folder at once, if there is one."""
    ranks = work.processes
    shown = progress if ranks.is_main else False
    total = work.size if shown else 0  # which goes through the data once more
    with progress_bar(shown, total=total, what=work.benchmark.name) as show:
        for cases in work.share(batch_size):
            for predictions in answer_cases(work.benchmark, model, cases):
                work.keep(predictions)
                if journal is not None:
                    journal.append(predictions, rank=ranks.rank, processes=ranks.size)
            show(len(work.plan))


def _to_all(processes: Processes, make: Callable[[], EvaluationResult]) -> EvaluationResult:
    """Make the result in the main process; the others get it without predictions."""
    made: list[EvaluationResult] = []

    def work() -> EvaluationResult:
        made.append(make())
        return replace(made[0], predictions=())

    told = processes.from_main(work)
    return made[0] if made else told
