"""The paper's temporal head: CG-DETR over clip features, asked by the task token's state.

Shapes: N slots, Lv clips, Q queries, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, TaskHead
from tpo_core.media.types import Media
from tpo_core.records.schema import TemporalTarget
from tpo_core.results import Moments, Result, Span
from tpo_core.tokens import TEMPORAL
from tpo_heads.clip_features import build_source
from tpo_heads.temporal.targets import skip_reason
from tpo_heads.temporal.timeline import Timeline
from tpo_heads.temporal_cgdetr.clips import SpanScale, batch_clips
from tpo_heads.temporal_cgdetr.losses import TOTAL_WEIGHT, WEIGHTS
from tpo_heads.temporal_cgdetr.model import CGDETR
from tpo_heads.temporal_cgdetr.objective import set_targets, slot_losses
from tpo_heads.temporal_cgdetr.outputs import CGDETROutputs
from tpo_heads.temporal_cgdetr.postprocess import (
    count_moments,
    rank_windows,
    round_to_clips,
    to_windows,
)
from tpo_heads.temporal_cgdetr.settings import CGDETRSettings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MomentsOutputs:
    """What the head computes for N slots.

    Args:
        model: Of CG-DETR.
        timeline: Turns clips into seconds.
        clip_length: `[N]` seconds.
    """

    model: CGDETROutputs
    timeline: Timeline
    clip_length: Tensor


class CGDETRHead(TaskHead):
    """Finds the moments a `<temporal>` stands for, with the head of the TPO paper.

    CG-DETR proposes Q spans among a video's clips; the state stands behind the words of the
    question as one more word. `cg_model.*` holds it under upstream's names.

    Losses and weights are upstream's, each term a mean over its own items: `span` (L1) and `giou`
    over matched pairs of query and span, `label`, `saliency`, `ms_align`, `distill` and
    `orthogonal_dummy` over slots; the first three are added up over decoder layers. A slot's terms
    are those of upstream's batch of one: sentences are not contrasted with other samples' moments,
    and there are no negatives from other videos, since either would make a slot's gradient depend
    on its neighbours in the micro-batch. `criterion` has upstream's own form.

    Args:
        hidden_size: D, width of the backbone's hidden states.
        state: Which state feeds the head, see `TaskHead`.
        features: Where clip features come from: `"backbone"`, its own frame features, or one source
            with its options, `{"files": {...}}` or `{"internvideo2": {...}}`, see
            `tpo_heads.clip_features`. If a source's text is not D wide, a learned projection
            brings the state to its width.
        normalize: Whether each row of features is scaled to length 1, as in TPO's training data
            (its app leaves that out).
        span_scale: What the end of a span, 1, stands for: `"clips"`, the end of the last clip, or
            `"duration"`, that of the video, as in upstream's app, although a partial last second
            has no clip.
        round_to_clips: Whether moments are rounded to whole clips, as in upstream's app.
        threshold: Further spans count as moments of the answer while at least this probable.
        model: Sizes that differ from the released model's, see `CGDETRSettings`.

    Raises:
        InputError: If an option is unknown or out of range.
    """

    tokens = (TEMPORAL,)
    Target = TemporalTarget

    def __init__(
        self,
        hidden_size: int,
        *,
        state: Literal["slot", "trigger"] = "slot",
        features: str | Mapping[str, Mapping[str, Any]] = "backbone",
        normalize: bool = True,
        span_scale: SpanScale = "clips",
        round_to_clips: bool = False,
        threshold: float = 0.5,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(hidden_size, state=state)
        if span_scale not in ("clips", "duration"):
            raise InputError(
                f"CG-DETR head option span_scale is {span_scale!r}; expected 'clips' or 'duration'"
            )
        if not 0 <= threshold <= 1:
            raise InputError(
                f"CG-DETR head option threshold is {threshold}; expected a probability, 0 to 1"
            )
        self.source = build_source(features, hidden_size=hidden_size)
        self.needs = self.source.needs  # type: ignore[misc]  # the source's, so not the class's
        self.normalize, self.span_scale = normalize, span_scale
        self.round_to_clips, self.threshold = round_to_clips, threshold
        self.widths = (self.source.video_width, self.source.text_width or hidden_size)
        self.cg_model = CGDETR(_settings(model or {}, widths=self.widths))
        self.prompt_proj = (
            nn.Identity()
            if self.widths[1] == hidden_size
            else nn.Linear(hidden_size, self.widths[1])
        )

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Upstream's weights, times its 0.05 for the head beside the LLM."""
        return {name: TOTAL_WEIGHT * weight for name, weight in WEIGHTS.items()}

    def forward(self, states: Tensor, context: HeadContext) -> MomentsOutputs:
        """Propose spans for N slots.

        Args:
            states: `[N, D]`.
            context: What the source needs: media, questions, frame features.

        Raises:
            InputError: If the source has no features for a slot, or they do not fit.
        """
        states = states.to(self.parameter_dtype())
        questions = context.questions or ("",) * len(states)
        clips = [
            self.source.clips(
                context.media[item],
                question,
                frame_features=context.features[item] if context.features else None,
                device=states.device,
            )
            for item, question in zip(context.media_index.tolist(), questions, strict=True)
        ]
        batch = batch_clips(
            clips,
            widths=self.widths,
            normalize=self.normalize,
            span_scale=self.span_scale,
            like=states,
        )
        outputs = self.cg_model(
            batch.video, batch.video_valid, batch.text, batch.text_valid, self.prompt_proj(states)
        )
        return MomentsOutputs(model=outputs, timeline=batch.timeline, clip_length=batch.clip_length)

    def counts(self, targets: Sequence[TemporalTarget]) -> dict[str, float]:
        """Return N, and for the terms of matched spans how many there will be."""
        queries = self.cg_model.settings.num_queries
        matched = float(sum(min(len(target.spans), queries) for target in targets))
        return super().counts(targets) | {"span": matched, "giou": matched}

    def loss(self, outputs: MomentsOutputs, targets: Sequence[TemporalTarget]) -> LossTerms:
        """Sum the terms over their items; see the class."""
        labels = set_targets(targets, outputs.timeline)
        moments = self.cg_model.moments(outputs.model.inputs, labels.relevant)
        with torch.autocast(labels.spans.device.type, enabled=False):
            terms = slot_losses(
                outputs.model, moments, labels, prompts=self.cg_model.global_rep_token
            )
        return {name: (terms[name], count) for name, count in self.counts(targets).items()}

    @torch.no_grad()
    def decode(self, outputs: MomentsOutputs, context: HeadContext) -> list[Result]:
        """Return Q ranked spans in seconds, clamped to the video, and the score of each clip."""
        timeline, last = outputs.timeline, outputs.model.predictions[-1]
        duration = timeline.edges[:, -1]
        probability = last.logits.softmax(-1)[..., 0]
        windows = rank_windows(to_windows(last.spans, probability, duration))
        if self.round_to_clips:
            windows = round_to_clips(windows, outputs.clip_length)
        return [
            Moments(
                spans=tuple(Span(*row) for row in rows),
                times=tuple(times[:length]),
                saliency=tuple(scores[:length]),
                count=count,
            )
            for rows, times, scores, length, count in zip(
                windows.tolist(),
                timeline.times.tolist(),
                outputs.model.saliency.tolist(),
                timeline.lengths.tolist(),
                count_moments(windows, self.threshold).tolist(),
                strict=True,
            )
        ]

    def skip_reason(self, target: TemporalTarget, media: Media | None) -> str | None:
        """Return why a target is no moment of its media, or why that has no features."""
        reason = skip_reason(target, media)
        return reason if reason or media is None else self.source.skip_reason(media)


def _settings(given: Mapping[str, Any], *, widths: tuple[int, int]) -> CGDETRSettings:
    """Build the settings; a clip's row has two time columns beside the source's."""
    try:
        return CGDETRSettings(v_feat_dim=widths[0] + 2, t_feat_dim=widths[1], **given)
    except TypeError as error:
        raise InputError(
            f"CG-DETR head option model is {dict(given)}: {error}; see CGDETRSettings for its "
            "sizes, of which those of the features come from the source"
        ) from error
