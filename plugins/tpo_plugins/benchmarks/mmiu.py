"""MMIU: 52 tasks about several pictures at once, all multiple choice.

Officially GPT-4o-mini maps an answer that is no single letter to an option. No other model is asked
here, so such an answer has no choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.metrics.choices import mmiu_choice, mmiu_correct
from tpo_plugins.benchmarks.choices import LEFT_OUT, WRONG, ChoiceBenchmark, ChoiceItem
from tpo_plugins.benchmarks.shown import PICTURES, Pictures
from tpo_plugins.benchmarks.tables import table_rows
from tpo_plugins.datasets.files import MediaFiles, find_file, locate
from tpo_plugins.datasets.rows import Released, Row

FILES: Final = ("all.jsonl", "all.json", "all.parquet")
QUESTION_FIRST: Final = frozenset(
    {
        "person_reid",
        "multiple_image_captioning",
        "spot_the_similarity",
        "face_retrieval",
        "sketch2image_retrieval",
        "handwritten_retrieval",
        "spot_the_diff",
        "image2image_retrieval",
        "vehicle_retrieval",
        "text2image_retrieval",
        "general_action_recognition",
        "video_captioning",
        "next_img_prediction",
        "temporal_ordering",
        "meme_vedio_understanding",
        "action_quality_assessment",
        "temporal_localization",
        "mevis",
        "ravens_progressive_matrices",
        "threed_indoor_recognition",
        "point_tracking",
        "threed_cad_recognition",
        "single_object_tracking",
    }
)
"""Tasks whose question stands before the context, which holds the options."""
PROMPT: Final = "{first}\n{then}\nPlease answer the option directly like A,B,C,D..."


class _MmiuRow(Released):
    task: str = Field(min_length=1)
    question: str
    context: str
    input_image_path: tuple[str, ...] = Field(min_length=1)
    output: str = Field(min_length=1)


class Mmiu(ChoiceBenchmark):
    """Accuracy of each task, and its mean over the tasks.

    `letter_found` in the details is the share of answers that are a letter.

    Args:
        strict: Count an answer that is no single letter as wrong; otherwise it is left out, as
            officially where the model that maps answers fails.
    """

    name = "mmiu"
    metrics = ("accuracy",)
    macro = frozenset({"accuracy"})
    found = "letter_found"

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.protocol: Mapping[str, Any] = self._pinned(
            pictures=PICTURES,
            prompt=PROMPT,
            order="the question, then the context with the options, for "
            f"{', '.join(sorted(QUESTION_FIRST))}; else the context first",
            answer="a single letter from a to n once '.', ',' and brackets at the ends are taken "
            "off, without regard to case; an empty answer is wrong",
            strict=strict,
            answer_that_is_no_letter=(WRONG if strict else LEFT_OUT)
            + "; officially GPT-4o-mini maps it to an option, which is not done here",
            accuracy="mean over tasks of the share of right ones among the answers that count "
            "(macro); tasks without one are left out",
            source="OpenGVLab/MMIU evaluate.py, evaluate_correct.py; VLMEvalKit/test_qwen3_vl.py "
            "(prompt)",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the table."""
        return table_rows(find_file(data, *FILES))

    def question(self, row: Row, files: MediaFiles) -> ChoiceItem:
        """Ask for the letter of an option."""
        released = row.parse(_MmiuRow)
        parts = [released.context, released.question]
        if released.task in QUESTION_FIRST:
            parts.reverse()
        paths = tuple(
            files.root / locate(files.root, path.removeprefix("./"), folders=("", "MMIU-Benchmark"))
            for path in released.input_image_path
        )
        return ChoiceItem(
            id=f"{released.task}/{row.number - 1}",
            kind=released.task,
            text=PROMPT.format(first=parts[0], then=parts[1]),
            truth=released.output.strip(),
            shown=Pictures(paths),
            figures=self.metrics,
        )

    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Compare the letter that stands alone."""
        choice = mmiu_choice(text)
        return None if choice is None else mmiu_correct(choice, item.truth)
