"""Video-MME: four options about videos of seconds to an hour, with or without subtitles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from tpo_core.errors import RecordError
from tpo_core.evaluation.benchmark import Case
from tpo_core.evaluation.metrics.choice_scores import Verdict
from tpo_core.evaluation.metrics.choices import videomme_choice
from tpo_plugins.benchmarks.choices import (
    LEFT_OUT,
    WRONG,
    ChoiceBenchmark,
    ChoiceItem,
)
from tpo_plugins.benchmarks.paper import FRAME_SAMPLING, NUM_FRAMES
from tpo_plugins.benchmarks.shown import VideoFile
from tpo_plugins.benchmarks.subtitles import middle_times, on_screen, read_subtitles
from tpo_plugins.benchmarks.tables import table_rows
from tpo_plugins.benchmarks.videomme_responses import read_responses, write_responses
from tpo_plugins.datasets.files import MediaFiles, find_file, locate
from tpo_plugins.datasets.rows import Released, Row

if TYPE_CHECKING:
    from tpo_core.evaluation.result import Prediction

FILES: Final = ("videomme.jsonl", "videomme.json", "test-00000-of-00001.parquet")
SUBTITLE_FOLDERS: Final = ("subtitle", "videomme/subtitle", "subtitles", "")
DURATIONS: Final = ("short", "medium", "long")
PROMPT: Final = (
    "Select the best answer to the following multiple-choice question based on the video. Respond "
    "with only the letter (A, B, C, or D) of the correct option.\n{question}\n{options}\n"
    "The best answer is:"
)
SUBTITLES_PROMPT: Final = (
    "This video's subtitles are listed below:\n{subtitles}\n"
    "Select the best answer to the following multiple-choice question based on the video and the "
    "subtitles. Respond with only the letter (A, B, C, or D) of the correct option.\n{question}\n"
    "{options}\nThe best answer is:"
)


class VideommeRow(Released):
    """A row of the table, a question."""

    video_id: str
    duration: Literal["short", "medium", "long"]
    domain: str
    sub_category: str
    url: str = ""
    videoID: str = Field(min_length=1)
    question_id: str = Field(min_length=1)
    task_type: str
    question: str
    options: tuple[str, str, str, str]
    answer: Literal["A", "B", "C", "D"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideommeItem(ChoiceItem):
    """A question and its row as released."""

    row: VideommeRow


class Videomme(ChoiceBenchmark):
    """Accuracy over the questions in whose answers a letter is found, and by duration.

    The details give it by domain, sub-category and task type too, over all and by duration, and
    as `letter_found` the share of answers in which a letter is found. A folder of predictions holds
    files as the official script takes them, which `export` writes.

    Args:
        strict: Count an answer without a letter as wrong; by the official rule it is left out.
        num_frames: How many frames of a video the LLM looks at.
    """

    name = "videomme"
    metrics = ("overall", *DURATIONS)
    found = "letter_found"

    def __init__(self, *, strict: bool = False, num_frames: int = NUM_FRAMES) -> None:
        self.strict, self.num_frames = strict, num_frames
        self.protocol: Mapping[str, Any] = self._pinned(
            num_frames=num_frames,
            frame_sampling=FRAME_SAMPLING,
            prompt=PROMPT,
            **self._subtitles(),
            answer="the first of the capitals A to D, once 'Answer:' and what else the script "
            "drops is taken out",
            strict=strict,
            answer_without_letter=WRONG if strict else LEFT_OUT,
            overall="share of right ones among the answers that count (micro); short, medium and "
            "long likewise",
            source="BradyFU/Video-MME README (prompt), thanku-all/parse_answer "
            "eval_your_results.py",
        )

    def rows(self, data: Path) -> Iterator[Row | RecordError]:
        """Yield the rows of the table."""
        return table_rows(find_file(data, *FILES))

    def question(self, row: Row, files: MediaFiles) -> VideommeItem:
        """Ask for the letter of an option."""
        released = row.parse(VideommeRow)
        return VideommeItem(
            id=released.question_id,
            kind=released.duration,
            text=_asked(PROMPT, released),
            truth=released.answer,
            shown=VideoFile(files.root / files.ref(released.videoID).path, self.num_frames),
            figures=(
                "overall",
                released.duration,
                f"domain/{released.domain}",
                f"sub_category/{released.sub_category}",
                f"task_type/{released.task_type}",
            ),
            row=released,
        )

    def verdict(self, item: ChoiceItem, text: str) -> Verdict:
        """Compare the letter that the official script finds."""
        letter = videomme_choice(text)
        return letter == item.truth if letter else None

    def read_folder(self, folder: Path) -> list[dict[str, str]]:
        """Read the responses in files of the official layout."""
        return read_responses(folder)

    def export(self, predictions: Sequence[Prediction], data: Path, output: Path) -> None:
        """Write the file that the official script takes: videos, their questions and responses."""
        cases = (case for case in self.cases(data) if isinstance(case, Case))
        rows = [item.row for case in cases for item in case.items if isinstance(item, VideommeItem)]
        write_responses(rows, predictions, output)

    def _subtitles(self) -> dict[str, str]:
        """Return what is pinned about subtitles."""
        return {"subtitles": "none"}


class VideommeSubtitles(Videomme):
    """The same with the subtitles that are on screen at the frames looked at.

    They are `subtitle/<videoID>.srt`; a video without such a file is asked about without.
    """

    name = "videomme_subtitles"

    def case(self, items: Sequence[ChoiceItem], files: MediaFiles) -> Case:
        """Put the subtitles before each question about a video."""
        case = super().case(items, files)
        asked = [item for item in items if isinstance(item, VideommeItem)]
        words = self._words(asked[0], files.root)
        if not words:
            return case
        return replace(
            case,
            items=tuple(
                replace(item, text=_asked(SUBTITLES_PROMPT, item.row, subtitles=words))
                for item in asked
            ),
        )

    def _words(self, item: VideommeItem, root: Path) -> str:
        assert isinstance(item.shown, VideoFile)
        path = root / locate(root, f"{item.row.videoID}.srt", folders=SUBTITLE_FOLDERS)
        if not path.is_file():
            return ""
        times = middle_times(item.shown.path, self.num_frames)
        return "\n".join(on_screen(read_subtitles(path), times))

    def _subtitles(self) -> dict[str, str]:
        return {
            "subtitles": "lines of the SRT file on screen at the middles of as many equal parts of "
            "the video as there are frames, each once; videos without a file or a line have none",
            "prompt_with_subtitles": SUBTITLES_PROMPT,
        }


def _asked(prompt: str, row: VideommeRow, **more: str) -> str:
    return prompt.format(question=row.question, options="\n".join(row.options), **more)
