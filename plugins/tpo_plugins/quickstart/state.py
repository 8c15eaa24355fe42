"""Which phases of a quickstart are done, kept on disk so that a killed one can go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tpo_core.errors import InputError
from tpo_core.files import whole_file, writable_folder
from tpo_plugins.quickstart.plan import Plan

STATE_FILE: Final = "quickstart.json"
_OWN: Final = (
    "evaluation",
    "stages",
    "model",
    "recipe.json",
    "log.jsonl",
    "quarantine.jsonl",
    "metrics.json",
    "report.html",
)
"""What a quickstart writes besides the world and its state."""


@dataclass(kw_only=True, slots=True)
class State:
    """The phases that are done.

    Args:
        folder: The quickstart's folder.
        plan: What it does.
        seconds: How long each phase that is done took.
        peak_rss_mb: The most memory the quickstart took so far, MiB.
        resumed: How often it went on after being cut short.
    """

    folder: Path
    plan: Plan
    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: float = 0.0
    resumed: int = 0

    def finish(self, phase: str, *, seconds: float, peak_rss_mb: float) -> None:
        """Remember that a phase is done.

        Raises:
            InputError: The state cannot be written.
        """
        self.seconds[phase] = round(seconds, 2)
        self.peak_rss_mb = round(max(self.peak_rss_mb, peak_rss_mb), 1)
        self.save()

    def save(self) -> None:
        """Write the state, whole or not at all.

        Raises:
            InputError: It cannot be written.
        """
        values = {
            "plan": self.plan.to_json(),
            "seconds": self.seconds,
            "peak_rss_mb": self.peak_rss_mb,
            "resumed": self.resumed,
        }
        write_json(self.folder / STATE_FILE, values)


def open_state(folder: Path, plan: Plan, *, resume: bool) -> State:
    """Begin a quickstart in a folder, or go on with the one that is in it.

    Without `resume`, what an earlier quickstart wrote is removed; a world that fits is kept.

    Args:
        folder: The quickstart's folder; made if missing.
        plan: What to do.
        resume: Whether to go on; begins if there is nothing to go on with.

    Raises:
        InputError: The folder holds other things, or a quickstart with another plan; or it cannot
            be written.
    """
    file = folder / STATE_FILE
    if not file.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                f"{folder} exists and holds no quickstart; give a folder that is empty or missing "
                "with --out"
            )
        writable_folder(folder)
        state = State(folder=folder, plan=plan)
    elif resume:
        writable_folder(folder)
        state = _read(file, plan)
        state.resumed += 1
    else:
        writable_folder(folder)
        _remove_own(folder)
        state = State(folder=folder, plan=plan)
    state.save()
    return state


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write JSON, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with whole_file(path) as draft:
            draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; check permissions and free space, then go on "
            "with --resume"
        ) from error


def _read(file: Path, plan: Plan) -> State:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        before = Plan(**values["plan"])
        state = State(
            folder=file.parent,
            plan=plan,
            seconds=dict(values["seconds"]),
            peak_rss_mb=float(values["peak_rss_mb"]),
            resumed=int(values["resumed"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} cannot be read ({error}); run again without --resume to begin anew"
        ) from error
    if before != plan:
        raise InputError(
            f"{file.parent} holds a quickstart of seed {before.seed} and budget {before.budget}, "
            f"not of seed {plan.seed} and budget {plan.budget}; resume with those, or run without "
            "--resume to begin anew"
        )
    return state


def _remove_own(folder: Path) -> None:
    for name in _OWN:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
