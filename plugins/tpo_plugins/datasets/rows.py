"""Rows of annotation files in constant memory, each knowing where it stands.

`Rows` opens JSON lists, JSON objects and JSONL alike; see `tpo_plugins.datasets.text` for lines of
text and CSV.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tpo_core.errors import RecordError
from tpo_core.records.targets import record_error
from tpo_plugins.datasets.offsets import KEY, KEY_BYTES, Layout, row_file
from tpo_plugins.datasets.scan import Offsets


class Released(BaseModel):
    """Base of the models of rows as they are released; keys that are not declared are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of an annotation file and where it stands.

    Args:
        value: The JSON value, the text of the line, or the columns of a CSV row.
        path: The file.
        number: Its 1-based line, or its 1-based place in a JSON list or object.
        key: Its key in a JSON object, `[k]` in a JSON list, empty for a line.
    """

    value: Any
    path: Path
    number: int
    key: str = ""

    def error(self, reason: str, *, field: str | None = None) -> RecordError:
        """Return the error that this row cannot be used, naming file, line and key.

        Args:
            reason: What is wrong, in one sentence.
            field: Where in the row, dotted.
        """
        place = ".".join(part for part in (self.key, field) if part)
        return RecordError(reason, path=str(self.path), line=self.number, field=place or None)

    def parse(self, model: type[ModelT]) -> ModelT:
        """Validate the value.

        Args:
            model: How such a row is released.

        Raises:
            RecordError: If the row is not like that; names file, line, key and field.
        """
        with self.checking():
            return model.model_validate(self.value)

    @contextmanager
    def checking(self) -> Generator[None]:
        """Turn what pydantic refuses within the block into an error of this row.

        Raises:
            RecordError: If a model was not valid; names file, line, key and field.
        """
        try:
            yield
        except ValidationError as error:
            found = record_error(error)
            raise self.error(found.reason, field=found.field) from error


class Rows:
    """The rows of a JSON list, a JSON object or a JSONL file, one at a time or by number.

    Which it is follows from the file: `.jsonl` holds lines, any other a list or an object. Going
    through the rows begins at once; `len` and `[]` need an index, built on first use and kept.

    Args:
        path: The file.
        under: The top-level key whose value holds the rows, such as `database`; empty for the file
            as a whole.

    Raises:
        InputError: If the file cannot be read, is empty, or holds no rows of this kind.
    """

    def __init__(self, path: Path, *, under: str = "") -> None:
        self.path = path
        self._file = row_file(path, under=under)
        self._skip = 0 if self._file.layout is Layout.LINES else 1

    @cached_property
    def _bounds(self) -> Offsets:
        return self._file.index()

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> Row:
        """Read one row.

        Raises:
            IndexError: If there is no such row.
            RecordError: If it is malformed.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)} in {self.path}")
        start, end = self._bounds[index : index + 2].tolist()
        # Opened anew each time, so that worker processes share no file position.
        with self.path.open("rb") as file:
            file.seek(start)
            return self._row(index, file.read(end - start))

    def __iter__(self) -> Iterator[Row | RecordError]:
        """Yield every row in order, from the first at once, and in place of a bad one its error."""
        index, last = 0, self._file.start
        with self.path.open("rb", buffering=1 << 20) as file:
            file.seek(last)
            for part in self._file.kept_bounds():
                for bound in part.tolist():
                    if bound == last and not index:
                        continue  # where the first row begins
                    text = file.read(bound - last)
                    last = bound
                    try:
                        yield self._row(index, text)
                    except RecordError as error:
                        yield error
                    index += 1

    def numbers(self) -> dict[str, int]:
        """Return each key of a JSON object with the number of its row, to be read with `[]`."""
        found: dict[str, int] = {}
        with self.path.open("rb") as file:
            for index, bound in enumerate(self._bounds[:-1].tolist()):
                file.seek(bound + 1)
                if match := KEY.match(file.read(KEY_BYTES)):
                    found[json.loads(match[1])] = index
        return found

    def _row(self, index: int, text: bytes) -> Row:
        layout = self._file.layout
        key = f"[{index}]" if layout is Layout.LIST else ""
        place = Row(value=None, path=self.path, number=index + 1, key=key)
        body = text[self._skip :]
        value = _decoded(b"{%b}" % body if layout is Layout.OBJECT else body, place)
        if layout is Layout.OBJECT:
            ((key, value),) = value.items()
        return Row(value=value, path=self.path, number=index + 1, key=key)


def _decoded(text: bytes, place: Row) -> Any:
    if not text.strip():
        raise place.error("the row is empty; expected a JSON value, or remove it")
    try:
        return json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise place.error(
            f"the row is not UTF-8 (byte {text[error.start]:#04x}); convert the file to UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise place.error(
            f"the row is not JSON: {error.msg} at character {error.pos + 1}; get the file again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise place.error(f"the row cannot be read as JSON: {error}") from error
