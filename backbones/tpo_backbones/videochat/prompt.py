"""The published model's prompt: where tags, blanks and beginning-of-sequence tokens stand.

A conversation about a video is, every line a piece that is tokenised alone and begins with `<s>`:

    [INST] <Video>                      then one place for each query
    </Video>[/INST]                     the sentence about times, if any, stands before [/INST]
     [INST] question [/INST]            with a blank at both ends

An answer goes on in the last piece, and `</s>` ends it. Everything up to the last place is the
prefix that all conversations about the media share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from tpo_backbones.videochat.config import PLACEHOLDER_ID, VideoChatConfig
from tpo_backbones.videochat.frames import middle_frames
from tpo_backbones.videochat.preprocess import pixel_values
from tpo_backbones.videochat.tokenizer import Tokenizer
from tpo_core.backbone import RenderedBranch, RenderedRecord
from tpo_core.errors import InputError
from tpo_core.media.types import Media
from tpo_core.records.schema import Message

_PLACEHOLDERS = ("[<VID_PLH>]", "[<IMG_PLH>]")


class VideoChatRenderer:
    """Renders conversations; holds no weights and may be pickled.

    Args:
        tokenizer: Mistral's, as the published model used it.
        config: Says how many frames, pixels, places and tokens there are.
    """

    def __init__(self, tokenizer: Tokenizer, config: VideoChatConfig) -> None:
        self.tokenizer, self.config = tokenizer, config
        reserved = [*tokenizer.specials, *_PLACEHOLDERS]
        self._reserved = re.compile("|".join(map(re.escape, reserved)))

    def render(
        self,
        media: Media | None,
        conversations: Sequence[Sequence[Message]],
        *,
        generate: bool = False,
    ) -> RenderedRecord:
        """Render conversations about one media item.

        Args:
            media: The item, its frames present; None for text alone.
            conversations: Messages whose text already holds task-token texts. A system turn becomes
                an instruction of its own.
            generate: Leave a last assistant turn open. A question ends as a prompt for its answer
                does anyway.

        Raises:
            InputError: If a text holds a special token, or a conversation is too long (the
                published model cut its end off).
        """
        for messages in conversations:
            self._check_text(messages)
        if media is None:
            record = RenderedRecord(
                prefix_ids=torch.empty(0, dtype=torch.long),
                branches=tuple(
                    self._branch(messages, is_open=generate) for messages in conversations
                ),
            )
        else:
            tag = media.kind.capitalize()
            opening = self._piece(f"[INST] <{tag}>")
            places = [PLACEHOLDER_ID] * self.config.visual_tokens
            record = RenderedRecord(
                prefix_ids=torch.tensor(opening + places),
                branches=tuple(
                    self._branch(
                        messages,
                        self._piece(f"</{tag}>{self._times(media, messages)}[/INST]"),
                        is_open=generate,
                    )
                    for messages in conversations
                ),
                inputs={"pixel_values": self._pixels(media)},
                media=media,
            )
        self._check_length(record)
        return record

    def decode(self, ids: Sequence[int]) -> str:
        """Turn generated ids into text without special tokens."""
        return self.tokenizer.decode([int(token) for token in ids])

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The id of `</s>`."""
        return (self.tokenizer.eos_id,)

    def shown(self, media: Media) -> list[int]:
        """Return which of a media item's frames are looked at; the last may come several times."""
        return middle_frames(len(media.times), self.config.num_frames if _is_video(media) else 1)

    def _pixels(self, media: Media) -> Tensor:
        """Return `[1, T, 3, S, S]`."""
        if media.frames is None:
            raise InputError(f"media {media.source} has no frames; decode it before rendering")
        frames = media.frames[self.shown(media)]
        return pixel_values(frames, size=self.config.vision.image_size)[None]

    def _times(self, media: Media, messages: Sequence[Message]) -> str:
        """Return the sentence about times that a question for a timestamp gets, else nothing."""
        asked = any(m.role == "user" and "timestamp" in m.content for m in messages)
        if not asked or not _is_video(media):
            return ""
        times = [f"{float(media.times[index]):.1f}" for index in self.shown(media)]
        seconds = ", ".join(times)
        return f" The video contains {len(times)} frames sampled at {seconds} seconds."

    def _piece(self, text: str) -> list[int]:
        return [self.tokenizer.bos_id, *self.tokenizer.encode(text)]

    def _branch(
        self, messages: Sequence[Message], opening: Sequence[int] = (), *, is_open: bool
    ) -> RenderedBranch:
        ids = list(opening)
        supervised = [False] * len(ids)
        for number, message in enumerate(messages, start=1):
            is_answer = message.role == "assistant"
            if is_answer:
                part = self.tokenizer.encode(message.content)
                if not is_open or number < len(messages):
                    part.append(self.tokenizer.eos_id)
            elif message.content:
                part = self._piece(f" [INST] {message.content} [/INST] ")
            else:
                part = self._piece(" ")
            ids += part
            supervised += [is_answer] * len(part)
        return RenderedBranch(
            ids=torch.tensor(ids, dtype=torch.long),
            supervised=torch.tensor(supervised, dtype=torch.bool),
        )

    def _check_text(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if found := self._reserved.search(message.content):
                raise InputError(
                    f"text {message.content[:80]!r} holds {found[0]!r}, a special token of the "
                    "backbone; remove it (media is placed by the renderer)"
                )

    def _check_length(self, record: RenderedRecord) -> None:
        for branch in record.branches:
            length = len(record.prefix_ids) + len(branch.ids)
            if length > self.config.max_tokens:
                raise InputError(
                    f"a conversation of {length} tokens exceeds the {self.config.max_tokens} that "
                    "VideoChat-TPO takes; shorten its text or split it into several conversations"
                )


def _is_video(media: Media) -> bool:
    return media.kind == "video"
