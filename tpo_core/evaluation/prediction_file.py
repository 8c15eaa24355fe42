"""Score a file of predictions: someone else's, or one that `evaluate` wrote."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import InputError
from tpo_core.evaluation.benchmark import Benchmark, Case, Item
from tpo_core.evaluation.described import described_run
from tpo_core.evaluation.journal import Journal, check_output
from tpo_core.evaluation.named import data_folder, open_benchmark
from tpo_core.evaluation.predictions import Expected, check_predictions
from tpo_core.evaluation.progress import Progress, progress_bar
from tpo_core.evaluation.result import EvaluationResult
from tpo_core.evaluation.scoring import Outcome, score_outcomes
from tpo_core.evaluation.tally import Tally, nothing_usable
from tpo_core.records.quarantine import BadSample

Row = Mapping[str, Any]

_OWN: Final = frozenset({"id", "kind", "status", "scores", "predicted"})
"""Fields by which a row that `evaluate` wrote is known; its prediction is in the last."""


def score_predictions(
    benchmark: str | Benchmark,
    predictions: str | Path,
    *,
    data: str | Path,
    limit: int | None = None,
    progress: bool | Progress = True,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> EvaluationResult:
    """Score a file of predictions as a model's would be; no media is opened.

    A question without a row counts as missing.

    Args:
        benchmark: A registered name, or a benchmark that reads such files.
        predictions: JSONL or a JSON list, a row a question, as `Benchmark.expected` says; or the
            `predictions.jsonl` that `evaluate` wrote; or a folder of files, where the benchmark
            reads such (`Benchmark.read_folder`).
        data: The folder that holds the benchmark's files.
        limit: How many media to score, from the first; all if None.
        progress: Whether to show a bar, or what to call with (done, total) media.
        output: A folder to write the result to.
        overwrite: Replace the run that `output` holds.

    Raises:
        UnknownName: The benchmark is not registered.
        PluginError: The benchmark is broken.
        InputError: The file cannot be read or scored, naming the first ten offenders; the
            benchmark reads no such files; the data folder is missing or holds no record that can
            be used; `limit` is below 1; or `output` cannot be written or holds another run.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; expected at least 1")
    started = time.perf_counter()
    path = Path(predictions)
    bench = open_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    folder = data_folder(data, bench)
    rows = list(bench.read_folder(path)) if path.is_dir() else read_rows(path)
    samples = list(bench.cases(folder))
    items = [item for one in samples if isinstance(one, Case) for item in one.items]
    if not items:
        bad = [one for one in samples if isinstance(one, BadSample)]
        raise InputError(nothing_usable(folder, bad))
    fields = _fields(bench, rows, items, source=str(path))
    run = described_run(bench, model=_described(path), data=folder, limit=limit)
    if output is not None:
        _refuse_own_folder(path, Path(output))
        check_output(Path(output), resume=False, overwrite=overwrite)
    tally = Tally(bench)
    shown = list(islice(samples, limit))
    with progress_bar(progress, total=len(shown), what=bench.name) as show:
        for sample in shown:
            if isinstance(sample, BadSample):
                tally.quarantine(sample)
            else:
                outcomes = [_outcome(fields.get(item.id), path) for item in sample.items]
                tally.add(score_outcomes(bench, sample, outcomes))
            show(tally.media)
    result = tally.result(run=run, seconds=time.perf_counter() - started)
    if output is not None:
        # Only now: predictions that cannot be scored leave no run behind.
        journal = Journal(output, run)
        journal.open(resume=False, overwrite=overwrite)
        journal.finish(result)
    return result


def read_rows(path: Path) -> list[Row]:
    """Read a JSON list, an object whose `results` are one, or JSON values one a line.

    Raises:
        InputError: If the file cannot be read, is empty, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the predictions {path}: {error}; expected a JSONL file or a JSON list"
        ) from error
    # Not `splitlines`, which also splits at rarer line ends that JSON texts may hold.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    rows: list[Row]
    if text.lstrip().startswith("["):
        rows = _parsed(text, str(path))
    elif (held := _submission(text)) is not None:
        rows = held
    else:
        rows = [_parsed(line, f"{path}:{number}") for number, line in lines]
    if not rows:
        raise InputError(f"{path} is empty; expected a prediction a line or a JSON list")
    if strange := [row for row in rows if not isinstance(row, dict)]:
        raise InputError(
            f"{path} holds {json.dumps(strange[0])[:60]} where a row should be; expected objects "
            "with an id and a prediction"
        )
    return rows


def _submission(text: str) -> list[Row] | None:
    """Return the rows of an object as challenges take it: without an id, its `results` a list."""
    try:
        whole = json.loads(text)
    except ValueError:
        return None
    if not isinstance(whole, dict) or "id" in whole or not isinstance(whole.get("results"), list):
        return None
    return list(whole["results"])


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{place} is not JSON ({error}); expected a JSON object a line, or one JSON list"
        ) from error


def _fields(
    benchmark: Benchmark,
    rows: Sequence[Row],
    items: Sequence[Item],
    *,
    source: str,
) -> dict[str, Row]:
    """Return the prediction for each question that has one, by its id, all checked."""
    expected = benchmark.expected(items)
    is_own = all(row.keys() >= _OWN for row in rows)
    if is_own:
        _refuse_other_questions(rows, {item.id for item in items}, benchmark, source=source)
        rows = [_without_frame(row, expected) for row in rows if row["predicted"] is not None]
        expected = replace(expected, complete=False)  # `evaluate` notes what is missing
    keys = {item.id: expected.keys.get(item.id, item.id) for item in items}
    found = check_predictions(
        rows, list(keys.values()), expected, source=source, suspect_units=not is_own
    )
    return {
        name: {field: row[field] for field in row.keys() - expected.id_fields}
        for name, key in keys.items()
        if (row := found.get(key)) is not None
    }


def _refuse_other_questions(
    rows: Sequence[Row], ids: Collection[str], benchmark: Benchmark, *, source: str
) -> None:
    if strange := [row["id"] for row in rows if row["id"] not in ids]:
        raise InputError(
            f"{source} answers {len(strange)} questions that {benchmark.name} does not ask of this "
            f"data, such as {strange[0]!r}; give the predictions of this benchmark"
        )


def _without_frame(row: Row, expected: Expected) -> Row:
    """Return a row of ours as others write theirs."""
    key: Hashable = expected.keys.get(row["id"], row["id"])
    parts = key if isinstance(key, tuple) else (key,)
    return {**row["predicted"], **dict(zip(expected.id_fields, parts, strict=True))}


def _outcome(fields: Row | None, path: Path) -> Outcome:
    if fields is None:
        return Outcome(status="missing", reason=f"{path.name} has no prediction for it")
    return Outcome(predicted=fields)


def _described(path: Path) -> dict[str, str]:
    """Return what is scored and a digest of it: of a folder, of the names and contents in it."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(it for it in path.rglob("*") if it.is_file()):
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    else:
        digest.update(path.read_bytes())
    return {"predictions": str(path.resolve()), "sha256": digest.hexdigest()}


def _refuse_own_folder(path: Path, output: Path) -> None:
    if path.resolve().parent == output.resolve():
        raise InputError(
            f"the result would replace {path}, which is scored; choose another folder with output "
            "(--out)"
        )
