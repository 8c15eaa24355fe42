"""What the paper's benchmarks share: how a model is run, and the paper's figures beside its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from tpo_core.errors import RecordError
from tpo_core.evaluation.benchmark import Benchmark, Item, Published
from tpo_core.records.quarantine import BadSample
from tpo_plugins.datasets.rows import Row
from tpo_plugins.published import published_figures

NUM_FRAMES: Final = 16
"""Frames of a video that the LLM looks at, as many as in the paper."""
FRAME_SAMPLING: Final = "as the backbone chooses; uniform in time unless it says otherwise"

ItemT = TypeVar("ItemT", bound=Item)


def greedy(max_new_tokens: int) -> Mapping[str, Any]:
    """Return the options of greedy decoding."""
    return {"do_sample": False, "num_beams": 1, "max_new_tokens": max_new_tokens}


def llm_frames(num_frames: int) -> str:
    """Say which frames the LLM looks at where a head goes through every one."""
    return (
        f"{num_frames}, the first of the video among them, the others as the backbone chooses "
        "(uniform in time unless it says otherwise)"
    )


class PaperBenchmark(Benchmark):
    """A benchmark of the paper; the model decodes greedily and emits task tokens by itself."""

    decoding: Mapping[str, Any] = greedy(64)

    def published(self) -> Sequence[Published]:
        """Return the figures of the paper of Task Preference Optimization."""
        return published_figures(self.name)

    def _pinned(self, **more: Any) -> dict[str, Any]:
        """Return the protocol: what all such benchmarks pin, and more."""
        return {
            "decoding": {"task_tokens": "emitted by the model, never forced", **self.decoding},
            **more,
        }


def grouped(
    rows: Iterable[Row | RecordError],
    *,
    questions: Callable[[Row], Iterable[ItemT]],
    media: Callable[[ItemT], Hashable],
) -> Iterator[list[ItemT] | BadSample]:
    """Yield bad rows, then the questions about each media item, in the order of the first.

    Args:
        rows: Of the annotation files.
        questions: Returns the questions of a row; raises RecordError if it is malformed.
        media: Names the media item of a question.
    """
    groups: dict[Hashable, list[ItemT]] = {}
    seen: set[str] = set()
    for row in rows:
        try:
            if isinstance(row, RecordError):
                raise row
            for item in questions(row):
                if item.id in seen:
                    raise row.error(f"question {item.id} is there twice; remove one of them")
                seen.add(item.id)
                groups.setdefault(media(item), []).append(item)
        except RecordError as error:
            yield BadSample.of(error)
    yield from groups.values()
