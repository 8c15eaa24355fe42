"""Ask a model a benchmark's questions and score the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo_core import registry
from tpo_core.errors import InputError, PluginError, TpoError
from tpo_core.evaluation.benchmark import Benchmark, Case, Item
from tpo_core.evaluation.progress import Progress, progress_bar
from tpo_core.evaluation.result import EvaluationResult, writable_folder
from tpo_core.evaluation.tally import Outcome, Tally
from tpo_core.records.quarantine import BadSample

if TYPE_CHECKING:
    from tpo_core.inference import Answer, Question
    from tpo_core.model import TpoModel


def evaluate(
    benchmark: str | Benchmark,
    model: TpoModel,
    *,
    data: str | Path,
    limit: int | None = None,
    progress: bool | Progress = True,
    output: str | Path | None = None,
    batch_size: int = 8,
) -> EvaluationResult:
    """Evaluate a model.

    The model must emit task tokens by itself. A thing that was to be predicted and is not in the
    answer scores 0, whether the model did not emit it, failed, or has no head for the task. Only
    `batch_size` media are held at a time.

    Args:
        benchmark: A registered name, or a benchmark.
        model: The model; its mode is restored afterwards.
        data: The folder that holds the benchmark's files.
        limit: How many media to look at, from the first; all if None.
        progress: Whether to show a bar, or what to call with (done, total) media.
        output: A folder to write the result to.
        batch_size: How many media's questions to answer at once; changes speed and memory alone.

    Returns:
        Figures, counts and predictions.

    Raises:
        UnknownName: The benchmark is not registered.
        PluginError: The benchmark is broken.
        InputError: The data folder is missing or holds no record that can be used, `limit` or
            `batch_size` is below 1, or `output` cannot be written.
    """
    for name, value in (("limit", limit), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    bench = _load(benchmark) if isinstance(benchmark, str) else benchmark
    bench.choose_frames = model.backbone.choose_frames
    folder = Path(data)
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise InputError(f"data folder {folder} {what}; give the folder of {bench.name}'s files")
    if output is not None:
        writable_folder(output)
    started = time.perf_counter()
    tally = Tally(bench, tasks=frozenset(model.head_by_task))
    total = min(bench.size(folder), limit or bench.size(folder))
    cases = islice(bench.cases(folder), limit)
    with progress_bar(progress, total=total, what=bench.name) as show:
        while chunk := list(islice(cases, batch_size)):
            for outcome in _answer_cases(model, tally, chunk):
                tally.add(outcome)
            show(tally.media)
    if not tally.predictions:
        raise InputError(_nothing_usable(folder, tally))
    result = tally.result(model, seconds=time.perf_counter() - started)
    if output is not None:
        result.write(output)
    return result


def _load(name: str) -> Benchmark:
    bench = registry.load_benchmark(name)()
    if not isinstance(bench, Benchmark):
        raise PluginError(
            f"benchmark {name!r} gives an object of type {type(bench).__name__}, expected a "
            "tpo_core.evaluation.Benchmark; correct the spec's target"
        )
    return bench


def _nothing_usable(folder: Path, tally: Tally) -> str:
    if tally.quarantined:
        return (
            f"none of the {tally.media} records in {folder} can be used; the first: "
            f"{tally.quarantined[0]}; run `tpo inspect` on the data"
        )
    return f"{folder} holds no question; expected records with a user and an assistant turn"


def _answer_cases(
    model: TpoModel, tally: Tally, chunk: Sequence[Case | BadSample]
) -> Iterator[Outcome]:
    """Answer the questions about some media together, and yield what came of each in order."""
    from tpo_core.inference import Question

    items: list[tuple[Case, Item]] = []
    for case in chunk:
        if isinstance(case, BadSample):
            tally.quarantine(case)
        else:
            tally.media += 1
            items += [(case, item) for item in case.items]
    asked = [
        Question(case.media, item.text, box=item.boxes or None)
        for case, item in items
        if not tally.lacking(item)
    ]
    answers = iter(_predict(model, asked, tally.benchmark.decoding))
    for case, item in items:
        if lacking := tally.lacking(item):
            yield Outcome(case, item, lacking=lacking)
            continue
        answer = next(answers)
        if isinstance(answer, TpoError):
            yield Outcome(case, item, error=str(answer))
        else:
            yield Outcome(case, item, answer=answer)


def _predict(
    model: TpoModel, questions: Sequence[Question], options: Mapping[str, Any]
) -> list[Answer | TpoError]:
    """Answer questions together; one by one if that fails, so that one error costs one answer."""
    if not questions:
        return []
    try:
        return list(model.predict_batch(questions, **options))
    except TpoError as error:
        if len(questions) == 1:
            return [error]
    return [answer for one in questions for answer in _predict(model, [one], options)]
