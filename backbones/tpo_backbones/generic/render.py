"""Messages and media as token ids: the media once per record, then each branch's text alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tpo_backbones.family import Family
from tpo_backbones.generic.chat import MARK, ChatTemplate, with_media
from tpo_core.backbone import RenderedBranch, RenderedRecord
from tpo_core.errors import InputError
from tpo_core.media.types import Media, MediaKind
from tpo_core.records.schema import Message

# What a processor returns per token; everything else describes the media.
_PER_TOKEN = ("mm_token_type_ids", "token_type_ids")
_TEXT_KEYS = ("input_ids", "attention_mask", "labels", *_PER_TOKEN)


class TransformersRenderer:
    """Renders with a processor's chat template; holds no weights and may be pickled.

    The processor sees only the text up to and including the media, so images are processed once
    per record whatever the number of branches; the rest is tokenised by the tokenizer alone. The
    cut lies at a special token, where tokenising in parts equals tokenising the whole.

    Args:
        processor: The checkpoint's processor.
        family: What differs in this family.
    """

    def __init__(self, processor: Any, family: Family) -> None:
        self.processor, self.family = processor, family
        self.tokenizer: Any = processor.tokenizer
        if not self.tokenizer.is_fast:
            raise InputError(
                f"tokenizer {type(self.tokenizer).__name__} gives no character offsets, which "
                "labels need; use a checkpoint with a tokenizer.json"
            )
        self._prepare()

    def _prepare(self) -> None:
        """Read off the tokenizer what rendering needs; again after tokens were added."""
        tokenizer = self.tokenizer
        self.task_texts: frozenset[str] = getattr(self, "task_texts", frozenset())
        placeholders = [
            getattr(self.processor, name, None) for name in ("image_token", "video_token")
        ]
        added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
        reserved = {text for text, special in added.items() if special}
        reserved |= {str(text) for text in placeholders if text}
        self.reserved = _any_of(reserved - self.task_texts)
        self.added = _any_of((set(added) | reserved) - self.task_texts)
        self._specials = sorted(reserved - self.task_texts)
        self._chats: dict[str, ChatTemplate] = {}
        self._cut_ids = {
            index
            for index, token in tokenizer.added_tokens_decoder.items()
            if token.content not in self.task_texts
        }
        self._heads: dict[tuple[str, ...], str] = {}

    def chat(self, kind: MediaKind | None) -> ChatTemplate:
        """Return the chat template for conversations about some kind of media."""
        source = self.family.chat_template(self.processor, kind)
        if source not in self._chats:
            self._chats[source] = ChatTemplate(
                source,
                variables=dict(self.tokenizer.special_tokens_map),
                specials=self._specials,
                eos=self.tokenizer.eos_token or "",
            )
        return self._chats[source]

    def task_tokens_added(self, texts: Sequence[str]) -> None:
        """Take note of tokens added to the tokenizer: texts may hold them."""
        self.task_texts = self.task_texts | frozenset(texts)
        self._prepare()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: the template's end of turn and the end of sequence."""
        template = self.chat(None)
        chat = template.conversation(
            [Message(role="user", content="a"), Message(role="assistant", content=MARK)],
            media=(),
            generate=False,
        )
        ids = [self.tokenizer.eos_token_id]
        (start, end) = chat.spans[-1]
        tail = chat.text[start:end].partition(MARK)[2]
        if found := template.special.search(tail):
            ids.append(self.tokenizer.convert_tokens_to_ids(found[0]))
        return tuple(sorted({token for token in ids if token is not None}))

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
            conversations: Messages whose text already holds task-token texts.
            generate: End with the template's generation prompt, or leave a last assistant turn
                open.

        Raises:
            InputError: If the family takes no such media, a text holds one of the backbone's own
                special tokens, or system turns differ between the conversations.
        """
        for conversation in conversations:
            self._check(conversation)
        if media is None:
            branches = [self._text(messages, generate) for messages in conversations]
            empty = torch.empty(0, dtype=torch.long)
            return RenderedRecord(prefix_ids=empty, branches=tuple(branches))
        if media.frames is None:
            raise InputError(f"media {media.source} has no frames; decode it before rendering")
        items, options = self.family.media_inputs(self.processor, media)
        parts = [{"type": kind} for kind, values in items.items() for _ in values]
        template = self.chat("video" if "video" in items else "image")
        head = self._head(template, conversations[0] if conversations else (), parts)
        outputs = self._process(head, items, options)
        prefix_ids, tail = self._cut(outputs["input_ids"][0])
        tail = self.family.tail(tail)
        last = self.tokenizer.convert_ids_to_tokens(int(prefix_ids[-1]))
        branches = []
        for messages in conversations:
            chat = template.conversation(messages, media=parts, generate=generate)
            if not chat.text.startswith(head):
                raise InputError(
                    "conversations about one media item begin with different system turns; "
                    "put them into different records"
                )
            shift = len(tail) - len(head)
            spans = [(start + shift, end + shift) for start, end in chat.spans]
            branches.append(self._branch(last, tail + chat.text[len(head) :], spans))
        length = len(prefix_ids)
        return RenderedRecord(
            prefix_ids=prefix_ids,
            branches=tuple(branches),
            inputs={key: value for key, value in outputs.items() if key not in _TEXT_KEYS},
            media=media,
            extras={key: outputs[key][0, :length] for key in _PER_TOKEN if key in outputs},
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Turn generated ids into text without the backbone's special tokens."""
        text: str = self.tokenizer.decode(
            [int(token) for token in ids],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return text

    def _check(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if found := self.reserved.search(message.content):
                raise InputError(
                    f"text {message.content[:80]!r} holds {found[0]!r}, a special token of the "
                    "backbone; remove it (media is placed by the renderer)"
                )

    def _head(
        self, template: ChatTemplate, messages: Sequence[Message], parts: list[dict[str, Any]]
    ) -> str:
        """Return the text up to the last special token before the first user text."""
        leading: list[Message] = []
        for message in messages:
            if message.role == "user":
                break
            leading.append(message)
        key = (*(f"{m.role}\0{m.content}" for m in leading), *(part["type"] for part in parts))
        if key not in self._heads:
            turns = with_media([*leading, Message(role="user", content=MARK)], parts)
            text = template.render(turns).partition(MARK)[0]
            found = list(self.added.finditer(text))
            if not found:
                raise InputError(
                    "the chat template writes no special token for the media; it is not made for "
                    "images or videos, use the checkpoint's own template"
                )
            self._heads[key] = text[: found[-1].end()]
        return self._heads[key]

    def _process(
        self, text: str, items: Mapping[str, list[Any]], options: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        bos = self.tokenizer.bos_token
        if bos is not None and text.startswith(bos):
            options = {**options, "add_special_tokens": False}
        outputs: Mapping[str, Any] = self.processor(
            text=[text],
            images=[items["image"]] if "image" in items else None,
            videos=[items["video"]] if "video" in items else None,
            return_tensors="pt",
            **options,
        )
        return outputs

    def _cut(self, ids: Tensor) -> tuple[Tensor, str]:
        """Split expanded ids behind their last special token; the tail comes back as text."""
        values = ids.tolist()
        cut = next(i for i in range(len(values), 0, -1) if values[i - 1] in self._cut_ids)
        tail = values[cut:]
        text = self.tokenizer.decode(tail, clean_up_tokenization_spaces=False) if tail else ""
        return ids[:cut].clone(), text

    def _branch(self, last: str, text: str, spans: Sequence[tuple[int, int]]) -> RenderedBranch:
        """Tokenise text as it would be after the special token `last`, which is then dropped."""
        encoded = self.tokenizer(last + text, add_special_tokens=False, return_offsets_mapping=True)
        shifted = [(start + len(last), end + len(last)) for start, end in spans]
        return _labelled(encoded["input_ids"][1:], encoded["offset_mapping"][1:], shifted)

    def _text(self, messages: Sequence[Message], generate: bool) -> RenderedBranch:
        chat = self.chat(None).conversation(messages, media=(), generate=generate)
        bos = self.tokenizer.bos_token
        encoded = self.tokenizer(
            chat.text,
            add_special_tokens=bos is None or not chat.text.startswith(bos),
            return_offsets_mapping=True,
        )
        lead = self.family.lead(self.tokenizer, chat.text)
        ids, offsets = [*lead, *encoded["input_ids"]], encoded["offset_mapping"]
        return _labelled(ids, [*[(0, 0)] * len(lead), *offsets], chat.spans)


def _labelled(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> RenderedBranch:
    supervised = [
        any(start < stop and end > begin for begin, stop in spans) for start, end in offsets
    ]
    return RenderedBranch(
        ids=torch.tensor(ids, dtype=torch.long),
        supervised=torch.tensor(supervised, dtype=torch.bool),
    )


def _any_of(texts: set[str]) -> re.Pattern[str]:
    """Return a pattern that matches any of the texts, the longest first; never if there is none."""
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
