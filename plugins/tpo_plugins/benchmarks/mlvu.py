"""MLVU: seven multiple-choice tasks about long videos (dev set); M-Avg is the mean over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.metrics.choices import mlvu_correct
from tpo_plugins.benchmarks.choices import ChoiceItem
from tpo_plugins.benchmarks.paper import FRAME_SAMPLING, NUM_FRAMES
from tpo_plugins.benchmarks.shown import VideoFile
from tpo_plugins.benchmarks.task_files import PREFIX, TaskFilesBenchmark, TaskRow
from tpo_plugins.datasets.files import MediaFiles, locate
from tpo_plugins.datasets.rows import Row

TASKS: Final[Mapping[str, str]] = {
    "1_plotQA": "plotQA",
    "2_needle": "needle",
    "3_ego": "ego",
    "4_count": "count",
    "5_order": "order",
    "6_anomaly_reco": "anomaly_reco",
    "7_topic_reasoning": "topic_reasoning",
}
"""Names of tasks by the names of their files and folders."""
LEFT_OUT_TASKS: Final = ("8_sub_scene", "9_summary")

INSTRUCTION: Final = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, "
    "select the best option that accurately addresses the question.\n"
)
PROMPT: Final = INSTRUCTION + "{question}\nOnly give the best option."


class Mlvu(TaskFilesBenchmark):
    """M-Avg: the mean over the seven tasks of their accuracies.

    Args:
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "mlvu"
    metrics = ("m_avg",)
    macro = frozenset({"m_avg"})
    tasks = tuple(TASKS)
    prompt = PROMPT

    def __init__(self, *, num_frames: int = NUM_FRAMES) -> None:
        self.num_frames = num_frames
        self.protocol: Mapping[str, Any] = self._pinned(
            split="dev",
            tasks=list(TASKS),
            left_out=dict.fromkeys(LEFT_OUT_TASKS, "generation, scored by GPT-4: not asked"),
            num_frames=num_frames,
            frame_sampling=FRAME_SAMPLING,
            prompt=PROMPT,
            answer_begins=PREFIX,
            question="question and options as choice_bench.py writes them; the instruction stands "
            "in the user's turn, there before the video",
            answer="the character before the first ')', or the whole answer, must be the letter in "
            "upper case; an empty one is wrong",
            m_avg="mean over tasks of the share of right answers (macro)",
            source="JUNJIE99/MLVU choice_bench.py (prompt, qa_template, check_ans)",
        )

    def question(self, row: Row, files: MediaFiles) -> ChoiceItem:
        """Ask for the best option."""
        task = row.path.stem
        released = row.parse(TaskRow)
        place = locate(files.root, f"{task}/{released.video}", folders=("video", ""))
        shown = VideoFile(files.root / place, self.num_frames)
        return self._item(row, released, kind=TASKS[task], shown=shown)

    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Compare the character before the first bracket with the letter."""
        return mlvu_correct(text, item.truth)
