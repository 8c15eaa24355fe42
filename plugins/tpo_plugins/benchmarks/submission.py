"""Files for a benchmark's server: whole or absent, and of that benchmark's questions alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tpo_core.errors import InputError
from tpo_core.files import whole_file

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction


def predicted_by_id(
    predictions: Sequence[Prediction], ids: Collection[str], *, name: str
) -> dict[str, Mapping[str, Any]]:
    """Return the fields of what was predicted, to be written for a server.

    Args:
        predictions: Of any of the questions.
        ids: Of every question.
        name: Names the benchmark in errors.

    Raises:
        InputError: If a prediction is for another question.
    """
    known = set(ids)
    strange = [one.id for one in predictions if one.id not in known]
    if strange:
        raise InputError(
            f"{len(strange)} of {len(predictions)} predictions are for no question of {name} in "
            f"this folder, such as {strange[0]!r}; export with the split and the data they were "
            "made for"
        )
    return {one.id: one.predicted for one in predictions if one.predicted is not None}


def write_submission(output: Path, lines: Iterable[str]) -> None:
    """Write lines of text.

    Args:
        output: The file; missing folders are made.
        lines: Without their ends.

    Raises:
        InputError: If the file cannot be written.
    """
    with _draft_of(output) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_zip(output: Path, files: Iterable[tuple[str, str | bytes]]) -> None:
    """Write files into a zip; the same files give the same bytes.

    Args:
        output: The zip; missing folders are made.
        files: The name and the content of each, taken one at a time.

    Raises:
        InputError: If it cannot be written.
    """
    with _draft_of(output) as draft, ZipFile(draft, "w") as archive:
        for name, content in files:
            archive.writestr(ZipInfo(name), content, compress_type=ZIP_DEFLATED)


@contextmanager
def _draft_of(output: Path) -> Iterator[Path]:
    try:
        with whole_file(output) as draft:
            yield draft
    except OSError as error:
        raise InputError(
            f"cannot write {output}: {error.strerror}; give a file in a folder that you may write "
            "to, on a disk with free space"
        ) from error
