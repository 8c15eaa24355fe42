"""Sizes of a CG-DETR, named as upstream's options are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tpo_core.errors import InputError

# Upstream fixes the heads of its two text encoders, whatever `nheads` says.
TEXT_HEADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class CGDETRSettings:
    """Sizes of a CG-DETR; the defaults are those of the released TPO model.

    Args:
        v_feat_dim: Width of a clip's row, its two time columns included.
        t_feat_dim: Width of a text row and of the task token's state.
        hidden_dim: d, width of everything after the input projections; a multiple of 8.
        nheads: Attention heads over video and queries, divides `hidden_dim`.
        dim_feedforward: Width inside the feed-forward blocks.
        enc_layers: Self-attention layers over the global token and the clips.
        dec_layers: Decoder layers.
        t2v_layers: Layers in which clips read the text.
        moment_layers: Layers of the moment token's encoder.
        sent_layers: Layers of the sentence token's encoder.
        dummy_layers: Layers that put the dummy tokens in context.
        num_queries: Q, spans proposed.
        num_dummies: Dummy tokens, which take the attention of clips that match no word.
        total_prompts: Global tokens to choose from.
        num_prompts: How many of them are chosen for a video.
        dropout: Of attention and feed-forward blocks; also the drop-path rate of branches.
        input_dropout: Of the input projections.
        crossed_masks: Repeat what upstream does to padded batches, where samples see each other's
            padding; see `encoder.upstream_allowed`. Batches of one are the same either way.

    Raises:
        InputError: If a value is out of range.
    """

    v_feat_dim: int = 770
    t_feat_dim: int = 4096
    hidden_dim: int = 256
    nheads: int = 8
    dim_feedforward: int = 1024
    enc_layers: int = 3
    dec_layers: int = 3
    t2v_layers: int = 2
    moment_layers: int = 1
    sent_layers: int = 1
    dummy_layers: int = 2
    num_queries: int = 10
    num_dummies: int = 45
    total_prompts: int = 10
    num_prompts: int = 1
    dropout: float = 0.1
    input_dropout: float = 0.5
    crossed_masks: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name.endswith("dropout"):
                if not 0 <= value < 1:
                    raise InputError(f"CG-DETR's {name} is {value}; expected 0 <= it < 1")
            elif not isinstance(value, bool) and value < 1:
                raise InputError(f"CG-DETR's {name} is {value}; expected at least 1")
        for name, heads in (("nheads", self.nheads), ("text encoders' heads", TEXT_HEADS)):
            if self.hidden_dim % heads:
                raise InputError(
                    f"CG-DETR's hidden_dim is {self.hidden_dim}; expected a multiple of the {name},"
                    f" {heads}"
                )
        if self.num_prompts > self.total_prompts:
            raise InputError(
                f"CG-DETR's num_prompts is {self.num_prompts}; expected at most total_prompts, "
                f"{self.total_prompts}"
            )
