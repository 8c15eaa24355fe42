from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo_core.media.sampling import choose_frames

STARTS = [index / 4 for index in range(16)]


def choose(num_frames: int | None, **options: set[int]) -> tuple[int, ...]:
    return choose_frames(STARTS, duration=4.0, num_frames=num_frames, **options)


def test_preferred_frames_win_in_their_interval_only() -> None:
    # Labels on every fifth frame: 0, 5, 10, 15.
    assert choose(4, preferred={0, 5, 10, 15}) == (0, 5, 10, 15)
    assert choose(4, preferred={5}) == (2, 5, 10, 14)
    assert choose(4, preferred=set(range(16))) == choose(4) == (2, 6, 10, 14)


def test_required_frames_win_over_preferred_ones() -> None:
    assert choose(4, preferred={2, 6}, required={0, 15}) == (0, 6, 10, 15)
    assert choose(4, required={99, -1}) == choose(4)


def test_a_required_frame_is_taken_though_another_is_on_screen_at_the_middle() -> None:
    starts = [0.0, 3.9, 4.0, 5.0, 6.0, 7.0]
    chosen = choose_frames(starts, duration=8.0, num_frames=2, required={1})
    assert chosen == (1, 4)


@given(
    gaps=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=60),
    num_frames=st.integers(1, 20),
)
def test_choice_is_increasing_and_each_frame_covers_its_moment(
    gaps: list[float], num_frames: int
) -> None:
    starts = [sum(gaps[:index]) for index in range(len(gaps))]
    duration = sum(gaps)
    chosen = choose_frames(starts, duration=duration, num_frames=num_frames)
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) <= num_frames
    if len(starts) > num_frames:
        ends = [*starts[1:], duration]
        for interval in range(num_frames):
            moment = (interval + 0.5) * duration / num_frames
            on_screen = [i for i in chosen if starts[i] <= moment <= ends[i] + 1e-9]
            assert on_screen, f"nothing chosen is on screen at {moment}"


def test_all_frames() -> None:
    assert choose(None) == tuple(range(16))
    with pytest.raises(ValueError, match="num_frames is -1"):
        choose(-1)
