"""The tiny backbone's tokenizer: byte-level BPE learnt from the world's own sentences."""

# ruff: noqa: TID253 - loaded only by the pretraining, never when plugins are listed
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, END, IMAGE, VIDEO = "<|pad|>", "<|end|>", "<image>", "<video>"
USER, ASSISTANT = "<|user|>", "<|assistant|>"
SPECIAL: Final = (PAD, USER, ASSISTANT, END, IMAGE, VIDEO)

# One token opens a turn, and only answers are closed: half a conversation of ChatML's kind would be
# markup here. Media come first, so that every question about a media item shares its prefix.
CHAT_TEMPLATE: Final = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' -}}
{%- if message['content'] is string -%}
{%- set text = message['content'] -%}
{%- else -%}
{%- set pieces = namespace(text='') -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}{{- '<image>' -}}
{%- elif part['type'] == 'video' -%}{{- '<video>' -}}
{%- else -%}{%- set pieces.text = pieces.text + part['text'] -%}
{%- endif -%}
{%- endfor -%}
{%- set text = pieces.text -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- text + '<|end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- text -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""

# Words with their leading space, single digits, runs of punctuation, white space.
_SPLIT: Final = r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Learns the tokenizer; any text can be written in it, byte by byte if need be.

    Args:
        texts: Sentences, in a fixed order.
        vocab_size: Number of entries at most, special tokens and the 256 bytes included.

    Returns:
        The tokenizer with its chat template.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        extra_special_tokens={
            "user_token": USER,
            "assistant_token": ASSISTANT,
            "image_token": IMAGE,
            "video_token": VIDEO,
        },
    )
