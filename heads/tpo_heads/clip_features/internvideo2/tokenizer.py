"""The text tower's tokenizer: plain sentencepiece between BOS and EOS.

transformers 5 gives other ids for digits and double spaces, and pads on the left.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from tpo_core.errors import CheckpointError, MissingDependency

PREFIX = "summarize:"
MAX_IDS = 80
RELEASED_SHA256 = "2d967e855b1213a439df6c8ce2791f869c84b4f3b6cfacf22b86440b8192a2f8"

_LOG = logging.getLogger(__name__)
_BOS, _EOS, _UNKNOWN = 1, 2, 0
_SPECIAL = re.compile(r"(<s>|</s>|<unk>|\[PAD\])")


class Tokenizer:
    """Turns questions into ids.

    Args:
        path: `tokenizer.model` of InternVL-C. Another file than the released one is used with a
            warning.

    Raises:
        CheckpointError: If the file is missing or no sentencepiece model.
        MissingDependency: If sentencepiece is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            raise MissingDependency(
                "InternVideo2's text tower needs sentencepiece, which is not installed; "
                "run: pip install 'tpo[families]'"
            ) from error
        try:
            content = Path(path).read_bytes()
            self._pieces = SentencePieceProcessor(model_proto=content)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"tokenizer {str(path)!r} cannot be read ({error}); expected tokenizer.model of "
                "chinese_alpaca_lora_7b in the InternVL repository"
            ) from error
        if hashlib.sha256(content).hexdigest() != RELEASED_SHA256:
            _LOG.warning(
                "tokenizer %s is not the released file (its sha256 differs): the text tower may "
                "get other ids than it was trained with", path,
            )  # fmt: skip
        pieces = self._pieces.vocab_size()
        # Where "[PAD]" is no piece, it is a token added after them.
        padding = self._pieces.piece_to_id("[PAD]") or pieces
        self.size = max(pieces, padding + 1)
        self._special = {"<s>": _BOS, "</s>": _EOS, "<unk>": _UNKNOWN, "[PAD]": padding}

    def encode(self, question: str) -> list[int]:
        """Return the ids of one question: BOS, pieces of "summarize:" and the text, EOS.

        Longer texts are cut to 80 ids, EOS kept. Special tokens written out in the text become
        their ids, as upstream, and take one space after them.
        """
        ids: list[int] = []
        after_special = False
        for part in _SPECIAL.split(PREFIX + question):
            if part in self._special:
                ids.append(self._special[part])
            elif part:
                ids += self._pieces.encode(part.removeprefix(" ") if after_special else part)
            after_special = part in self._special
        return [_BOS, *ids[: MAX_IDS - 2], _EOS]
