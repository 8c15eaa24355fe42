"""MVBench: twenty tasks about short videos, scored by the first word of the answer.

The prompt, the frames and the rule are those of `video_chat2/mvbench.ipynb` in
OpenGVLab/Ask-Anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from tpo_core.errors import MediaError
from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.metrics.choices import mvbench_answer, mvbench_correct
from tpo_core.evaluation.metrics.mvbench_frames import mvbench_frames
from tpo_core.media.open import open_media
from tpo_plugins.benchmarks.choices import WRONG, ChoiceItem
from tpo_plugins.benchmarks.paper import NUM_FRAMES
from tpo_plugins.benchmarks.task_files import PREFIX, TaskFilesBenchmark, TaskRow
from tpo_plugins.datasets.files import MediaFiles, locate
from tpo_plugins.datasets.rows import Row

if TYPE_CHECKING:
    from tpo_core.media.sampling import FrameChooser
    from tpo_core.media.types import Media

FOLDERS: Final[Mapping[str, str]] = {
    "action_sequence": "star/Charades_v1_480",
    "action_prediction": "star/Charades_v1_480",
    "action_antonym": "ssv2_video",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "unexpected_action": "FunQA_test/test",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "moving_direction": "clevrer/video_validation",
    "action_localization": "sta/sta_video",
    "scene_transition": "scene_qa/video",
    "action_count": "perception/videos",
    "moving_count": "clevrer/video_validation",
    "moving_attribute": "clevrer/video_validation",
    "state_change": "perception/videos",
    "fine_grained_pose": "nturgbd",
    "character_order": "perception/videos",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "counterfactual_inference": "clevrer/video_validation",
}
"""Where the videos of each task lie; two sources use the same names for unlike videos."""

BOUND: Final = frozenset(
    {
        "action_sequence",
        "action_prediction",
        "object_interaction",
        "action_localization",
        "episodic_reasoning",
    }
)
"""Tasks about a part of the video, from `start` to `end`."""

FOLDER_FPS: Final = 3.0
"""Frames a second of videos that are folders of pictures."""

INSTRUCTION: Final = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail "
    "and movement of objects, and the action and pose of persons. Based on your observations, "
    "select the best option that accurately addresses the question.\n"
)
PROMPT: Final = INSTRUCTION + "{question}\nOnly give the best option."


class _BoundRow(TaskRow):
    start: float = Field(allow_inf_nan=False)
    end: float = Field(allow_inf_nan=False)


class Mvbench(TaskFilesBenchmark):
    """Accuracy over all questions, and of each task.

    Args:
        strict: Count an answer that does not hold the letter as wrong; by the official rule an
            empty answer is right.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "mvbench"
    metrics = ("accuracy",)
    tasks = tuple(FOLDERS)
    prompt = PROMPT

    def __init__(self, *, strict: bool = False, num_frames: int = NUM_FRAMES) -> None:
        self.strict, self.num_frames = strict, num_frames
        self.protocol: Mapping[str, Any] = self._pinned(
            tasks=list(FOLDERS),
            num_frames=num_frames,
            frame_sampling="the official indices: middles of equal parts, from start to end for "
            f"{', '.join(sorted(BOUND))}; frames a second of a file are its frames / its duration, "
            f"of a folder of frames {FOLDER_FPS:g}",
            prompt=PROMPT,
            answer_begins=PREFIX,
            question="question and options as the notebook writes them; the instruction stands in "
            "the user's turn, there also before the video",
            strict=strict,
            empty_answer=WRONG if strict else "right, as any part of '(x)' is",
            accuracy="share of right answers over all questions (micro)",
            source="OpenGVLab/Ask-Anything video_chat2/mvbench.ipynb (get_index, qa_template, "
            "infer_mvbench, check_ans)",
        )

    def question(self, row: Row, files: MediaFiles) -> ChoiceItem:
        """Ask for the best option."""
        task = row.path.stem
        released = row.parse(_BoundRow if task in BOUND else TaskRow)
        bound = (released.start, released.end) if isinstance(released, _BoundRow) else None
        place = f"{FOLDERS[task]}/{released.video}"
        path = files.root / locate(files.root, place, folders=("video", "videos", ""))
        return self._item(
            row, released, kind=task, shown=MvbenchVideo(path, self.num_frames, bound)
        )

    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Compare the first word of the first line with the letter."""
        return mvbench_correct(mvbench_answer(text), item.truth, strict=self.strict)


@dataclass(frozen=True, slots=True)
class MvbenchVideo:
    """The official frames of a video, or of a part of it; short videos repeat frames.

    Args:
        path: A file, or a folder of frames that count from 1.
        num_frames: How many.
        bound: Start and end in seconds; None for the whole.
    """

    path: Path
    num_frames: int
    bound: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def __call__(self, choose: FrameChooser) -> Media:
        """Decode the official frames, whatever the backbone would choose."""
        is_folder = self.path.is_dir()
        return open_media(
            self.path,
            num_frames=self.num_frames,
            kind="video",
            fps=FOLDER_FPS if is_folder else None,
            choose=partial(_official_frames, bound=self.bound, first=int(is_folder)),
        )


def _official_frames(
    starts: Sequence[float],
    *,
    duration: float,
    num_frames: int,
    bound: tuple[float, float] | None,
    first: int,
    required: Collection[int] = (),
    preferred: Collection[int] = (),
) -> tuple[int, ...]:
    """Choose frames as the notebook does; those of a folder are numbered from `first`.

    Raises:
        MediaError: If the bound lies beyond the video.
    """
    total = len(starts)
    frames = mvbench_frames(
        bound,
        fps=FOLDER_FPS if first else total / duration,
        last=total - 1 + first,
        segments=num_frames,
        first=first,
    )
    chosen = tuple(frame - first for frame in frames)
    if not all(0 <= frame < total for frame in chosen):
        raise MediaError(
            f"the part from {bound and bound[0]} to {bound and bound[1]} s lies beyond the video "
            f"of {duration:.2f} s; get the video again"
        )
    return chosen
