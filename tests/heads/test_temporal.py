"""The temporal head end to end: seconds, padding, bad input, and learning to find moments."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.head import HeadContext
from tpo_core.media.types import FrameFeatures, Media
from tpo_core.records.schema import TemporalTarget
from tpo_core.results import Moments
from tpo_heads.temporal import TemporalHead, TemporalOutputs
from tpo_heads.temporal.timeline import timeline_of


def video(features: Tensor, *, step: float = 0.5) -> tuple[Media, FrameFeatures]:
    count = len(features)
    times = torch.arange(count, dtype=torch.float64) * step
    media = Media(
        kind="video",
        frames=None,
        times=times,
        indices=tuple(range(count)),
        size=(48, 48),
        duration=count * step,
        total_frames=count,
    )
    grouped = FrameFeatures(features=features, times=times + step / 2, duration=media.duration)
    return media, grouped


def context_of(*features: Tensor, rows: list[int], step: float = 0.5) -> HeadContext:
    media, grouped = zip(*(video(item, step=step) for item in features), strict=True)
    return HeadContext(media=media, media_index=torch.tensor(rows), features=grouped)


NOWHERE = -1e4


def proposing(
    head: TemporalHead,
    spans: Tensor,
    scores: Tensor,
    *,
    groups: int,
    inside: Tensor | None = None,
) -> list[Moments]:
    """Decode given spans `[P, 2]` on the group axis of one video of 0.5 s a group."""
    context = context_of(torch.randn(groups, 4, head.hidden_size), rows=[0])
    outputs = TemporalOutputs(
        logits=torch.logit(scores)[None],
        spans=spans[None],
        valid=torch.ones(1, len(spans), dtype=torch.bool),
        points=spans.mean(1),
        inside=(torch.full((groups,), NOWHERE) if inside is None else torch.logit(inside))[None],
        saliency=torch.zeros(1, groups),
        timeline=timeline_of(context.features, device=torch.device("cpu")),
    )
    results = head.decode(outputs, context)
    assert all(isinstance(result, Moments) for result in results)
    return [result for result in results if isinstance(result, Moments)]


def test_decode_gives_seconds_within_the_video_best_first() -> None:
    spans = torch.tensor([[-1.0, 2.0], [6.0, 11.0], [3.0, 4.0]])
    (moments,) = proposing(TemporalHead(8), spans, torch.tensor([0.6, 0.9, 0.2]), groups=8)
    assert [(span.start, span.end) for span in moments.spans] == [(3, 4), (0, 1), (1.5, 2)]
    assert [span.score for span in moments.spans] == pytest.approx([0.9, 0.6, 0.2])
    assert moments.count == 2
    assert moments.times == tuple(0.25 + 0.5 * k for k in range(8))
    assert moments.saliency == (0.5,) * 8
    assert str(moments) == "0.0-1.0 s and 3.0-4.0 s"


def test_near_copies_of_a_span_are_not_counted_as_moments() -> None:
    spans = torch.tensor([[2.0, 6.0], [2.2, 6.0], [2.0, 5.5]])
    (moments,) = proposing(TemporalHead(8), spans, torch.tensor([0.9, 0.85, 0.8]), groups=8)
    assert moments.count == 1
    assert len(moments.spans) == 3


def test_runs_of_groups_are_ranked_with_the_proposals() -> None:
    inside = torch.tensor([0.0, 0.9, 0.9, 0.0, 0.0, 0.8, 0.0, 0.0])
    (moments,) = proposing(
        TemporalHead(8), torch.tensor([[0.0, 3.0]]), torch.tensor([0.6]), groups=8, inside=inside
    )
    # Of [1, 3] the expected IoU is 1.8 / 2, of [5, 6] it is 0.8 / 1.
    assert [(span.start, span.end) for span in moments.spans[:2]] == [(0.5, 1.5), (2.5, 3.0)]
    assert [span.score for span in moments.spans[:2]] == pytest.approx([0.9, 0.8])
    assert moments.count == 2


def test_at_least_one_moment_is_counted() -> None:
    (moments,) = proposing(
        TemporalHead(8), torch.tensor([[1.0, 2.0]]), torch.tensor([0.01]), groups=4
    )
    assert moments.count == 1


def test_keep_limits_the_candidates() -> None:
    head = TemporalHead(8, width=16, keep=3).eval()
    context = context_of(torch.randn(12, 4, 8), rows=[0])
    (moments,) = head.decode(head(torch.randn(1, 8), context), context)
    assert isinstance(moments, Moments)
    assert len(moments.spans) == 3


def test_spans_scale_with_the_time_between_frames() -> None:
    torch.manual_seed(0)
    head = TemporalHead(8, width=16).eval()
    states, features = torch.randn(1, 8), torch.randn(9, 4, 8)
    slow, fast = (
        head.decode(head(states, context), context)[0]
        for context in (context_of(features, rows=[0], step=step) for step in (2.0, 0.5))
    )
    assert isinstance(slow, Moments)
    assert isinstance(fast, Moments)
    for long, short in zip(slow.spans, fast.spans, strict=True):
        assert (long.start, long.end) == pytest.approx((4 * short.start, 4 * short.end), abs=1e-4)
        assert 0 <= long.start <= long.end <= 18


def test_frames_of_unlike_token_counts_share_a_batch() -> None:
    torch.manual_seed(0)
    head = TemporalHead(8, width=16).eval()
    states, wide, narrow = torch.randn(2, 8), torch.randn(5, 9, 8), torch.randn(3, 4, 8)
    both = head(states, context_of(wide, narrow, rows=[0, 1]))
    alone = head(states[1:], context_of(narrow, rows=[0]))
    torch.testing.assert_close(both.inside[1, :3], alone.inside[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.saliency[1, :3], alone.saliency[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.logits[1][both.valid[1]], alone.logits[0], atol=1e-5, rtol=1e-5)


def test_one_frame_is_enough() -> None:
    head = TemporalHead(8, width=16)
    context = context_of(torch.randn(1, 4, 8), rows=[0, 0])
    outputs = head(torch.randn(2, 8), context)
    targets = [TemporalTarget(spans=[(0.0, 0.5)]), TemporalTarget(spans=[(0.1, 0.2), (0.3, 0.4)])]
    assert all(total.isfinite() for total, _ in head.loss(outputs, targets).values())
    for moments in head.decode(outputs, context):
        assert isinstance(moments, Moments)
        assert 0 <= moments.spans[0].start <= moments.spans[0].end <= 0.5


def test_a_span_past_the_end_is_trained_as_the_last_frame() -> None:
    head = TemporalHead(8, width=16).eval()
    context = context_of(torch.randn(6, 4, 8), rows=[0])
    outputs = head(torch.randn(1, 8), context)
    terms = head.loss(outputs, [TemporalTarget(spans=[(4.0, 5.0)])])
    assert all(total.isfinite() for total, _ in terms.values())


def test_missing_or_empty_features_are_named() -> None:
    head = TemporalHead(8, width=16)
    context = context_of(torch.randn(3, 4, 8), rows=[0])
    with pytest.raises(InputError, match="got no frame features"):
        head(torch.randn(1, 8), replace(context, features=()))
    with pytest.raises(InputError, match=r"shape \[3, 0, 8\]; expected \[T, n, D\]"):
        head(torch.randn(1, 8), context_of(torch.randn(3, 0, 8), rows=[0]))


def test_what_is_no_moment_of_a_video_is_skipped() -> None:
    head, target = TemporalHead(8, width=16), TemporalTarget(spans=[(0.0, 1.0)])
    media, _ = video(torch.randn(3, 4, 8))
    assert head.skip_reason(target, media) is None
    assert head.skip_reason(target, replace(media, kind="image")) == (
        "moments were asked of a picture; they need a video"
    )
    late = TemporalTarget(spans=[(0.0, 1.0), (1.5, 2.0)])
    assert head.skip_reason(late, media) == (
        "moment [1.5, 2.0] starts after the video's end, 1.5 s"
    )
    assert head.skip_reason(target, None) == "no media item to find moments in"


def test_finds_when_objects_it_never_saw_are_visible() -> None:
    """Objects are directions in feature space; the state names one through a fixed rotation."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0]

    def batch(slots: int) -> tuple[Tensor, HeadContext, list[TemporalTarget]]:
        features, targets = [], []
        objects = torch.randn(slots, 16, generator=generator)
        for item in objects:
            frames = 0.3 * torch.randn(8, 4, 16, generator=generator)
            frames[:, 0] += torch.randn(16, generator=generator)  # a distractor, always there
            start, length, place = (
                int(value) for value in torch.rand(3, generator=generator) * torch.tensor([4, 3, 3])
            )
            end = start + length + 2
            frames[start:end, place + 1] += item
            features.append(frames)
            targets.append(TemporalTarget(spans=[(start / 2, end / 2)]))
        context = context_of(*features, rows=list(range(slots)))
        return objects @ rotation, context, targets

    head = TemporalHead(16, width=32, dropout=0.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(80):
        states, context, targets = batch(16)
        terms = head.loss(head(states, context), targets)
        loss = torch.stack([head.loss_weights[name] * t / n for name, (t, n) in terms.items()])
        optimizer.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
    states, context, targets = batch(64)
    results = head.eval().decode(head(states, context), context)
    hits = 0
    for result, target in zip(results, targets, strict=True):
        assert isinstance(result, Moments)
        (start, end), best = target.spans[0], result.spans[0]
        overlap = min(end, best.end) - max(start, best.start)
        hits += overlap / (max(end, best.end) - min(start, best.start)) >= 0.5
    assert hits / 64 >= 0.7
