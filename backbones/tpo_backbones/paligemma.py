"""PaliGemma: one image, seen both ways; no chat template."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tpo_backbones.family import Family, VideoAs
from tpo_core.media.types import MediaKind

# The processor's own layout: image, bos, question, newline, answer, end.
_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ eos_token if message['role'] == 'assistant' else '\n' }}{% endfor %}"
)


class PaliGemma(Family):
    """What differs in PaliGemma 1 and 2.

    Questions are causal here, while the checkpoints were trained with questions that see
    themselves both ways: otherwise the image's states would depend on the question, and branches
    could share nothing.
    """

    text_type = 1
    note = "one image; questions are causal, unlike in pretraining"

    def video(self, processor: Any) -> VideoAs:
        """Take no video: the model was trained on single images."""
        return "no"

    def chat_template(self, processor: Any, kind: MediaKind | None) -> str:
        """Return the layout that the processor writes for a question and its answer."""
        return _TEMPLATE.replace("IMAGE", processor.image_token)

    def tail(self, text: str) -> str:
        """Drop the newline that the processor puts behind an empty question."""
        return ""

    @contextmanager
    def masked(self, decoder: Any, mask: Any) -> Iterator[Any]:
        """Hand masks by layer type to the decoder itself; PaliGemma's forward refuses them."""
        if not isinstance(mask, dict):
            yield mask
            return

        def hook(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, "attention_mask": mask}

        handle = decoder.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield None
        finally:
            handle.remove()
