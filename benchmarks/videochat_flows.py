"""A mid-size VideoChat-TPO with random weights, and two ways of asking it: ours and the demo's.

Lengths are the published model's, since they decide what attention costs: 16 frames of 196 patches,
96 queries, its prompt, its vocabulary. Widths are half of its (a quarter in the language model) and
there are half as many vision blocks and a quarter as many language layers, so that a question
takes seconds on two CPU cores; vision and language then share the time about as they do there.

Shapes: T frames, l tokens of a prompt, D hidden size, V vocabulary.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

FRAMES, SECONDS, SIZE, WIDTH = 64, 16, 224, 768
TOKENS = 20
_VOCABULARY = Path(__file__).parents[1] / "tests" / "golden" / "mistral_tokenizer.model"


class Asked(NamedTuple):
    """A question; the task it is answered with is forced, since random weights choose none."""

    text: str
    task: str | None


QUESTIONS = {
    "temporal": Asked("When does the person open the door?", "temporal"),
    "region": Asked("Where is the dog that runs?", "region"),
    "chat": Asked("What happens in the video?", None),
}


class Answered(NamedTuple):
    """Token ids, and the numbers of the head's result."""

    ids: tuple[int, ...]
    numbers: tuple[float, ...]


def write_model(folder: Path) -> Path:
    """Write the model, LoRA apart and not at rest, a video of noise and its clip features."""
    from tpo_backbones.videochat.adapter import VideoChatAdapter
    from tpo_backbones.videochat.config import LanguageConfig, VideoChatConfig
    from tpo_backbones.videochat.model import VideoChatModel
    from tpo_backbones.videochat.qformer import QFormerConfig
    from tpo_backbones.videochat.tokenizer import Tokenizer
    from tpo_backbones.videochat.vision import VisionConfig
    from tpo_core.build import attach
    from tpo_core.lora import LoraSettings
    from tpo_core.media.write import write_video
    from tpo_heads.clip_features.writing import write_clips

    torch.manual_seed(0)
    language = LanguageConfig(
        hidden_size=1024, intermediate_size=3584, layers=8, heads=8, key_value_heads=2,
        vocabulary=32_000,
    )  # fmt: skip
    config = VideoChatConfig(
        vision=VisionConfig(width=512, heads=8, depth=12),
        qformer=QFormerConfig(width=384, heads=6, intermediate_size=1536),
        language=language,
    )
    adapter = VideoChatAdapter(VideoChatModel(config), Tokenizer(_VOCABULARY.read_bytes()))
    features = {"files": {"videos": str(folder / "clip"), "clip_length": 1.0, "width": WIDTH}}
    heads = {
        "region": {"activation": "none", "inverted": "left_out"},
        "temporal_cgdetr": {"features": features},
    }
    model = attach(adapter, heads, lora=LoraSettings(dropout=0.1), device="cpu").eval()
    with torch.no_grad():
        for name, parameter in model.backbone.model.named_parameters():
            if "lora_B" in name or "trainable_tokens" in name:
                parameter.normal_(0, 0.02)
    model.save_pretrained(str(folder / "model"), include_backbone=True)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (FRAMES, 3, 28, 28), dtype=torch.uint8, generator=generator)
    frames = F.interpolate(coarse, size=(SIZE, SIZE))
    write_video(folder / "clip.mp4", frames, fps=FRAMES / SECONDS)
    rows = torch.randn(SECONDS, WIDTH, generator=generator)
    write_clips(folder / "clip", "clip", rows, clip_length=1.0)
    return folder


def load(folder: Path, *, merge: bool) -> Any:
    """Load what `write_model` wrote; ours has LoRA merged, as a model at work has."""
    from tpo_core.build import from_pretrained

    model = from_pretrained(str(folder / "model"), device="cpu")
    return model.merge() if merge else model


# Ours


