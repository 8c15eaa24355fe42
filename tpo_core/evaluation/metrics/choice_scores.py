"""Average right and wrong answers to multiple-choice questions, as each benchmark does.

A verdict is True, False, or None for an answer in which no choice was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tpo_core.errors import InputError

Averaging = Literal["micro", "macro"]
Verdict = bool | None

AVERAGING: Final[Mapping[str, Averaging]] = {
    "mvbench": "micro",
    "video-mme": "micro",
    "mlvu": "macro",
    "mmiu": "macro",
    "seed-bench-2": "micro",
}
"""Over questions (micro), or over the figures of tasks (macro).

MLVU's macro average is its M-Avg. On MVBench both are the same, for its tasks are of one size.
"""

INTERNVL_MMIU_TASKS: Final = (
    "point_tracking",
    "ravens_progressive_matrices",
    "single_object_tracking",
    "threed_cad_recognition",
    "threed_indoor_recognition",
    "Egocentric_Video_QuestionAnswering",
    "Homography_estimation",
    "Icon_Question_Answering_with_Spatial_Context",
    "Image_Captioning_with_Spatial_Context",
    "Image_Spatial_Transformation_Estimation",
    "Image_text_retrieval_with_Spatial_Context",
    "Multiview_Action_Recognition",
    "Multiview_reasoning",
    "jigsaw_puzzle_solving",
    "threeD_Depth_Estimation",
    "threeD_Object_Detection",
    "threeD_Object_Tracking",
    "threeD_Pose_Estimation",
    "threeD_Scene_Reconstruction",
    "threeD_question_answering",
)
"""The tasks of MMIU that InternVL's macro average is over, of 52."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many questions were answered, and how many rightly."""

    correct: int
    answered: int

    @property
    def accuracy(self) -> float:
        """A fraction in [0, 1]; 0 if nothing was answered, as Video-MME prints it."""
        return self.correct / self.answered if self.answered else 0.0


@dataclass(frozen=True, slots=True)
class ChoiceScores:
    """What came of the answers.

    Args:
        average: The benchmark's figure, a fraction in [0, 1].
        overall: Counts over all questions.
        groups: Counts for each task, duration, domain or data type, in the order they come.
    """

    average: float
    overall: Count
    groups: Mapping[str, Count]


def choice_scores(
    verdicts: Iterable[tuple[str, Verdict]], *, averaging: Averaging, strict: bool = False
) -> ChoiceScores:
    """Average verdicts over questions or over groups.

    A question without a choice (None) leaves the denominator: on Video-MME where no letter was
    found, on MMIU where the model that maps answers failed. Saying nothing thus raises the score.

    Args:
        verdicts: Group and verdict of each question.
        averaging: See `AVERAGING`.
        strict: Count a question without a choice as wrong.

    Raises:
        InputError: If there is no question.
    """
    groups: dict[str, list[int]] = {}
    for name, verdict in verdicts:
        counts = groups.setdefault(name, [0, 0])
        counts[0] += verdict is True
        counts[1] += verdict is not None or strict
    if not groups:
        raise InputError("there is no answer to score; expected at least one")
    named = {name: Count(*counts) for name, counts in groups.items()}
    overall = Count(*(sum(column) for column in zip(*groups.values(), strict=True)))
    # A group without an answer has no figure to average.
    figures = [count.accuracy for count in named.values() if count.answered]
    macro = sum(figures) / len(figures) if figures else 0.0
    return ChoiceScores(overall.accuracy if averaging == "micro" else macro, overall, named)
