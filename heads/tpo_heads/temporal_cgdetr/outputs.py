"""What CG-DETR computes, step by step; float32 where it is compared with targets.

Shapes: B samples, Lv clips, K = dummies + words, Q queries, d width, R real negatives.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProjectedInputs:
    """Clips and text in the model's width.

    Args:
        video: `[B, Lv, d]`.
        video_valid: `[B, Lv]` bool, True first.
        video_position: `[B, Lv, d]`.
        text: `[B, K, d]`, dummies in context of the words, then words and the prompt.
        text_valid: `[B, K]` bool.
        text_position: `[1, K, d]`, zero but for the dummies.
        num_dummies: How many of the K are dummies.
    """

    video: Tensor
    video_valid: Tensor
    video_position: Tensor
    text: Tensor
    text_valid: Tensor
    text_position: Tensor
    num_dummies: int

    @property
    def dummies(self) -> Tensor:
        """`[B, num_dummies, d]`."""
        return self.text[:, : self.num_dummies]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """Spans of one decoder layer.

    Args:
        logits: `[B, Q, 2]`, foreground first.
        spans: `[B, Q, 2]` (centre, width) in [0, 1] of the clips.
    """

    logits: Tensor
    spans: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CGDETROutputs:
    """What a forward pass gives.

    Args:
        predictions: One a decoder layer, the last one's counts.
        saliency: `[B, Lv]` scores.
        attention: `[B, Lv, K]`, how clips attended to dummies and words, mean of heads and layers.
        relevance: `[B, Lv]` in [0, 1], the share of it that words got.
        inputs: What was computed from; `CGDETR.moments` and `CGDETR.negatives` go on from there.
    """

    predictions: tuple[Prediction, ...]
    saliency: Tensor
    attention: Tensor
    relevance: Tensor
    inputs: ProjectedInputs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MomentOutputs:
    """What training compares across the two modalities.

    Args:
        moment: `[B, d]`, a token that saw the relevant clips only.
        rest: `[B, d]`, the same token after seeing the other clips only.
        sentence: `[B, d]`, a token that saw the words.
        dummy_sentence: `[B, d]`, the same token after seeing the dummies.
        similarity: `[B, Lv, K]`, of clips in their moment with dummies and words.
        clips: `[B, Lv, d]`, clips as seen by the token that saw them.
    """

    moment: Tensor
    rest: Tensor
    sentence: Tensor
    dummy_sentence: Tensor
    similarity: Tensor
    clips: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Negatives:
    """Videos asked about with the text of another video.

    Args:
        real: `[B]` bool: the next sample's video is another one.
        saliency: `[R, Lv]` scores, for the R samples where it is.
        relevance: `[R, Lv]`, as in `CGDETROutputs`.
    """

    real: Tensor
    saliency: Tensor
    relevance: Tensor