def ours(model: Any, folder: Path, *names: str) -> list[Answered]:
    """Ask questions about the video at once; it is decoded and encoded one time for all."""
    from tpo_core.inference import Question, predict_batch

    asked = [Question(folder / "clip.mp4", *_words(name)) for name in names]
    answers = predict_batch(model, asked, max_new_tokens=TOKENS)
    return [
        Answered(answer.token_ids, _numbers([result for _, result in answer.results]))
        for answer in answers
    ]


# The demo's way


def reference(model: Any, folder: Path, name: str) -> Answered:
    """Ask one question as the published demo does.

    All hidden states and the logits of every position on each pass, LoRA beside the weights, the
    autograd graph kept, attention matrices spelled out, trigger and slot a pass each, and the video
    encoded for every question.
    """
    from tpo_core.batch import SlotBatch
    from tpo_core.media.open import open_media
    from tpo_core.records.schema import Message

    text, task = QUESTIONS[name]
    backbone, inner = model.backbone, model.backbone.model
    inner.lm.set_attn_implementation("eager")
    for label, parameter in inner.named_parameters():
        parameter.requires_grad_("lora_" in label)
    media = open_media(
        folder / "clip.mp4", num_frames=model.num_frames, choose=backbone.choose_frames
    )
    record = backbone.renderer.render(media, [[Message(role="user", content=text)]], generate=True)
    prompt = torch.cat([record.prefix_ids, record.branches[0].ids])
    ids: list[int] = []
    slot_state = None
    with _explicit_attention():
        visual = inner.encode(record.inputs["pixel_values"]).flatten(0, 1)
        out = _pass(inner, inputs_embeds=inner.embed(prompt[None], visual))
        forced = list(_pair(model, task))
        while len(ids) < TOKENS:
            token = forced.pop(0) if forced else int(_allowed(model, out.logits[0, -1]).argmax())
            ids.append(token)
            if len(ids) == TOKENS:
                break
            out = _pass(
                inner, input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values
            )
            if token in model.vocabulary.slots:
                slot_state = out.hidden_states[-1][:, -1]
    if task is None or slot_state is None:
        return Answered(tuple(ids), ())
    zero = torch.zeros(1, dtype=torch.long)
    slots = SlotBatch(positions=zero, record=zero, prompts=((),), questions=(text,))
    head = model.head_by_task[task]
    results = model.decode_head(head, slot_state, slots, [record], [None])
    return Answered(tuple(ids), _numbers(results))


def _pass(inner: Any, **inputs: Any) -> Any:
    return inner.lm(**inputs, use_cache=True, output_hidden_states=True)


def _pair(model: Any, task: str | None) -> tuple[int, ...]:
    """Return the ids of a task's trigger and slot."""
    if task is None:
        return ()
    token = model.vocabulary.tokens[task]
    return model.vocabulary.ids[token.trigger], model.vocabulary.ids[token.slot]


def _allowed(model: Any, logits: Tensor) -> Tensor:
    """Shut task tokens out, as ours does all but triggers, which these weights never write."""
    return logits.index_fill(-1, torch.tensor(list(model.vocabulary.ids.values())), float("-inf"))


@contextmanager
def _explicit_attention() -> Iterator[None]:
    """Let vision encoder and Q-Former make whole attention matrices."""

    def attention(
        q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0
    ) -> Tensor:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if attn_mask is not None:
            scores = scores + attn_mask
        return scores.softmax(-1) @ v

    with mock.patch.object(F, "scaled_dot_product_attention", attention):
        yield


def _words(name: str) -> tuple[Any, ...]:
    text, task = QUESTIONS[name]
    return text, None, (), task


def _numbers(results: list[Any]) -> tuple[float, ...]:
    """Return what a head found as plain numbers."""
    from tpo_core.results import Box

    numbers: list[float] = []
    for result in results:
        if isinstance(result, Box):
            numbers += [result.x1, result.y1, result.x2, result.y2]
        else:
            numbers += [x for span in result.spans for x in (span.start, span.end, span.score)]
            numbers += result.saliency
    return tuple(numbers)
