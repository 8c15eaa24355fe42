"""How fast a model answers on this machine: medians over runs on a synthetic video."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tpo_core.errors import InputError
from tpo_core.inference import Question, predict_batch
from tpo_core.model import TpoModel

QUESTION = "What happens in the video?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One row of `tpo bench`.

    Args:
        what: What was timed.
        median: Seconds.
        best: Seconds of the fastest run.
        worst: Seconds of the slowest run.
    """

    what: str
    median: float
    best: float
    worst: float


def bench(
    model: TpoModel,
    *,
    frames: int = 16,
    height: int = 336,
    width: int = 336,
    tokens: int = 20,
    questions: int = 4,
    runs: int = 5,
) -> list[Timing]:
    """Time answering questions about one video that is already in memory.

    Args:
        model: The model, on the device to measure.
        frames: Frames of the synthetic video, all of them looked at.
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.
        tokens: Longest answer.
        questions: How many questions share the video in the rows that ask several.
        runs: Counted runs of each row, after one that is not.

    Returns:
        A chat answer, several chat answers on one video, and an answer by each task.

    Raises:
        InputError: If a number is not positive.
    """
    for name, value in (("frames", frames), ("questions", questions), ("runs", runs)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(
        0, 256, (frames, 3, height, width), dtype=torch.uint8, generator=generator
    )

    def ask(count: int, task: str | None = None) -> Callable[[], object]:
        asked = [Question(video, QUESTION, task=task) for _ in range(count)]
        return lambda: predict_batch(model, asked, num_frames=frames, max_new_tokens=tokens)

    rows = [_timed(f"chat answer, up to {tokens} tokens", ask(1), model, runs)]
    rows.append(_timed(f"{questions} chat answers on one video", ask(questions), model, runs))
    rows += [_timed(f"answer by {task}", ask(1, task), model, runs) for task in model.head_by_task]
    return rows


def _timed(what: str, run: Callable[[], object], model: TpoModel, runs: int) -> Timing:
    seconds = []
    for number in range(runs + 1):
        _wait(model)
        start = time.perf_counter()
        run()
        _wait(model)
        if number:
            seconds.append(time.perf_counter() - start)
    return Timing(
        what=what, median=statistics.median(seconds), best=min(seconds), worst=max(seconds)
    )


def _wait(model: TpoModel) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
