"""The main job, phase by phase."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.files import held
from tpo_plugins.quickstart.plan import RECIPE, Plan
from tpo_plugins.quickstart.show import Show
from tpo_plugins.quickstart.state import State, open_state, write_json

if TYPE_CHECKING:
    from tpo_core.model import TpoModel
    from tpo_core.training import Recipe

BENCHMARK: Final = "tiny_world"
BARS: Final[Mapping[str, float]] = {
    "region_acc@0.5": 0.80,
    "temporal_r1@0.5": 0.80,
    "temporal_r1@0.7": 0.60,
    "mask_j&f": 0.70,
}
"""What a full quickstart is meant to reach; `qa_accuracy` is meant not to fall."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What the phases share.

    Args:
        state: The folder, the plan and what is done.
        show: What the terminal sees.
    """

    state: State
    show: Show

    @property
    def world(self) -> Path:
        """The world's folder."""
        return self.state.folder / "world"

    @property
    def model(self) -> Path:
        """The trained model's folder."""
        return self.state.folder / "model"

    def evaluation(self, when: str) -> Path:
        """Return the folder of the evaluation `before` or `after`."""
        return self.state.folder / "evaluation" / when

    def recipe(self) -> Recipe:
        """Return the shipped recipe, its steps scaled to the plan."""
        from tpo_core.training import load_recipe

        placed = {"data.root": str(self.world)}
        shipped = load_recipe(RECIPE, placed)
        steps = {i: s.steps for i, s in enumerate(shipped.stages) if s.steps is not None}
        return load_recipe(RECIPE, self.state.plan.overrides(steps, world=str(self.world)))


def quickstart(
    output: str | os.PathLike[str],
    *,
    budget: float | None = None,
    seed: int = 0,
    resume: bool = False,
    show: Show | None = None,
) -> dict[str, Any]:
    """Write the world, evaluate, train the shipped recipe, evaluate again, and report.

    Args:
        output: The folder for everything; made if missing.
        budget: Seconds it may take on two CPU cores; fewer records and steps if short.
        seed: Of everything.
        resume: Go on where a quickstart in this folder was cut short.
        show: What the terminal sees; nothing if None.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: An argument is wrong, or the folder holds other things, cannot be written, or is
            being written by another process.
        CheckpointError: A model or checkpoint cannot be written.
    """
    started = time.perf_counter()
    plan = Plan.make(budget=budget, seed=seed)
    with held(Path(output)):
        state = open_state(Path(output), plan, resume=resume)
        job = Job(state=state, show=show or Show.silent())
        job.show.begin(
            plan, [(name, title) for name, (title, _) in PHASES.items()], started=started
        )
        for name, (_, work) in PHASES.items():
            if name in state.seconds:
                job.show.skip(name)
                continue
            job.show.phase(name)
            since = time.perf_counter()
            work(job)
            state.finish(name, seconds=time.perf_counter() - since, peak_rss_mb=peak_rss_mb())
        metrics = write_metrics(job)
        job.show.end(metrics, BARS)
        return metrics


def write_world(job: Job) -> None:
    """Write the world's videos, pictures and records."""
    from tpo_plugins.world import generate_world

    plan = job.state.plan
    generate_world(job.world, seed=plan.seed, sizes=plan.sizes)


def evaluate_before(job: Job) -> None:
    """Evaluate the backbone with the heads attached, before any training.

    The weights are those that training starts from: both come of the recipe's seed.
    """
    from transformers import set_seed

    from tpo_core.build import attach

    recipe = job.recipe()
    set_seed(recipe.seed)
    lora = recipe.lora.settings() if recipe.lora else None
    _evaluate(job, attach(recipe.backbone, recipe.heads, lora=lora), when="before")


def train_model(job: Job) -> None:
    """Train the stages of the recipe and save the model."""
    from tpo_core.training import train

    begun = (job.state.folder / "recipe.json").is_file()
    with job.show.training() as progress:
        train(job.recipe(), output=job.state.folder, resume=begun, progress=progress)


def evaluate_after(job: Job) -> None:
    """Evaluate the model as it was saved."""
    from tpo_core.build import from_pretrained

    _evaluate(job, from_pretrained(str(job.model)), when="after")


def report(job: Job) -> None:
    """Write the report."""
    from tpo_plugins.report import write_report

    write_metrics(job)
    write_report(job.state.folder, bars=BARS)


PHASES: Final[Mapping[str, tuple[str, Callable[[Job], None]]]] = {
    "world": ("write the tiny world", write_world),
    "before": ("evaluate before training", evaluate_before),
    "train": ("train the three stages", train_model),
    "after": ("evaluate after training", evaluate_after),
    "report": ("write the report", report),
}
"""The phases by name, in order: what the terminal says, and what is done."""


def write_metrics(job: Job) -> dict[str, Any]:
    """Write `metrics.json` from the evaluations and the state, and return what it holds."""
    state = job.state
    results = {
        when: json.loads((job.evaluation(when) / "results.json").read_text(encoding="utf-8"))
        for when in ("before", "after")
    }
    metrics = {
        **{when: result["metrics"] for when, result in results.items()},
        "seconds": round(sum(state.seconds.values()), 1),
        "peak_rss_mb": round(max(state.peak_rss_mb, peak_rss_mb()), 1),
        "seed": state.plan.seed,
        "budget": state.plan.budget,
        "records": state.plan.sizes,
        "questions": results["after"]["counts"]["questions"],
        "phases": state.seconds,
        "resumed": state.resumed,
        "cpus": os.cpu_count(),
        "versions": results["after"]["versions"],
    }
    write_json(state.folder / "metrics.json", metrics)
    return metrics


def peak_rss_mb() -> float:
    """Return the most memory this process took so far, MiB.

    Children do not count: a quickstart loads its data itself, and of a program it starts
    (matplotlib lists fonts with one) Linux reports the memory of the parent it was copied from.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def _evaluate(job: Job, model: TpoModel, *, when: str) -> None:
    from tpo_core.evaluation import evaluate

    output = job.evaluation(when)
    show = job.show.evaluating()
    # What an interrupted quickstart answered is not asked again.
    evaluate(BENCHMARK, model, data=job.world, progress=show, output=output, resume=True)
