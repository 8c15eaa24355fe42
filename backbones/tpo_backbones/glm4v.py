"""GLM-4V and Molmo2: one placeholder id for images and videos."""

from __future__ import annotations

from typing import Any

from tpo_backbones.family import Family


class Glm4v(Family):
    """What differs in GLM-4.1V."""

    one_placeholder = True


class Molmo2(Family):
    """What differs in Molmo2: features are added to the placeholder's embedding."""

    one_placeholder = True

    def lead(self, tokenizer: Any, text: str) -> list[int]:
        """Begin as the processor does, with the first token or, in its absence, the last."""
        token = tokenizer.bos_token or tokenizer.eos_token
        return [] if text.startswith(token) else [int(tokenizer.convert_tokens_to_ids(token))]

    def after_resize(self, model: Any, rows: int) -> None:
        """Count all rows as vocabulary; a reload would append the additional ones once more."""
        model.config.get_text_config().additional_vocab_size = 0
