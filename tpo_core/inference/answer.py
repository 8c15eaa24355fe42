"""What a question gets back: text free of task tokens, and typed results with units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tpo_core.inference.question import Question, message
from tpo_core.media.types import Media
from tpo_core.records.schema import Message
from tpo_core.results import Box, MaskTrack, Moments, Result, Span

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer:
    """The answer to one question.

    Args:
        question: What was asked.
        text: What the LLM wrote behind the question's prefix; in place of each slot its result in
            words.
        results: `(task, result)` of every slot, in the order of the text.
        media: What was looked at, without its pixels; None for a conversation about nothing.
        num_frames: How many frames of a video were asked for.
        finish_reason: `"stop"` if the LLM ended its turn, `"length"` if `max_new_tokens` did.
        token_ids: What was decoded, task tokens included and the end of turn not.
        log_prob: Sum of the natural log-probabilities of the tokens that were chosen; a forced one
            adds 0.
        marked_text: The whole answer, prefix included, with `<task>` in place of each slot, as
            records write it.
    """

    question: Question
    text: str
    results: tuple[tuple[str, Result], ...]
    media: Media | None
    num_frames: int | None
    finish_reason: FinishReason
    token_ids: tuple[int, ...]
    log_prob: float
    marked_text: str

    @property
    def boxes(self) -> list[Box]:
        """Every box, xyxy normalised to the original image."""
        return [result for _, result in self.results if isinstance(result, Box)]

    @property
    def spans(self) -> list[Span]:
        """The moments, in seconds; of each slot those the head takes for the answer, best first."""
        moments = [result for _, result in self.results if isinstance(result, Moments)]
        return [span for found in moments for span in found.spans[: found.count]]

    @property
    def masks(self) -> list[MaskTrack]:
        """Every mask track, bool `[T, H, W]` at the original size."""
        return [result for _, result in self.results if isinstance(result, MaskTrack)]

    @property
    def turns(self) -> tuple[Message, ...]:
        """The conversation so far, this answer included: the `history` of a further question."""
        return (
            *(message(turn) for turn in self.question.history),
            Message(role="user", content=self.question.text),
            Message(role="assistant", content=self.marked_text),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: normalised boxes, seconds, COCO run lengths."""
        prompts = [prompt.model_dump(mode="json") for prompt in self.question.prompts]
        return {
            "question": self.question.text,
            "prompts": prompts,
            "prefix": self.question.prefix,
            "media": _media_json(self.media),
            "text": self.text,
            "results": [{"task": task, **result.to_json()} for task, result in self.results],
            "finish_reason": self.finish_reason,
        }

    def save_overlay(self, path: str | Path) -> Path:
        """Draw the results over the media and write a picture or a video.

        Args:
            path: Where to; its suffix says what.

        Raises:
            InputError: If there was no media, or the file cannot be written.
            MediaError: If the media's file has gone.
        """
        from tpo_core.drawing import save_overlay
        from tpo_core.errors import InputError
        from tpo_core.media.open import open_media

        if self.question.media is None:
            raise InputError("the conversation has no media to draw on; ask about a picture")
        media = open_media(self.question.media, num_frames=None, choose=self._looked_at)
        return save_overlay(self, media, path)

    def _looked_at(self, starts: Sequence[float], **options: Any) -> tuple[int, ...]:
        """Choose the frames that were looked at, which the results are about."""
        assert self.media is not None, "an answer about media keeps their times"
        return tuple(index for index in self.media.indices if index < len(starts))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        found = ", ".join(f"{task}: {result}" for task, result in self.results)
        return f"Answer({self.text!r}{f', {found}' if found else ''})"


def _media_json(media: Media | None) -> dict[str, Any] | None:
    if media is None:
        return None
    return {
        "source": media.source,
        "kind": media.kind,
        "size": list(media.size),
        "duration": media.duration,
        "frames": list(media.indices),
        "times": [round(time, 3) for time in media.times.tolist()],
        "notes": list(media.notes),
    }
