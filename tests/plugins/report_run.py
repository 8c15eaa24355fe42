"""Write a quickstart's folder without a model: the real world, an oracle's evaluations, a log."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from tests.plugins.oracle import Oracle
from tpo_core.evaluation import evaluate
from tpo_core.results import Box, MaskTrack, Moments, Span
from tpo_plugins.world import generate_world

STAGES = ("task_assignment", "task_tuning", "multi_task")


def write_run(folder, *, records=24, seed=2):
    """Write everything that a report reads, the predictions a little off."""
    generate_world(folder / "world", seed=seed, sizes={"train": 2, "test": records})
    chance = random.Random(seed)
    silent = Oracle(folder / "world", spoil=lambda results: [])
    noisy = Oracle(folder / "world", spoil=lambda found: [_spoil(one, chance) for one in found])
    results = {}
    for when, model in (("before", silent), ("after", noisy)):
        output = folder / "evaluation" / when
        data = folder / "world"
        result = evaluate("tiny_world", model, data=data, progress=False, output=output)
        results[when] = dict(result.metrics)
    metrics = {
        **results,
        "seconds": 512.3,
        "peak_rss_mb": 2048.5,
        "seed": seed,
        "budget": None,
        "records": {"train": 2, "test": records},
        "questions": len(result.predictions),
        "phases": {"world": 14.2, "before": 40.1, "train": 400.9, "after": 44.0},
        "resumed": 0,
        "cpus": 2,
        "versions": dict(result.versions),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "recipe.json").write_text(json.dumps({"stages": [{"name": s} for s in STAGES]}))
    (folder / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in _log(chance)))
    return metrics


def _spoil(one, chance):
    task, result = one
    if isinstance(result, Box):
        moved = [min(max(edge + chance.gauss(0, 0.02), 0), 1) for edge in result.xyxy]
        result = Box(*moved)
    elif isinstance(result, Moments):
        spans = tuple(
            Span(max(s.start + chance.gauss(0, 0.3), 0), s.end + chance.gauss(0, 0.3), 0.9)
            for s in result.spans
        )
        times = tuple(0.25 + 0.5 * k for k in range(8))
        saliency = tuple(chance.random() for _ in times)
        result = Moments(spans=spans, times=times, saliency=saliency, count=len(spans))
    elif isinstance(result, MaskTrack):
        shift = chance.choice((0, 1, 2))
        result = replace(result, masks=result.masks.roll(shift, dims=2))
    return task, result


def _log(chance):
    terms = {
        "lm": 1.4,
        "region/l1": 0.4,
        "region/giou": 1.1,
        "temporal/label": 0.7,
        "temporal/overlap": 0.9,
        "temporal/boundary": 0.5,
        "temporal/saliency": 1.2,
        "mask/prompt": 0.9,
        "mask/bce": 0.3,
        "mask/dice": 0.8,
    }
    at = 0
    for stage, steps in zip(STAGES, (40, 250, 150), strict=True):
        for step in range(10, steps + 1, 10):
            at += 10
            fallen = {
                name: value * (0.15 + 0.85 / (1 + at / 60)) * chance.uniform(0.85, 1.15)
                for name, value in terms.items()
            }
            loss = sum(fallen.values())
            yield {"stage": stage, "step": step, "loss": loss, **fallen, "lr": 1e-3, "bad": 0}
