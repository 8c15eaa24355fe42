"""DAVIS' two tasks on label maps of a few pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.davis import DavisSequence, davis_scores, mean_figures


def two_objects(frames: int = 4) -> np.ndarray:
    labels = np.zeros((frames, 20, 20), np.uint8)
    labels[:, 2:8, 2:8] = 1
    labels[:, 12:18, 12:18] = 2
    return labels


def sequence(truth: np.ndarray, predicted: np.ndarray) -> list[DavisSequence]:
    return [DavisSequence(name="s", truth=truth, predicted=predicted)]


def test_first_and_last_frame_count_in_the_unsupervised_task_alone() -> None:
    truth = two_objects()
    predicted = truth.copy()
    predicted[[0, -1]] = 0
    assert davis_scores(sequence(truth, predicted), task="semi-supervised")[0].jf == 1
    assert davis_scores(sequence(truth, predicted), task="unsupervised")[0].jf == 0.5


def test_proposals_are_assigned_to_objects() -> None:
    truth = two_objects()
    swapped = np.where(truth > 0, 3 - truth, 0)
    assert davis_scores(sequence(truth, swapped), task="semi-supervised")[0].j == 0
    mean, each = davis_scores(sequence(truth, swapped), task="unsupervised")
    assert mean.j == 1
    assert list(each) == ["s_1", "s_2"]


def test_void_is_background_or_ignored() -> None:
    truth = two_objects()
    predicted = truth.copy()
    truth[:, 2:8, 5:8] = 255  # half of object 1
    semi, _ = davis_scores(sequence(truth, predicted), task="semi-supervised")
    free, _ = davis_scores(sequence(truth, predicted), task="unsupervised")
    assert semi.j == pytest.approx((0.5 + 1) / 2)
    assert free.j == 1


def test_late_objects_are_ignored_and_lost_ones_score_0() -> None:
    truth = two_objects()
    truth[1:, 0, 0] = 3
    only_first = np.where(truth == 1, 1, 0)
    mean, each = davis_scores(sequence(truth, only_first), task="semi-supervised")
    assert (mean.j, len(each)) == (0.5, 2)


def test_recall_and_decay() -> None:
    truth = two_objects(10)
    predicted = truth.copy()
    predicted[5:] = 0
    mean, _ = davis_scores(sequence(truth, predicted), task="semi-supervised")
    # Eight frames count, of which four are right: all of the first quarter, none of the last.
    assert (mean.j, mean.j_recall, mean.j_decay) == (0.5, 0.5, 1.0)
    assert mean_figures([mean, mean]) == mean


def test_decay_keeps_frame_numbers_in_8_bits_as_the_official_code() -> None:
    truth = np.zeros((302, 2, 2), np.uint8)
    truth[:, 0, 0] = 1
    mean, _ = davis_scores(sequence(truth, truth), task="semi-supervised")
    # Frames 224 to 299 are the last quarter; 299 becomes 43, which leaves none.
    assert mean.j == 1
    assert np.isnan(mean.j_decay)


def test_wrong_labels_are_named() -> None:
    truth = two_objects()
    with pytest.raises(InputError, match="s has 2 objects, and a prediction with label 5"):
        davis_scores(sequence(truth, np.full_like(truth, 5)), task="semi-supervised")
    with pytest.raises(InputError, match="label 21; up to 20 proposals"):
        davis_scores(sequence(truth, np.full_like(truth, 21)), task="unsupervised")
    with pytest.raises(InputError, match=r"shape \(4, 20, 20\) and the predicted ones \(3, 20"):
        davis_scores(sequence(truth, truth[1:]), task="unsupervised")
    with pytest.raises(InputError, match="s has 2 frames; expected three or more"):
        davis_scores(sequence(truth[:2], truth[:2]), task="semi-supervised")
    with pytest.raises(InputError, match="no sequence has an object"):
        davis_scores(sequence(truth * 0, truth), task="unsupervised")
