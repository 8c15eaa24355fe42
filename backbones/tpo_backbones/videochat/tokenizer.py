"""Mistral's sentencepiece vocabulary as the published model used it, and tokens added to it.

This is transformers' former slow tokenizer with `legacy=True`: text is cut at added and special
tokens, and each part is tokenised alone, so that a word mark stands before whatever follows such a
token. Today's fast tokenizers look for added tokens elsewhere and join parts otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Self

from sentencepiece import SentencePieceProcessor

from tpo_core.errors import InputError

TOKENIZER_FILE = "tokenizer.model"
ADDED_FILE = "added_tokens.json"


class Tokenizer:
    """Turns text into ids and back.

    Args:
        model: The serialised sentencepiece model.
        added: Ids of added tokens by text.

    Attributes:
        specials: Ids of `<unk>`, `<s>` and `</s>` by text.
        added: Ids of added tokens by text.
    """

    def __init__(self, model: bytes, added: Mapping[str, int] | None = None) -> None:
        self._pieces = SentencePieceProcessor(model_proto=model)
        ids = (self._pieces.unk_id(), self._pieces.bos_id(), self._pieces.eos_id())
        self.specials = {self._pieces.id_to_piece(index): index for index in ids}
        self.unk_id, self.bos_id, self.eos_id = ids
        self.added: dict[str, int] = dict(added or {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `tokenizer.model` and, if it is there, `added_tokens.json`.

        Raises:
            InputError: If a file is missing or broken, or ids of added tokens leave gaps.
        """
        extra = folder / ADDED_FILE
        try:
            model = (folder / TOKENIZER_FILE).read_bytes()
            added = json.loads(extra.read_text(encoding="utf-8")) if extra.exists() else {}
            tokenizer = cls(model, {str(text): int(index) for text, index in added.items()})
        except (OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise InputError(
                f"cannot read the tokenizer in {folder}: {error}; expected {TOKENIZER_FILE} of "
                f"sentencepiece and {ADDED_FILE} with ids by text"
            ) from error
        first, ids = len(tokenizer) - len(added), sorted(tokenizer.added.values())
        if ids != list(range(first, len(tokenizer))):
            raise InputError(
                f"{extra} has the ids {ids}; expected each from {first} on, behind those of "
                f"{TOKENIZER_FILE}, without gaps"
            )
        return tokenizer

    def save(self, folder: Path) -> None:
        """Write what `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_bytes(self._pieces.serialized_model_proto())
        text = json.dumps(self.added, indent=2)
        (folder / ADDED_FILE).write_text(text + "\n", encoding="utf-8")

    def __len__(self) -> int:
        """Ids in use: no gaps among those added."""
        return self._pieces.get_piece_size() + len(self.added)

    def add(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Add tokens, known ones are kept; return all their ids."""
        for text in texts:
            self.added.setdefault(text, len(self))
        return tuple(self.added[text] for text in texts)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; nothing is put before or behind it."""
        known = {**self.specials, **self.added}
        longest_first = sorted(known, key=len, reverse=True)
        ids: list[int] = []
        for part in re.split(f"({'|'.join(map(re.escape, longest_first))})", text):
            if part in known:
                ids.append(known[part])
            elif part:
                ids += self._pieces.encode(part)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that `encode` made ids of, without special tokens."""
        marks = {index: text for text, index in self.added.items()}
        marks |= dict.fromkeys(self.specials.values(), "")
        parts = []
        for is_mark, group in groupby(ids, key=lambda index: index in marks):
            if is_mark:
                parts += [marks[index] for index in group]
            else:
                parts.append(self._pieces.decode(list(group)))
        return "".join(parts)
