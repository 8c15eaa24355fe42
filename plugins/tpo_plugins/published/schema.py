"""What a file of published tables holds; figures are in percent, as printed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Percent = Annotated[float, Field(ge=0, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where tables were read.

    Attributes:
        cite: What is cited.
        date: Of this version.
        seen: What of it was read, and where.
    """

    cite: str
    date: date
    seen: str


class Row(_Strict):
    """A row of a table.

    Attributes:
        model: As printed.
        values: A figure a column; None where there is none.
        size: Of the model.
        frames: How many it looks at.
        setting: Such as zero-shot.
        note: What a reader of its figures must know.
        sources: Where it was read, if not in all sources of its table.
    """

    model: str
    values: tuple[Percent | None, ...]
    size: str = ""
    frames: int | None = None
    setting: str = ""
    note: str = ""
    sources: tuple[str, ...] = ()


class Table(_Strict):
    """A table of a publication.

    Attributes:
        number: As printed.
        title: What it shows.
        columns: As printed, unique.
        sources: Where it was read.
        rows: In order.
        setting: Of all rows that give none.
        notes: What a reader must know.
        reconstructed: What of it was lost and inferred, and how; empty if nothing.
        variants_of: The model that all its rows are variants of; empty if they are not.
    """

    number: int
    title: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    rows: tuple[Row, ...]
    setting: str = ""
    notes: tuple[str, ...] = ()
    reconstructed: str = ""
    variants_of: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"table {self.number} has a column twice")
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(
                    f"table {self.number}: {row.model} has {len(row.values)} values; expected "
                    f"{len(self.columns)}, one a column"
                )
        return self

    def figures(self, row: Row, columns: Mapping[str, str]) -> dict[str, float]:
        """Return a row's figures in [0, 1] by the names that columns have for us; those there are.

        Args:
            row: One of this table.
            columns: Our names, and the columns they mean.
        """
        values = {name: row.values[self.columns.index(column)] for name, column in columns.items()}
        return {name: round(each / 100, 6) for name, each in values.items() if each is not None}


class Use(_Strict):
    """Which columns of a table are figures of a benchmark.

    Attributes:
        table: Its number.
        columns: The benchmark's names of its figures, and the columns they mean.
        setting: Of rows for which neither they, the table nor `settings` have one.
        settings: Of models on this benchmark.
        note: How the protocol differs, or what is not known of it.
        of_kinds: The figure that `kinds` are about; empty if the table has none by kind.
        kinds: Kinds of questions, and the columns that have that figure for one.
    """

    table: int
    columns: Mapping[str, str]
    of_kinds: str = ""
    kinds: Mapping[str, str] = {}
    setting: str = ""
    settings: Mapping[str, str] = {}
    note: str = ""


class Paper(_Strict):
    """A publication's tables.

    Attributes:
        title: Of the publication.
        paper: Where it is published.
        sources: Where tables were read, by a short name.
        missing: What no source showed.
        tables: As printed.
        benchmarks: By registered name, the tables that have figures of it, the main one first.
    """

    title: str
    paper: str
    sources: Mapping[str, Source]
    missing: tuple[str, ...]
    tables: tuple[Table, ...]
    benchmarks: Mapping[str, tuple[Use, ...]]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        named = {name for table in self.tables for name in table.sources}
        named |= {name for table in self.tables for row in table.rows for name in row.sources}
        if strange := sorted(named - set(self.sources)):
            raise ValueError(f"tables name sources {strange} that are not declared")
        columns = {table.number: table.columns for table in self.tables}
        if len(columns) < len(self.tables):
            raise ValueError("two tables have one number")
        for benchmark, uses in self.benchmarks.items():
            for use in uses:
                used = {*use.columns.values(), *use.kinds.values()}
                lost = sorted(used - set(columns.get(use.table, ())))
                if lost:
                    raise ValueError(
                        f"benchmark {benchmark}: table {use.table} has no columns {lost}"
                    )
        return self

    def table(self, number: int) -> Table:
        """Return a table.

        Raises:
            KeyError: If the publication has no such table here.
        """
        return {table.number: table for table in self.tables}[number]
