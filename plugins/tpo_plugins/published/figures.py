"""Answer which published figures stand beside those of a benchmark."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from tpo_core.errors import InputError
from tpo_core.evaluation.benchmark import Published
from tpo_plugins.published.schema import Paper, Row, Table, Use

TPO_PAPER: Final = Path(__file__).with_name("tpo_paper.yaml")
TPO_MODEL: Final = "VideoChat-TPO"
"""What the paper calls its model."""


@cache
def load_paper(path: Path = TPO_PAPER) -> Paper:
    """Read a file of published tables.

    Args:
        path: The file; the paper of Task Preference Optimization if omitted.

    Raises:
        InputError: If it cannot be read or holds something else.
    """
    try:
        return Paper.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a file of tables") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path} holds no published tables: {error}") from error


def published_figures(benchmark: str) -> tuple[Published, ...]:
    """Return what the paper of Task Preference Optimization gives for a benchmark.

    A row that gives what an earlier one of the same model has given is left out.

    Args:
        benchmark: A registered name.

    Returns:
        A row for each model and setting, in the order printed; none if the paper has no figure.
    """
    paper = load_paper()
    found: list[Published] = []
    for use in paper.benchmarks.get(benchmark, ()):
        for one in _rows(paper, use):
            given = [each.metrics.items() for each in found if each.model == one.model]
            if not any(one.metrics.items() <= each for each in given):
                found.append(one)
    return tuple(found)


def published_by_kind(benchmark: str) -> Mapping[str, Mapping[str, float]]:
    """Return the figures of the paper's model by kind of question, where the paper gives them.

    Args:
        benchmark: A registered name.

    Returns:
        By the benchmark's figure, then by kind, in [0, 1].
    """
    paper = load_paper()
    return {
        use.of_kinds: table.figures(row, use.kinds)
        for use in paper.benchmarks.get(benchmark, ())
        if use.of_kinds
        for table in (paper.table(use.table),)
        for row in table.rows
        if row.model == TPO_MODEL
    }


def _rows(paper: Paper, use: Use) -> Iterator[Published]:
    """Yield the rows of a table; those that versions of the paper give alike once."""
    table = paper.table(use.table)
    alike: dict[tuple[str, tuple[tuple[str, float], ...]], list[Row]] = {}
    for row in table.rows:
        figures = tuple(table.figures(row, use.columns).items())
        alike.setdefault((row.model, figures), []).append(row)
    for (_, figures), rows in alike.items():
        if figures:
            yield Published(
                model=_name(rows[0], table),
                metrics=dict(figures),
                source=_source(
                    paper, table, {name for row in rows for name in row.sources or table.sources}
                ),
                note="; ".join(_notes(rows[0], table, use)),
            )


def _name(row: Row, table: Table) -> str:
    if table.variants_of in ("", row.model):
        return row.model
    return f"{table.variants_of}, {row.model}"


def _source(paper: Paper, table: Table, sources: Collection[str]) -> str:
    """Cite the paper, and the version where not all of them have the row."""
    cited = paper.paper
    if len(sources) < len(paper.sources):
        cited = ", ".join(paper.sources[name].cite for name in sorted(sources))
    return f"{cited}, Table {table.number}"


def _notes(row: Row, table: Table, use: Use) -> Iterator[str]:
    setting = use.settings.get(row.model) or row.setting or table.setting or use.setting
    frames = f"{row.frames} frames" if row.frames else ""
    inferred = f"reconstructed: {table.reconstructed}" if table.reconstructed else ""
    yield from filter(None, (setting, row.size, frames, row.note, use.note, inferred))
