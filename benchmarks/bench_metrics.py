"""Metrics on made-up data of the real sizes, against the time each may take on two cores.

Nothing is trained or read; the data are made before the clock starts.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpo_core.evaluation.metrics.davis import DavisSequence, davis_scores
from tpo_core.evaluation.metrics.lasot import lasot_curves, lasot_scores
from tpo_core.evaluation.metrics.lasot_frames import LasotSequence
from tpo_core.evaluation.metrics.masks import j_and_f
from tpo_core.evaluation.metrics.qvhighlights import qvhighlights_report

RUNS = 3
QUERIES, WINDOWS = 1550, 10
FRAMES, HEIGHT, WIDTH = 1000, 480, 854
SEQUENCES, LENGTH = 280, 2500


def main() -> None:
    """Print a table."""
    rng = np.random.default_rng(0)
    rows = [
        (
            f"QVHighlights, every figure, {QUERIES:,} queries x {WINDOWS} spans x 75 clips",
            timed(qvhighlights(rng)),
            "2 s",
        ),
        (
            f"J&F, {FRAMES:,} frames {HEIGHT}x{WIDTH}, three objects joined",
            timed(joined_masks(rng)),
            "20 s",
        ),
        (
            "J&F as on Ref-DAVIS17, 100 frames 480x854, 3 objects x 3 proposals",
            timed(davis(rng)),
            "",
        ),
        *(
            (
                f"LaSOT, {variant}, {SEQUENCES} sequences, {SEQUENCES * LENGTH:,} frames",
                timed(lasot(rng, variant)),
                "5 s",
            )
            for variant in ("matlab", "pytracking", "got10k")
        ),
    ]
    print("| metric | seconds, median | slowest | may take |\n|---|---|---|---|")
    for name, times, limit in rows:
        print(f"| {name} | {statistics.median(times):.2f} | {max(times):.2f} | {limit} |")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, numpy {np.__version__}, "
        f"python {platform.python_version()}, {RUNS} runs"
    )


def timed(function: Callable[[], Any]) -> list[float]:
    """Return the seconds of each run."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def qvhighlights(rng: np.random.Generator) -> Callable[[], Any]:
    """Return a call of the whole report on as many queries as the validation split has."""
    truth, said = [], []
    for qid in range(QUERIES):
        bounds = np.sort(rng.choice(75, 2 * int(rng.integers(1, 6)), replace=False)) * 2
        windows = bounds.reshape(-1, 2).tolist()
        clips = [clip for start, end in windows for clip in range(start // 2, end // 2)]
        starts, lengths = rng.uniform(0, 120, WINDOWS), rng.uniform(1, 60, WINDOWS)
        scores = rng.random(WINDOWS)
        spans = np.stack([starts, starts + lengths, scores], axis=1)
        truth.append(
            {
                "qid": qid,
                "duration": 150,
                "relevant_windows": windows,
                "relevant_clip_ids": clips,
                "saliency_scores": rng.integers(0, 5, (len(clips), 3)).tolist(),
            }
        )
        said.append(
            {
                "qid": qid,
                "pred_relevant_windows": spans.tolist(),
                "pred_saliency_scores": rng.normal(size=75).tolist(),
            }
        )
    return lambda: qvhighlights_report(said, truth)


def blobs(rng: np.random.Generator, frames: int, objects: int) -> NDArray[np.bool_]:
    """Return `[frames, objects, H, W]`, ellipses that drift over the picture."""
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    masks = np.zeros((frames, objects, HEIGHT, WIDTH), dtype=bool)
    for number in range(objects):
        centre = np.array([rng.uniform(100, 380), rng.uniform(150, 700)])
        drift, (tall, wide) = rng.normal(size=2), rng.uniform(30, 150, 2)
        for frame in range(frames):
            y, x = centre + drift * (frame % 50)
            masks[frame, number] = ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 < 1
    return masks


def joined_masks(rng: np.random.Generator) -> Callable[[], Any]:
    """Return a call of J&F of one long video; the prediction is the truth, moved by some pixels."""
    masks = blobs(rng, 50, 3).any(axis=1)
    truth = np.tile(masks, (FRAMES // len(masks), 1, 1))
    predicted = np.roll(truth, (4, 7), axis=(1, 2))
    return lambda: j_and_f(predicted, truth)


def davis(rng: np.random.Generator) -> Callable[[], Any]:
    """Return a call of the unsupervised task on one video of 100 frames."""
    masks = blobs(rng, 100, 3)
    labels = (masks * np.arange(1, 4, dtype=np.uint8)[:, None, None]).max(axis=1)
    predicted = np.roll(labels, (4, 7), axis=(1, 2))
    sequence = DavisSequence(name="blobs", truth=labels, predicted=predicted)
    return lambda: davis_scores([sequence], task="unsupervised")


def lasot(rng: np.random.Generator, variant: Any) -> Callable[[], Any]:
    """Return a call of all curves and figures of the test split's size."""
    sequences = []
    for number in range(SEQUENCES):
        corner = rng.uniform(50, 500, 2) + rng.normal(size=(LENGTH, 2)).cumsum(0)
        truth = np.concatenate([corner, rng.uniform(20, 120, (LENGTH, 2))], axis=1).round()
        predicted = truth + rng.normal(scale=8, size=truth.shape)
        predicted[:, 2:] = predicted[:, 2:].clip(0)
        sequences.append(
            LasotSequence(
                name=f"sequence-{number}",
                truth=truth,
                prediction=predicted,
                absent=rng.random(LENGTH) < 0.03,
            )
        )
    return lambda: lasot_scores(lasot_curves(sequences, variant=variant), variant=variant)


if __name__ == "__main__":
    main()
