"""What tests of benchmarks about moments share: videos, answers, figures, and a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tpo_core.evaluation import Benchmark, Item
from tpo_core.inference import Answer, Question
from tpo_core.media.sampling import choose_frames
from tpo_core.media.write import write_video
from tpo_core.records.quarantine import BadSample
from tpo_core.results import Moments, Span

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics"


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}_A.json").read_text(encoding="utf-8"))


def write_seconds(path: Path, seconds: int) -> None:
    """Write a video of one frame a second."""
    frames = torch.arange(seconds, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32)
    write_video(path, 10 * frames, fps=1)


def moments(*spans: Sequence[float], saliency: Mapping[float, float] | None = None) -> Moments:
    """Return ranked spans, and saliency by time."""
    by_time = saliency or {}
    return Moments(
        spans=tuple(Span(*span) for span in spans),
        times=tuple(by_time),
        saliency=tuple(by_time.values()),
    )


def answer(text: str = "", *found: Moments, question: Question | None = None) -> Answer:
    return Answer(
        question=question or Question(None, "?"),
        text=text,
        results=tuple(("temporal", one) for one in found),
        media=None,
        num_frames=None,
        finish_reason="stop",
        token_ids=(),
        log_prob=0.0,
        marked_text=text,
    )


class Scripted(torch.nn.Module):
    """Answers what a function says, and keeps what it was asked."""

    def __init__(
        self, reply: Callable[[Question], Answer], tasks: Sequence[str] = ("temporal",)
    ) -> None:
        super().__init__()
        self.reply = reply
        self.head_by_task = dict.fromkeys(tasks)
        self.origin = SimpleNamespace(backbone="scripted", heads=self.head_by_task)
        self.backbone = SimpleNamespace(choose_frames=choose_frames)
        self.asked: list[Question] = []

    def predict_batch(self, questions: Sequence[Question], **options: Any) -> list[Answer]:
        self.asked += questions
        return [self.reply(question) for question in questions]


def figures(
    benchmark: Benchmark, data: Path, predicted: Callable[[Item], Mapping[str, Any] | None]
) -> dict[str, float]:
    """Return the mean of all values of each metric, in percent, with the answers given by item."""
    values: dict[str, list[float]] = {}
    for case in benchmark.cases(data):
        if isinstance(case, BadSample):
            continue
        scores = benchmark.score_case(case.items, [predicted(item) for item in case.items])
        for score in scores:
            for name, each in score.values.items():
                values.setdefault(name, []).extend(each)
    return {name: 100 * sum(each) / len(each) for name, each in values.items() if each}
