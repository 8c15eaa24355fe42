"""GOT-10k's rules on sequences of a few frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.got10k import Got10kSequence, clipped_iou, got10k_scores

BOX, HALF, FAR = [10.0, 10.0, 20.0, 20.0], [10.0, 10.0, 20.0, 10.0], [70.0, 70.0, 9.0, 9.0]


def sequence(truth: Any, *predictions: Any, cover: Any = None, name: str = "one") -> Any:
    return Got10kSequence(
        name=name,
        truth=truth,
        predictions=predictions,
        cover=[8] * len(truth) if cover is None else cover,
        size=(100, 100),
    )


def test_first_and_unseen_frames_do_not_count_and_a_tie_is_a_miss() -> None:
    total, each = got10k_scores([sequence([BOX] * 4, [FAR, BOX, HALF, FAR], cover=[8, 8, 1, 0])])
    assert (total.frames, total.length) == (2, 3)
    assert (total.ao, total.sr50, total.sr75) == pytest.approx((0.75, 0.5, 0.5))
    assert each["one"].ao == total.ao


def test_frames_of_all_sequences_and_repetitions_weigh_alike() -> None:
    total, each = got10k_scores(
        [
            sequence([BOX] * 4, [BOX] * 4, [FAR] * 4, name="long"),
            sequence([BOX] * 2, [FAR] * 2, name="short"),
        ]
    )
    assert total.ao == pytest.approx(3 / 7)
    assert (each["long"].ao, each["short"].ao) == pytest.approx((0.5, 0.0))


def test_a_box_left_of_the_picture_is_moved_and_not_shortened() -> None:
    outside = np.array([[-10.0, 10.0, 20.0, 20.0]])
    assert clipped_iou(outside, np.array([[0.0, 10.0, 20.0, 20.0]]), size=(100, 100)) == 1
    assert clipped_iou(np.zeros((1, 4)), np.zeros((1, 4)), size=None) == 0


def test_wrong_lengths_are_named() -> None:
    with pytest.raises(InputError, match="one has 2 frames and 1 predictions"):
        got10k_scores([sequence([BOX] * 2, [BOX])])
    with pytest.raises(InputError, match="one has 2 frames and 1 cover labels"):
        got10k_scores([sequence([BOX] * 2, [BOX] * 2, cover=[8])])
    with pytest.raises(InputError, match="no frame of 1 sequences counts"):
        got10k_scores([sequence([BOX] * 2)])
