"""What an evaluation is of: two whose descriptions differ must not share a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.evaluation.benchmark import Benchmark
from tpo_core.versions import versions_of

if TYPE_CHECKING:
    from tpo_core.model import TpoModel

_PACKAGES: Final = ("tpo", "torch", "transformers", "peft", "sam2")
_SAMPLED: Final = 64
"""How many values of each weight its fingerprint looks at."""


def described_run(
    benchmark: Benchmark, *, model: Mapping[str, Any], data: Path, limit: int | None
) -> dict[str, Any]:
    """Return what is evaluated on what, as plain JSON values.

    Args:
        benchmark: The benchmark.
        model: The model or the file of predictions, described.
        data: The folder of the benchmark's files.
        limit: How many media are looked at; all if None.
    """
    run = {
        "benchmark": benchmark.name,
        "protocol": dict(benchmark.protocol),
        "model": dict(model),
        "data": str(data.resolve()),
        "limit": limit,
        "versions": versions_of(_PACKAGES),
    }
    values: dict[str, Any] = json.loads(json.dumps(run))
    return values


def described_model(model: TpoModel) -> dict[str, Any]:
    """Return what a model is made of, its weights by their fingerprint."""
    return {
        "backbone": model.origin.backbone,
        "heads": sorted(model.origin.heads),
        "weights": fingerprint(model),
    }


def fingerprint(model: TpoModel) -> str:
    """Return a hash of names, shapes, types and some evenly spread values of the parameters.

    Quick for any size; training changes it, as it moves every value that it may.
    """
    import torch

    found = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        values: list[float] = []
        if not weight.is_meta:  # as one that is offloaded to a disk is
            flat = weight.detach().flatten()
            step = max(1, len(flat) // _SAMPLED)
            values = flat[::step].to("cpu", torch.float64).tolist()
        found.update(repr((name, list(weight.shape), str(weight.dtype), values)).encode())
    return found.hexdigest()[:16]
