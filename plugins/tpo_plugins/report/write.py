"""Put a report together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import InputError
from tpo_core.files import replace_file
from tpo_plugins.report import style
from tpo_plugins.report.boxes import draw_boxes
from tpo_plugins.report.curves import loss_curves, stage_offsets
from tpo_plugins.report.masks import draw_masks
from tpo_plugins.report.run_data import RunData, read_run
from tpo_plugins.report.samples import choose, mean
from tpo_plugins.report.timeline import draw_timeline

REPORT: Final = "report.html"
EACH: Final = {"region": 2, "mask": 2, "temporal": 1, "chat": 1}
"""How many of the first questions of each kind of a task are shown."""
WORST: Final = {"region": 2, "mask": 1, "temporal": 1, "chat": 0}
"""How many of the worst ones are shown besides."""

_EXPLAINED: Final = {
    "qa_accuracy": "short answers in words, exact match",
    "region_acc@0.5": "boxes with IoU of 0.5 or more",
    "temporal_r1@0.5": "first moments with IoU of 0.5 or more",
    "temporal_r1@0.7": "first moments with IoU of 0.7 or more",
    "mask_j&f": "masks through the video, mean of J and F",
}


def write_report(folder: str | Path, *, bars: Mapping[str, float] | None = None) -> Path:
    """Write `report.html` into a quickstart's folder; it needs no other file.

    Args:
        folder: A folder that `tpo quickstart` wrote.
        bars: What figures are meant to reach, by name.

    Returns:
        The report.

    Raises:
        InputError: Something of the run is missing or broken, or the report cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    run = read_run(Path(folder))
    environment = Environment(
        loader=PackageLoader("tpo_plugins.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("template.html.j2").render(**_content(run, bars or {}))
    path = run.folder / REPORT
    try:
        replace_file(path, [html])
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; check permissions and free space"
        ) from error
    return path


def _content(run: RunData, bars: Mapping[str, float]) -> dict[str, Any]:
    stages = [stage["name"] for stage in run.recipe["stages"]]
    offsets, steps = stage_offsets(run.log, stages)
    return {
        "metrics": run.metrics,
        "rows": _rows(run, bars),
        "full": run.metrics["budget"] is None,
        "stages": [
            {"name": stage, "from": offsets[stage], "colour": colour}
            for stage, colour in zip(stages, _colours(len(stages)), strict=True)
        ],
        "steps": steps,
        "curves": loss_curves(run.log, stages=stages),
        "boxes": _cards(run, "region", "region_iou", "IoU"),
        "masks": _cards(run, "mask", "mask_j&f", "J&F"),
        "moments": _cards(run, "temporal", "temporal_iou", "IoU"),
        "chat": _chats(run),
        "kinds": _kinds(run),
        "each": EACH,
        "worst": WORST,
        "notes": run.after["notes"],
        "counts": {"before": run.before["counts"], "after": run.after["counts"]},
        "protocol": run.after["protocol"],
        "backbone": run.after["model"]["backbone"],
        "heads": run.after["model"]["heads"],
        "colours": {"predicted": style.PREDICTED, "true": style.TRUE, "ground": style.GROUND},
    }


def _rows(run: RunData, bars: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the before/after table; a figure without a bar is meant not to fall."""
    rows = []
    for name, after in run.metrics["after"].items():
        before = run.metrics["before"][name]
        goal = bars.get(name, before)
        rows.append(
            {
                "name": name,
                "explained": _EXPLAINED.get(name, ""),
                "before": before,
                "after": after,
                "goal": goal,
                "reached": None if None in (goal, after) else after >= goal,
                "kept": name not in bars,
            }
        )
    return rows


def _colours(count: int) -> list[str]:
    return [style.STAGES[number % len(style.STAGES)] for number in range(count)]


_DRAW: Final = {"region": draw_boxes, "mask": draw_masks, "temporal": draw_timeline}


def _cards(run: RunData, task: str, score: str, label: str) -> list[dict[str, Any]]:
    shown = choose(run.predictions, task=task, score=score, each=EACH[task], worst=WORST[task])
    return [
        {
            "question": _readable(one.prediction["question"]),
            "answer": one.prediction["answer"],
            "reason": one.prediction["reason"],
            "score": f"{label} {mean(one.prediction, score):.2f}",
            "worst": one.worst,
            "picture": _DRAW[task](one.prediction),
        }
        for one in shown
    ]


def _chats(run: RunData) -> list[dict[str, Any]]:
    score = "qa_accuracy"
    shown = choose(
        run.predictions, task="chat", score=score, each=EACH["chat"], worst=WORST["chat"]
    )
    return [
        {
            "question": one.prediction["question"],
            "truth": one.prediction["truth"],
            "before": run.answers_before.get(one.prediction["id"]),
            "after": one.prediction["answer"],
            "right": mean(one.prediction, score) == 1,
        }
        for one in shown
    ]


def _kinds(run: RunData) -> list[dict[str, Any]]:
    """Return each benchmark figure by kind of question, before and after."""
    names = list(run.metrics["after"])
    rows = []
    for kind, figures in run.after["details"].items():
        before = run.before["details"].get(kind, {})
        for name in names:
            if kind != "all" and name in figures:
                rows.append(
                    {
                        "kind": kind,
                        "name": name,
                        "before": before.get(name, {"mean": 0.0})["mean"],
                        "after": figures[name]["mean"],
                        "count": figures[name]["count"],
                    }
                )
    return rows


def _readable(question: str) -> str:
    """Say what a mark for a box means to a reader of the page."""
    return question.replace("<region>", "the yellow box")
