"""The temporal head's parts: the time axis, assignment of points, losses and suppression."""

from __future__ import annotations

import pytest
import torch

from tpo_core.media.types import FrameFeatures
from tpo_core.records.schema import Saliency, TemporalTarget
from tpo_heads.temporal import objective
from tpo_heads.temporal.lookup import StateLookup
from tpo_heads.temporal.spans import diou_loss, expected_iou, soft_nms, span_iou
from tpo_heads.temporal.timeline import Timeline, timeline_of

CPU = torch.device("cpu")


def axis(*videos: tuple[list[float], float]) -> Timeline:
    """Lay out videos given by centres of groups and duration."""
    return timeline_of(
        [
            FrameFeatures(
                features=torch.zeros(len(times), 1, 4), times=torch.tensor(times), duration=end
            )
            for times, end in videos
        ],
        device=CPU,
    )


UNEVEN = ([0.5, 1.5, 4.5], 6.0)
SHORT = ([1.0, 3.0], 4.0)


def test_edges_lie_midway_and_reach_both_ends() -> None:
    timeline = axis(UNEVEN, SHORT)
    assert timeline.edges.tolist() == [[0, 1, 3, 6], [0, 2, 4, 4]]
    assert timeline.lengths.tolist() == [3, 2]
    assert timeline.valid.tolist() == [[True] * 3, [True, True, False]]


def test_seconds_and_groups_are_inverse_and_clamped() -> None:
    timeline = axis(UNEVEN, SHORT)
    seconds = torch.tensor([[0.0, 0.5, 2.0, 4.5, 6.0, 9.0], [0.0, 1.0, 2.0, 3.0, 4.0, 9.0]])
    groups = timeline.to_groups(seconds)
    assert groups.tolist() == [[0, 0.5, 1.5, 2.5, 3, 3], [0, 0.5, 1, 1.5, 2, 2]]
    back = timeline.to_seconds(groups)
    assert back.tolist() == [[0, 0.5, 2, 4.5, 6, 6], [0, 1, 2, 3, 4, 4]]
    assert timeline.to_seconds(torch.tensor([[-3.0], [7.0]])).tolist() == [[0], [4]]


def test_a_duration_shorter_than_the_last_centre_does_not_break_the_axis() -> None:
    timeline = axis(([0.5, 1.5], 0.0))
    assert timeline.edges.tolist() == [[0, 1, 1.5]]
    assert timeline.to_groups(torch.tensor([[5.0]])).tolist() == [[2]]


def test_points_take_the_shortest_span_that_holds_them() -> None:
    points = torch.tensor([0.5, 1.5, 2.5, 3.5, 0.5, 2.5])
    valid = torch.tensor(
        [[True, True, True, True, True, True], [True, True, False, False, True, False]]
    )
    spans = torch.tensor([[[0.0, 4.0], [2.0, 3.0]], [[0.0, 1.0], [0.0, 0.0]]])
    positive, target = objective.assign(
        points, valid, spans, torch.tensor([[True, True], [True, False]])
    )
    assert positive.tolist() == [[True] * 6, [True, False, False, False, True, False]]
    assert target[0].tolist() == [[0, 4], [0, 4], [2, 3], [0, 4], [0, 4], [2, 3]]
    assert target[1, 0].tolist() == [0, 1]


def test_a_span_between_two_points_takes_the_nearest_valid_one() -> None:
    points = torch.tensor([0.5, 1.5, 2.5])
    spans, real = torch.tensor([[[1.6, 1.7]], [[2.4, 3.0]]]), torch.ones(2, 1, dtype=torch.bool)
    valid = torch.tensor([[True, True, True], [True, True, False]])
    positive, _ = objective.assign(points, valid, spans, real)
    assert positive.tolist() == [[False, True, False], [False, True, False]]


