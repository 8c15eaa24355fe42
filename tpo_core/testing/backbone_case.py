"""What the tests of the backbone kit share: attributes, fixtures, the run to compare with.

Shapes: L tokens, P of a prefix, l of a branch, D hidden size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from tpo_core.backbone import BackboneAdapter, RenderedRecord
from tpo_core.records.schema import Message
from tpo_core.testing.backbone_samples import (
    TASK_TOKENS,
    MediaName,
    alone,
    assert_close,
    conversations,
    native_run,
    sample_media,
)


class BackboneCase:
    """Base of the kit's classes.

    Attributes:
        media: What the backbone takes; `"video"` is to be left out if it refuses videos.
        native: Media that the transformers model itself runs correctly, for an independent
            comparison; empty for a backbone that wraps no transformers model.
        tolerance: Largest difference, relative to the largest state (or 1).
        several_turns: Whether conversations may have more than one question.
    """

    media: ClassVar[tuple[MediaName, ...]] = ("image", "video", "text")
    native: ClassVar[tuple[MediaName, ...]] = ("image", "video", "text")
    tolerance: ClassVar[float] = 1e-5
    text_type: ClassVar[int] = 0
    several_turns: ClassVar[bool] = True

    # ---- what subclasses may replace

    def whole_ids(
        self, backbone: BackboneAdapter, name: MediaName, messages: Sequence[Message]
    ) -> Tensor | None:
        """Return the ids of a whole conversation from the backbone's own processor.

        Args:
            backbone: Its `processor` is asked, if it has one.
            name: The sample media the conversation is about.
            messages: Question and answer.

        Returns:
            `[L]`, or None if there is nothing independent to compare with.
        """
        processor: Any = getattr(backbone, "processor", None)
        family: Any = getattr(backbone, "family", None)
        if processor is None or family is None:
            return None
        item = sample_media(name)
        media, options = family.media_inputs(processor, item) if item is not None else ({}, {})
        parts = [{"type": kind, kind: value} for kind, values in media.items() for value in values]
        turns: list[dict[str, Any]] = []
        for message in messages:
            text = [{"type": "text", "text": message.content}]
            turns.append({"role": message.role, "content": text if turns else parts + text})
        outputs = processor.apply_chat_template(
            turns,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs=options,
            chat_template=family.chat_template(processor, name if item is not None else None),
        )
        ids: Tensor = outputs["input_ids"][0]
        return ids

    # ---- fixtures and helpers

    @pytest.fixture(scope="class")
    def ready(self, backbone: BackboneAdapter) -> BackboneAdapter:
        """Return a copy with task tokens."""
        twin = copy.deepcopy(backbone)
        twin.add_tokens(TASK_TOKENS)
        return twin.eval()

    @pytest.fixture(scope="class")
    def records(self, ready: BackboneAdapter) -> dict[str, RenderedRecord]:
        """Return one rendered record for each kind of media, and a second video if videos go."""
        chats = conversations(several=self.several_turns)
        found: dict[str, RenderedRecord] = {
            name: ready.renderer.render(sample_media(name), chats) for name in self.media
        }
        if "video" in self.media:
            second = sample_media("video", frames=3, size=(48, 48), seed=1)
            found["second video"] = ready.renderer.render(second, chats[:1])
        return found

    @torch.no_grad()
    def separate(
        self, backbone: BackboneAdapter, record: RenderedRecord, branch: int, name: str
    ) -> Tensor:
        """Return the states of one path run alone, `[P + l, D]`."""
        if name.removeprefix("second ") in self.native:
            return native_run(backbone, record, branch, text_type=self.text_type)[0]
        states: Tensor = backbone(alone(record, branch), backbone.encode([record]))
        return states

    def _same(self, found: Tensor, expected: Tensor, what: str) -> None:
        assert_close(found, expected, tolerance=self.tolerance, what=what)
