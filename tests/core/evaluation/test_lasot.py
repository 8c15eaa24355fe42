"""Where the toolkits of LaSOT differ, on sequences of a few frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.lasot import lasot_curves, lasot_scores
from tpo_core.evaluation.metrics.lasot_frames import LasotSequence, frame_errors

BOX = [10.0, 10.0, 20.0, 20.0]
FAR = [900.0, 900.0, 20.0, 20.0]


def sequence(truth: Any, prediction: Any, absent: Any = None, name: str = "one") -> LasotSequence:
    flags = np.zeros(len(truth), bool) if absent is None else np.array(absent, bool)
    return LasotSequence(name=name, truth=truth, prediction=prediction, absent=flags)


def scores(*sequences: LasotSequence, variant: Any = "matlab", **options: Any) -> Any:
    return lasot_scores(lasot_curves(sequences, variant=variant, **options), variant=variant)


def test_absent_frames_are_no_hit_and_stay_in_the_denominator() -> None:
    perfect = sequence([BOX] * 4, [BOX] * 4, [0, 0, 0, 1])
    for variant in ("matlab", "pytracking"):
        assert scores(perfect, variant=variant).precision == 0.75
        assert scores(perfect, variant=variant, valid_frames_only=True).precision == 1
    assert scores(perfect, variant="got10k").precision == 1


def test_the_first_prediction_is_replaced_and_counted_and_surplus_rows_are_cut() -> None:
    assert scores(sequence([BOX] * 2, [FAR, FAR, BOX, BOX])).precision == 0.5


def test_a_box_without_area_is_replaced_by_the_one_before() -> None:
    empty = [0.0, 0.0, 0.0, 5.0]
    errors = frame_errors(sequence([BOX] * 4, [FAR, empty, BOX, empty]))
    # The second frame gets the tracker's own first box, not the right one.
    assert errors.overlap.tolist() == [1, 0, 1, 1]
    kept = frame_errors(sequence([BOX] * 4, [FAR, empty, BOX, empty]), variant="got10k")
    assert kept.overlap.tolist() == pytest.approx([1, 0, 1, 0])


def test_broken_boxes_are_replaced_too_but_stop_pytracking() -> None:
    broken = sequence([BOX] * 3, [BOX, [np.nan, 1, 1, 1], [1, 1, -1, 1]])
    assert frame_errors(broken).overlap.tolist() == [1, 1, 1]
    with pytest.raises(InputError, match=r"one: frame 1 has the box \[nan"):
        frame_errors(broken, variant="pytracking")


def test_a_visible_frame_with_an_invalid_right_box() -> None:
    odd = sequence([BOX, [0.0, 5.0, 10.0, 10.0]], [BOX, FAR])
    matlab, pytracking = scores(odd), scores(odd, variant="pytracking")
    assert (matlab.op50, matlab.precision, matlab.normalised_precision) == (0.5, 1, 1)
    assert (pytracking.op50, pytracking.precision, pytracking.normalised_precision) == (0.5, 0.5, 1)


def test_only_matlab_leaves_out_sequences_whose_curve_is_0() -> None:
    lost = sequence([[0.0, 0.0, 0.0, 0.0]] * 2, [FAR] * 2, [1, 1], name="lost")
    good = sequence([BOX] * 2, [BOX] * 2, name="good")
    assert scores(good, lost).precision == 1
    assert scores(good, lost, variant="pytracking").precision == 0.5


def test_sequences_weigh_alike_and_got10k_averages_normalised_precision() -> None:
    short, long = sequence([BOX] * 2, [BOX] * 2), sequence([BOX] * 9, [FAR] * 9)
    assert scores(short, long).precision == pytest.approx((1 + 1 / 9) / 2)
    near = sequence([BOX] * 2, [BOX, [12.0, 10.0, 20.0, 20.0]])
    # Off by a tenth of the width: within 0.2, and within 41 of the 51 thresholds.
    assert scores(near).normalised_precision == 1
    assert scores(near, variant="got10k").normalised_precision == pytest.approx((1 + 41 / 51) / 2)


def test_wrong_tables_are_named() -> None:
    with pytest.raises(InputError, match="one has 2 frames, 1 predictions and 2 flags"):
        frame_errors(sequence([BOX] * 2, [BOX]))
    with pytest.raises(InputError, match="one: the predictions are no table of boxes"):
        frame_errors(sequence([BOX], [[1, 2, 3]]))
    with pytest.raises(InputError, match="no sequence to score"):
        lasot_curves([])
    with pytest.raises(InputError, match="one has no frame that counts"):
        lasot_curves([sequence([BOX], [BOX], [1])], valid_frames_only=True)