def test_saliency_labels_fall_back_to_membership() -> None:
    timeline = axis(([0.5, 1.5, 2.5, 3.5], 4.0), ([0.5, 1.5, 2.5, 3.5], 4.0), SHORT)
    targets = [
        TemporalTarget(spans=[(0.5, 2.0), (3.0, 4.0)]),
        TemporalTarget(
            spans=[(0.0, 1.0)],
            saliency=Saliency(times=[0.2, 0.8, 2.5, 99.0], scores=[1.0, 0.5, 0.25, 1.0]),
        ),
        TemporalTarget(spans=[(0.0, 2.0)]),
    ]
    spans, real = objective.target_spans(targets, timeline)
    inside = objective.membership(timeline, spans, real)
    assert inside.tolist() == [[0.5, 1, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]
    labels, known = objective.saliency_labels(targets, timeline, inside)
    assert labels.tolist() == [[0.5, 1, 0, 1], [0.75, 0, 0.25, 1], [1, 0, 0, 0]]
    assert known.tolist() == [[True] * 4, [True, False, True, True], [True, True, False, False]]


def test_saliency_loss_prefers_the_right_order() -> None:
    labels, known = torch.tensor([[1.0, 0.0, 0.0]]), torch.ones(1, 3, dtype=torch.bool)
    right, wrong = torch.tensor([[2.0, -2.0, -2.0]]), torch.tensor([[-2.0, 2.0, -2.0]])
    good = objective.saliency_loss(right, labels, known, margin=1.0)
    bad = objective.saliency_loss(wrong, labels, known, margin=1.0)
    assert good.item() == pytest.approx(0.126928, abs=1e-5)  # cross-entropy alone: ln(1 + e^-2)
    # cross-entropy (2 ln(1 + e^2) + ln(1 + e^-2)) / 3, hinge ((1 + 4) + (1 + 0)) / 2
    assert bad.item() == pytest.approx(1.460261 + 3.0, abs=1e-4)


def test_unknown_frames_do_not_count() -> None:
    labels, scores = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 50.0]])
    known = torch.tensor([[True, False]])
    loss = objective.saliency_loss(scores, labels, known, margin=1.0)
    assert loss.item() == pytest.approx(0.048587, abs=1e-5)


def test_span_iou_and_diou() -> None:
    a = torch.tensor([[0.0, 4.0], [0.0, 1.0], [1.0, 1.0]])
    b = torch.tensor([[2.0, 6.0], [3.0, 4.0], [1.0, 1.0]])
    torch.testing.assert_close(span_iou(a, b), torch.tensor([1 / 3, 0.0, 0.0]))
    torch.testing.assert_close(
        diou_loss(a, b), torch.tensor([1 - 1 / 3 + (2 / 6) ** 2, 1 + (3 / 4) ** 2, 1.0])
    )


def test_soft_nms_decays_overlapping_spans() -> None:
    spans = torch.tensor([[[0.0, 2.0], [0.0, 2.0], [4.0, 6.0]]])
    kept, scores = soft_nms(spans, torch.tensor([[0.9, 0.8, 0.5]]), keep=3, sigma=0.5)
    assert kept.tolist() == [[[0, 2], [4, 6], [0, 2]]]
    expected = [0.9, 0.5, 0.8 * torch.exp(torch.tensor(-2.0)).item()]
    assert scores[0].tolist() == pytest.approx(expected)


def test_expected_iou_of_runs() -> None:
    inside = torch.tensor([[0.5, 0.8, 0.9], [1.0, 1.0, 0.0]])
    found = expected_iou(inside)
    assert found.shape == (2, 3, 3)
    # [0, 1]: holds 0.5; the moment goes on for 0.8 + 0.8 * 0.9 groups.
    # [1, 2]: holds 0.8; it goes on for 0.5 before and 0.9 after. [1, 3]: holds 1.7, 0.5 before.
    rows = [[0.5 / 2.52, 1.3 / 2.9, 2.2 / 3], [0, 0.8 / 2.4, 1.7 / 2.5], [0, 0, 0.9 / 2.2]]
    assert found[0].flatten().tolist() == pytest.approx([x for row in rows for x in row])
    assert found[1].tolist() == [
        [0.5, 1, pytest.approx(2 / 3)],
        [0, 0.5, pytest.approx(1 / 3)],
        [0, 0, 0],
    ]


def test_lookup_tells_presence_and_movement() -> None:
    """With a shared projection, attention follows the token that equals the state."""
    torch.manual_seed(0)
    lookup = StateLookup(16, width=16, heads=1)
    lookup.key.load_state_dict(lookup.query.state_dict())
    lookup.scale.data.fill_(4.0)
    lookup.absent.data.fill_(0.6)
    state = torch.randn(1, 16)
    tokens = torch.randn(1, 4, 9, 16)
    for frame, place in enumerate((2, 2, 5)):
        tokens[0, frame, place] = state
    cues = {}
    lookup.merge.register_forward_pre_hook(lambda _, inputs: cues.update(all=inputs[0]))
    everything = torch.ones(1, 9, dtype=torch.bool)
    lookup(state, tokens, everything, torch.tensor([0]), torch.ones(1, 4, dtype=torch.bool))
    present, _, since, until = cues["all"][0, :, 32:36].T
    assert (present > 0.9).tolist() == [True, True, True, False]
    assert since[1] < 0.1
    assert since[2] > 0.9
    assert until.tolist()[1] == pytest.approx(since.tolist()[2])
    assert until[3] == since[0] == 0
