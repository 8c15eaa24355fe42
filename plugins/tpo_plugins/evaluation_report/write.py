"""Put a report together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import InputError, UnknownName
from tpo_core.evaluation import Prediction
from tpo_core.files import cannot_write, replace_file, writable_folder
from tpo_core.registry import get_benchmark
from tpo_plugins.evaluation_report.charts import colour_of, draw_curves, draw_kinds
from tpo_plugins.evaluation_report.choose import RIGHT_FROM, Chosen, choose_samples
from tpo_plugins.evaluation_report.pictures import draw_prediction
from tpo_plugins.evaluation_report.results import Evaluated, read_results
from tpo_plugins.evaluation_report.strip import GIVEN
from tpo_plugins.evaluation_report.tables import (
    figures_table,
    kinds_table,
    published_beside,
    what_differs,
)
from tpo_plugins.published import published_by_kind
from tpo_plugins.published.figures import TPO_MODEL
from tpo_plugins.report import style

SAMPLES: Final = 3
"""How many right, wrong and unscored samples of a result are shown."""


def write_evaluation_report(
    folders: Sequence[str | Path], output: str | Path, *, samples: int = SAMPLES, seed: int = 0
) -> Path:
    """Write one HTML file about results; it needs no other file.

    Args:
        folders: Folders that `tpo eval --out` wrote, of any models and benchmarks.
        output: The file to write; whole or absent.
        samples: How many right, wrong and unscored samples of each result to show.
        seed: Says which samples.

    Returns:
        The file.

    Raises:
        InputError: A folder holds no result or a broken one, or the file cannot be written.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    if samples < 0:
        raise InputError(f"samples is {samples}; expected 0 or more")
    path = Path(output)
    by_benchmark = read_results([Path(folder) for folder in folders])
    writable_folder(path.parent)
    loaders = [
        PackageLoader(f"tpo_plugins.{name}", ".") for name in ("evaluation_report", "report")
    ]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("evaluation.html.j2").render(
        benchmarks=[
            _benchmark(name, results, samples=samples, seed=seed)
            for name, results in by_benchmark.items()
        ],
        colours={
            "predicted": style.PREDICTED,
            "true": style.TRUE,
            "given": GIVEN,
            "ground": style.GROUND,
        },
        right_from=RIGHT_FROM,
        seed=seed,
    )
    try:
        replace_file(path, [html])
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _benchmark(
    name: str, results: Sequence[Evaluated], *, samples: int, seed: int
) -> dict[str, Any]:
    published, unknown = published_beside(name)
    columns, rows = figures_table(results, published)
    curves, by_kind = draw_curves(results), published_by_kind(name)
    return {
        "name": name,
        "summary": _summary(name),
        "columns": columns,
        "rows": rows,
        "has_intervals": any(cell.interval for row in rows for cell in row.cells),
        "notes": [*filter(None, (unknown,)), *what_differs(results), *_notes(results)],
        "labels": [(one.label, colour_of(number)) for number, one in enumerate(results)],
        "curves": None if curves is None else style.data_uri(curves),
        "kinds_charts": [style.data_uri(figure) for figure in draw_kinds(results, by_kind)],
        "marked": TPO_MODEL if by_kind else "",
        "kinds": kinds_table(results),
        "results": [_result(one, samples=samples, seed=seed) for one in results],
    }


def _summary(name: str) -> str:
    try:
        return get_benchmark(name).summary
    except UnknownName:
        return ""


def _notes(results: Sequence[Evaluated]) -> Iterator[str]:
    for one in results:
        yield from (f"{one.label}: {note}" for note in one.result.notes)


def _result(one: Evaluated, *, samples: int, seed: int) -> dict[str, Any]:
    result = one.result
    chosen = choose_samples(
        result.predictions, metrics=tuple(result.metrics), each=samples, seed=seed
    )
    return {
        "label": one.label,
        "folder": str(one.folder),
        "counts": result.counts,
        "protocol": result.protocol,
        "model": result.model,
        "versions": result.versions,
        "data": result.data,
        "samples": [_sample(each) for each in chosen],
    }


def _sample(chosen: Chosen) -> Mapping[str, Any]:
    one = chosen.prediction
    picture, reason = draw_prediction(one)
    scored = f"{chosen.metric} {chosen.value:.2f}" if chosen.metric else ""
    return {
        "question": one.question.replace("<region>", "the yellow box"),
        "answer": _said(one),
        "truth": one.truth if isinstance(one.truth, str) else "",
        "verdict": chosen.verdict,
        "score": scored,
        "kind": one.kind,
        "id": one.id,
        "reasons": [reason for reason in (one.reason, reason) if reason],
        "picture": picture,
    }


def _said(prediction: Prediction) -> str | None:
    """Return the answer's text or, of a file of predictions, the texts among its fields."""
    texts = [each for each in (prediction.predicted or {}).values() if isinstance(each, str)]
    return prediction.answer if prediction.answer is not None or not texts else ", ".join(texts)
