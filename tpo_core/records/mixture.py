"""Mix datasets by weight, the same way for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpo_core.errors import InputError


def mixture_indices(
    sizes: Sequence[int], weights: Sequence[float] | None, length: int, seed: int
) -> list[tuple[int, int]]:
    """Draw samples from several datasets in the shares that the weights say.

    Each dataset is gone through in a random order without repetition, then again in another order.
    Shares are exact up to rounding (largest remainder).

    Args:
        sizes: How many samples each dataset has.
        weights: The share of each dataset, in any unit; the sizes if None.
        length: How many samples to draw.
        seed: Same seed, same draw.

    Returns:
        `(dataset, index)` per sample.

    Raises:
        InputError: If sizes and weights do not fit each other or are not usable.
    """
    import numpy as np

    shares = [float(weight) for weight in (sizes if weights is None else weights)]
    if len(shares) != len(sizes):
        raise InputError(f"{len(shares)} weights for {len(sizes)} datasets; expected one each")
    if any(not math.isfinite(share) or share < 0 for share in shares) or not sum(shares) > 0:
        raise InputError(f"weights are {shares}; expected numbers >= 0, not all of them 0")
    for number, (size, share) in enumerate(zip(sizes, shares, strict=True)):
        if share > 0 and size < 1:
            raise InputError(f"dataset {number} has weight {share:g} but no samples; drop it")
    drawn: list[tuple[int, int]] = []
    for dataset, count in enumerate(_counts(shares, length)):
        passes = -(-count // sizes[dataset]) if count else 0
        orders = [
            np.random.default_rng((seed, dataset, number)).permutation(sizes[dataset])
            for number in range(passes)
        ]
        flat = [int(index) for order in orders for index in order]
        drawn += [(dataset, index) for index in flat[:count]]
    # Which dataset comes when is shuffled; the order within each dataset stays.
    turns = [dataset for dataset, _ in drawn]
    queues = {
        dataset: iter([pair for pair in drawn if pair[0] == dataset]) for dataset in set(turns)
    }
    shuffled = np.random.default_rng((seed, len(sizes))).permutation(turns)
    return [next(queues[int(dataset)]) for dataset in shuffled]


def _counts(shares: Sequence[float], length: int) -> list[int]:
    """Split `length` by shares: whole parts first, the rest to the largest remainders."""
    total = sum(shares)
    exact = [share / total * length for share in shares]
    counts = [math.floor(part) for part in exact]
    by_remainder = sorted(
        range(len(shares)), key=lambda number: counts[number] - exact[number] or -shares[number]
    )
    for number in by_remainder[: length - sum(counts)]:
        counts[number] += 1
    return counts
