"""The temporal head: ranked moments in seconds and per-frame saliency.

Shapes: N slots, T groups of frames, P points of all pyramid levels, C width of the head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, Need, TaskHead
from tpo_core.media.types import Media
from tpo_core.records.schema import TemporalTarget
from tpo_core.results import Moments, Result, Span
from tpo_core.tokens import TEMPORAL
from tpo_heads.temporal import objective
from tpo_heads.temporal.lookup import StateLookup, fourier
from tpo_heads.temporal.pyramid import MaskedConv, Pyramid
from tpo_heads.temporal.spans import expected_iou, soft_nms
from tpo_heads.temporal.targets import skip_reason
from tpo_heads.temporal.timeline import Timeline, pad_tokens, timeline_of

_TIME_BANDS = 8
_MARGIN = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TemporalOutputs:
    """What the head computes for N slots, float32.

    Args:
        logits: `[N, P]`, quality of the span each point proposes.
        spans: `[N, P, 2]` on the group axis, start < end, not clamped.
        valid: `[N, P]` bool, False at padding.
        points: `[P]` centres on the group axis.
        inside: `[N, T]` logits, whether a group lies in the moment.
        saliency: `[N, T]` logits.
        timeline: Turns groups into seconds.
    """

    logits: Tensor
    spans: Tensor
    valid: Tensor
    points: Tensor
    inside: Tensor
    saliency: Tensor
    timeline: Timeline


class TemporalHead(TaskHead):
    """Finds the moments a `<temporal>` stands for.

    The state looks for what it asks about in each frame's tokens (`StateLookup`). A temporal
    pyramid steered by the state then tells of each group of frames whether it lies in the moment,
    and proposes a span at every point of every level. Runs of groups and proposals are ranked
    together, each by the IoU to be expected of it. Videos of any length share a batch.

    Losses, each a mean over slots: `label`, quality focal loss over points, per positive point;
    `overlap`, 1 - DIoU of the positives' spans; `boundary`, smooth L1 of their ends relative to
    the moment's length; `inside`, cross-entropy of the groups' membership; `saliency`,
    cross-entropy and margin ranking over frames (membership where no saliency is given).

    Args:
        hidden_size: D, width of the backbone's hidden states and frame features.
        state: Which state feeds the head, see `TaskHead`.
        width: C, divisible by `heads`.
        heads: Attention heads.
        depth: Temporal blocks.
        levels: Pyramid levels, strides 1, 2, 4, ...
        dropout: In the temporal blocks.
        keep: How many ranked spans `decode` returns at most.
        sigma: Width of soft-NMS's decay.
        threshold: Spans scored at least this count as moments of the answer.

    Raises:
        InputError: If an option is out of range.
    """

    tokens = (TEMPORAL,)
    Target = TemporalTarget
    needs: ClassVar[frozenset[Need]] = frozenset({"frame_features"})

    def __init__(
        self,
        hidden_size: int,
        *,
        state: Literal["slot", "trigger"] = "slot",
        width: int = 128,
        heads: int = 4,
        depth: int = 2,
        levels: int = 3,
        dropout: float = 0.1,
        keep: int = 10,
        sigma: float = 0.5,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(hidden_size, state=state)
        for name, value in (
            ("width", width),
            ("heads", heads),
            ("depth", depth),
            ("levels", levels),
            ("keep", keep),
            ("sigma", sigma),
        ):
            if value <= 0:
                raise InputError(f"temporal head option {name} is {value}; expected more than 0")
        if width % heads:
            raise InputError(f"temporal head width {width} is not a multiple of heads {heads}")
        for name, value in (("dropout", dropout), ("threshold", threshold)):
            if not 0 <= value < 1:
                raise InputError(f"temporal head option {name} is {value}; expected 0 <= it < 1")
        self.levels, self.keep, self.sigma, self.threshold = levels, keep, sigma, threshold
        self.lookup = StateLookup(hidden_size, width=width, heads=heads)
        self.guide = nn.Sequential(nn.Linear(hidden_size, width), nn.GELU())
        self.when = nn.Linear(2 * _TIME_BANDS + 1, width)
        self.pyramid = Pyramid(width, heads=heads, depth=depth, levels=levels, dropout=dropout)
        self.label_conv = MaskedConv(width)
        self.label = nn.Linear(width, 1)
        self.span_conv = MaskedConv(width)
        self.span = nn.Linear(width, 2)
        self.level_scale = nn.Parameter(torch.zeros(levels))
        self.inside = nn.Linear(width, 1)
        self.salient = nn.Linear(width, 1)
        nn.init.constant_(self.label.bias, -math.log(9))  # expected quality 0.1, as focal losses do

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weights of `label`, `overlap`, `boundary`, `inside` and `saliency`."""
        return {"label": 1.0, "overlap": 1.0, "boundary": 0.5, "inside": 1.0, "saliency": 0.5}

    def forward(self, states: Tensor, context: HeadContext) -> TemporalOutputs:
        """Propose spans for N slots.

        Args:
            states: `[N, D]`.
            context: With frame features of the media.

        Raises:
            InputError: If the context has no frame features.
        """
        if not context.features:
            raise InputError("the temporal head got no frame features; expected one per media item")
        states = states.to(self.parameter_dtype())
        rows = context.media_index.to(states.device)
        timeline = timeline_of(context.features, device=states.device).take(rows)
        tokens, token_valid = pad_tokens(context.features, like=states)
        valid = timeline.valid
        steps = torch.arange(valid.shape[1], device=states.device)
        through = (steps + 0.5) / timeline.lengths[:, None]
        when = torch.cat([through[..., None], fourier(through / 2, _TIME_BANDS)], dim=-1)
        x = self.lookup(states, tokens, token_valid, rows, valid) + self.when(when.to(states.dtype))
        guide = self.guide(nn.functional.layer_norm(states, states.shape[-1:]))
        levels = self.pyramid(x, valid, guide)

        logits, spans, centres = [], [], []
        for level, (features, mask) in enumerate(levels):
            stride = 2**level
            centre = torch.arange(mask.shape[1], device=states.device) * stride + 0.5
            label = self.label(nn.functional.gelu(self.label_conv(features, mask)))
            reach = self.span(nn.functional.gelu(self.span_conv(features, mask))).float()
            reach = stride * (reach + self.level_scale[level]).clamp(max=7).exp()
            logits.append(label.squeeze(-1).float())
            spans.append(torch.stack([centre - reach[..., 0], centre + reach[..., 1]], dim=-1))
            centres.append(centre)
        return TemporalOutputs(
            logits=torch.cat(logits, 1),
            spans=torch.cat(spans, 1),
            valid=torch.cat([mask for _, mask in levels], 1),
            points=torch.cat(centres),
            inside=self.inside(levels[0][0]).squeeze(-1).float(),
            saliency=self.salient(levels[0][0]).squeeze(-1).float(),
            timeline=timeline,
        )

    def loss(self, outputs: TemporalOutputs, targets: Sequence[TemporalTarget]) -> LossTerms:
        """Sum the five terms over N slots; see the class."""
        spans, real = objective.target_spans(targets, outputs.timeline)
        positive, target = objective.assign(outputs.points, outputs.valid, spans, real)
        label, overlap, boundary = objective.label_and_span_loss(
            outputs.logits, outputs.spans, positive, target, outputs.valid
        )
        members = objective.membership(outputs.timeline, spans, real)
        inside = objective.mean_entropy(outputs.inside, members, outputs.timeline.valid)
        labels, known = objective.saliency_labels(targets, outputs.timeline, members)
        saliency = objective.saliency_loss(outputs.saliency, labels, known, margin=_MARGIN)
        count = float(len(targets))
        return {
            "label": (label.sum(), count),
            "overlap": (overlap.sum(), count),
            "boundary": (boundary.sum(), count),
            "inside": (inside.sum(), count),
            "saliency": (saliency.sum(), count),
        }

    def decode(self, outputs: TemporalOutputs, context: HeadContext) -> list[Result]:
        """Return ranked spans in seconds, clamped to the video, and saliency at the frames."""
        spans, scores = self._candidates(outputs)
        keep = min(self.keep, scores.shape[1])
        kept, ranked = soft_nms(spans, scores, keep=keep, sigma=self.sigma)
        seconds = outputs.timeline.to_seconds(kept.flatten(1)).view_as(kept)
        saliency = outputs.saliency.detach().sigmoid()
        return [
            self._moments(*row)
            for row in zip(
                seconds.tolist(),
                ranked.tolist(),
                outputs.timeline.times.tolist(),
                saliency.tolist(),
                outputs.timeline.lengths.tolist(),
                strict=True,
            )
        ]

    @torch.no_grad()
    def _candidates(self, outputs: TemporalOutputs) -> tuple[Tensor, Tensor]:
        """Return `[N, P + T^2, 2]` spans of points and runs on the group axis, and their scores."""
        proposed = outputs.spans.clamp(min=0)
        proposed = torch.minimum(proposed, outputs.timeline.lengths[:, None, None])
        quality = outputs.logits.sigmoid() * outputs.valid
        valid = outputs.timeline.valid
        likely = expected_iou(outputs.inside.sigmoid() * valid) * valid[:, None]
        steps = torch.arange(likely.shape[1], device=likely.device)
        runs = torch.cartesian_prod(steps, steps + 1).to(proposed.dtype)
        spans = torch.cat([proposed, runs.expand(len(proposed), -1, -1)], 1)
        return spans, torch.cat([quality, likely.flatten(1)], 1)

    def _moments(
        self,
        spans: list[list[float]],
        scores: list[float],
        times: list[float],
        saliency: list[float],
        length: int,
    ) -> Moments:
        ranked = tuple(
            Span(start, end, score)
            for (start, end), score in zip(spans, scores, strict=True)
            if score > 0
        ) or (Span(spans[0][0], spans[0][1], scores[0]),)
        return Moments(
            spans=ranked,
            times=tuple(times[:length]),
            saliency=tuple(saliency[:length]),
            count=max(1, sum(span.score >= self.threshold for span in ranked)),
        )

    def skip_reason(self, target: TemporalTarget, media: Media | None) -> str | None:
        """Return why a target cannot be trained on; see `targets.skip_reason`."""
        return skip_reason(target, media)
