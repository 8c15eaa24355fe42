"""Made-up media and conversations for testing backbones, and runs without any packing.

Shapes: T frames, L tokens of a path (prefix and one branch), D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from tpo_core.backbone import BackboneAdapter, PackedTokens, RenderedRecord, TokenEmbeddings
from tpo_core.batch import pack
from tpo_core.media.types import Media
from tpo_core.records.schema import Message

TASK_TOKENS = ("<box_begin>", "<boxes>", "<track_box>")
MediaName = Literal["image", "video", "text"]

_SINGLE = (
    ("When does the red circle appear?", "It appears at <box_begin><boxes>."),
    ("Where is <track_box>?", "left of a square"),
)
_SEVERAL = (("How many shapes are there?", "three"), ("Which one moves?", "the blue <boxes> one"))


def conversations(*, several: bool = True) -> list[list[Message]]:
    """Return two conversations of one question each and, if asked for, one of two."""
    groups = [(pair,) for pair in _SINGLE] + ([_SEVERAL] if several else [])
    return [[message for pair in group for message in _turns(*pair)] for group in groups]


def _turns(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]


def sample_media(
    name: MediaName, *, frames: int = 4, size: tuple[int, int] = (60, 80), seed: int = 0
) -> Media | None:
    """Make an image, a video whose second frame repeats the first, or nothing.

    Args:
        name: What to make.
        frames: T of the video.
        size: Height and width in pixels.
        seed: Of the random pixels.
    """
    if name == "text":
        return None
    generator = torch.Generator().manual_seed(seed)
    count = frames if name == "video" else 1
    pixels = torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)
    if count > 1:
        pixels[1] = pixels[0]
    step = 0.5
    return Media(
        kind="video" if name == "video" else "image",
        frames=pixels,
        times=torch.arange(count, dtype=torch.float64) * step,
        indices=tuple(range(0, count * 5, 5)),
        size=size,
        duration=count * step if name == "video" else 0.0,
        total_frames=count * 5 if name == "video" else 1,
    )


def alone(record: RenderedRecord, branch: int) -> PackedTokens:
    """Return one path of a record as a batch of its own."""
    return pack([only(record, branch)])


def only(record: RenderedRecord, branch: int) -> RenderedRecord:
    """Return a record with one of its branches."""
    return RenderedRecord(
        prefix_ids=record.prefix_ids,
        branches=(record.branches[branch],),
        inputs=record.inputs,
        media=record.media,
        extras=record.extras,
    )


def native_run(
    backbone: BackboneAdapter, record: RenderedRecord, branch: int, *, text_type: int = 0
) -> tuple[Tensor, Tensor]:
    """Run one path through the transformers model as its users do: pixels in, its own masks.

    Args:
        backbone: With a transformers model.
        record: Rendered by it.
        branch: Which of its branches.
        text_type: Token type of text, where the model takes token types.

    Returns:
        The last hidden states `[L, D]` and the logits `[L, V]`.
    """
    model: Any = backbone.model
    ids = torch.cat([record.prefix_ids, record.branches[branch].ids])
    dtype = model.get_input_embeddings().weight.dtype
    inputs = {
        name: value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in record.inputs.items()
    }
    for name, types in record.extras.items():
        rest = types.new_full((len(ids) - len(types),), text_type)
        inputs[name] = torch.cat([types, rest])[None]
    output = model(
        input_ids=ids[None],
        attention_mask=torch.ones_like(ids)[None],
        output_hidden_states=True,
        use_cache=False,
        **inputs,
    )
    return output.hidden_states[-1][0], output.logits[0]


def assert_close(found: Tensor, expected: Tensor, *, tolerance: float, what: str) -> None:
    """Assert that nothing differs by more than `tolerance` of the largest expected value (or 1)."""
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    if found.numel() == 0:
        return
    scale = max(float(expected.detach().abs().max()), 1.0)
    error = float((found - expected).detach().abs().max()) / scale
    assert error <= tolerance, f"{what}: differs by {error:.1e}, more than {tolerance:.0e}"


def embedding_tables(model: Any) -> list[Tensor]:
    """Return the input embedding and, if it is another tensor, the output embedding."""
    tables = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings()
    if head is not None and head.weight is not tables[0]:
        tables.append(head.weight)
    return [table.detach() for table in tables]


def noisy(rows: Tensor) -> Tensor:
    """Return rows with noise added, as large as they are and not constant along any axis."""
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(5))
    return rows + noise.to(rows.dtype) * rows.abs().max()


def replacing(token: int, values: Tensor) -> TokenEmbeddings:
    """Return the embeddings `values` `[E, D]` for E occurrences of one prompt token."""
    return TokenEmbeddings(token_ids=torch.full((len(values),), token), values=values)


def gradients(tensors: Sequence[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Return copies of the gradients of named parameters that have one."""
    return {name: value.grad.clone() for name, value in tensors if value.grad is not None}
