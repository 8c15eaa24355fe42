"""SEED-Bench-2: four options about one picture (I) or several (M).

Officially the options are ranked by the language model's loss; here the model writes an answer,
whose first character counts, as in lmms-eval.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from tpo_core.errors import InputError, RecordError
from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.metrics.choices import seed_bench_choice
from tpo_plugins.benchmarks.choices import ChoiceBenchmark, ChoiceItem, lettered
from tpo_plugins.benchmarks.shown import PICTURES, Pictures
from tpo_plugins.datasets.files import MediaFiles, find_file, locate
from tpo_plugins.datasets.rows import Released, Row, Rows

DATA_TYPES: Final = ("Single Image", "Multiple Images", "Video", "Interleaved Image")
"""Those whose options are texts."""
GENERATION: Final = ("Image Generation", "Image & Text Generation")
"""Data types whose questions ask to make pictures."""
FOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cc3m": ("cc3m-image", "seed_bench_image", ""),
    "SEED-Bench v2": ("SEED-Bench-2-image", "seed_bench_image_v2", ""),
}
"""Where pictures of each source lie: as their archives or the official code call it."""
PROMPT: Final = "{question}\n{options}\nAnswer with the letter of the right option alone."
_MARK: Final = "<img>"


class _TypedRow(Released):
    data_type: str


class _SeedRow(_TypedRow):
    question_id: str = Field(min_length=1)
    question: str
    choice_a: str
    choice_b: str
    choice_c: str
    choice_d: str
    answer: Literal["A", "B", "C", "D"]
    data_id: str | tuple[str, ...]
    data_source: Literal["cc3m", "SEED-Bench v2"]
    question_type_id: int


class SeedBench2(ChoiceBenchmark):
    """Accuracy over the questions of subset I and of subset M.

    The details give it by data type (the kind of a question) and by dimension, numbered as
    released. What the paper of Task Preference Optimization means by I and M it does not say.

    Args:
        image: Data types of subset I.
        multiple: Data types of subset M.
    """

    name = "seed_bench2"
    metrics = ("accuracy_i", "accuracy_m")

    def __init__(
        self,
        *,
        image: Collection[str] = ("Single Image",),
        multiple: Collection[str] = ("Multiple Images",),
    ) -> None:
        self.subsets = {"accuracy_i": tuple(image), "accuracy_m": tuple(multiple)}
        for types in self.subsets.values():
            if not types or not set(types) <= set(DATA_TYPES):
                raise InputError(
                    f"data types are {', '.join(map(repr, types)) or 'none'}; expected one or more "
                    f"of {', '.join(DATA_TYPES)}"
                )
        self.protocol: Mapping[str, Any] = self._pinned(
            subsets={name: list(types) for name, types in self.subsets.items()},
            pictures=PICTURES,
            prompt=PROMPT,
            marks=f"the n-th {_MARK} in a question is written (picture n)",
            answer="the first character of the answer must be the letter, in upper case; an empty "
            "answer is wrong",
            differs="the official protocol (AILab-CVC/SEED-Bench SEED-Bench-2/eval.py) ranks the "
            "options by the language model's loss: its figures are not to be compared with these",
            accuracy="share of right answers over the questions of a subset (micro)",
            source="EvolvingLMMs-Lab/lmms-eval tasks/seedbench_2",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the questions."""
        path = find_file(data, "SEED-Bench_v2_level1_2_3.json")
        return iter(Rows(path, under="questions"))

    def question(self, row: Row, files: MediaFiles) -> ChoiceItem | None:
        """Ask for the letter of an option; None for data types of neither subset."""
        data_type = row.parse(_TypedRow).data_type
        if data_type not in (*DATA_TYPES, *GENERATION):
            raise row.error(
                f"{data_type!r} is no data type; expected one of "
                f"{', '.join((*DATA_TYPES, *GENERATION))}",
                field="data_type",
            )
        figures = [name for name, types in self.subsets.items() if data_type in types]
        if not figures:
            return None
        released = row.parse(_SeedRow)
        names = (released.data_id,) if isinstance(released.data_id, str) else released.data_id
        if not names:
            raise row.error("the question has no picture; get the file again", field="data_id")
        folders = FOLDERS[released.data_source]
        options = (released.choice_a, released.choice_b, released.choice_c, released.choice_d)
        return ChoiceItem(
            id=released.question_id,
            kind=released.data_type,
            text=PROMPT.format(question=_numbered(released.question), options=lettered(options)),
            truth=released.answer,
            shown=Pictures(
                tuple(files.root / locate(files.root, name, folders=folders) for name in names)
            ),
            figures=(*figures, f"dimension/{released.question_type_id}"),
        )

    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Compare the first character."""
        return bool(seed_bench_choice(text) == item.truth)


def _numbered(question: str) -> str:
    """Write which picture each mark stands for."""
    first, *rest = question.split(_MARK)
    return first + "".join(f"(picture {place}){text}" for place, text in enumerate(rest, start=1))
