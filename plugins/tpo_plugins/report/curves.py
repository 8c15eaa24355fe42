"""Loss curves: one small panel a term, the stages side by side along the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tpo_plugins.report import style

_COLUMNS = 4


def loss_curves(log: Sequence[Mapping[str, Any]], *, stages: Sequence[str]) -> str | None:
    """Draw every term of a training log.

    Args:
        log: Lines of `log.jsonl`.
        stages: Names of the stages, in order.

    Returns:
        The picture's address; None if the log is empty.
    """
    if not log:
        return None
    offsets, whole = stage_offsets(log, stages)
    terms = term_names(log)
    rows = math.ceil(len(terms) / _COLUMNS)
    figure, axes = style.new_figure(9.6, 1.75 * rows + 0.15, rows=rows, columns=_COLUMNS)
    for panel, term in zip(axes, terms, strict=False):
        style.quiet(panel)
        for number, stage in enumerate(stages):
            points = [
                (offsets[stage] + line["step"], line[term])
                for line in log
                if line["stage"] == stage and term in line
            ]
            if points:
                colour = style.STAGES[number % len(style.STAGES)]
                marker = "o" if len(points) == 1 else ""
                panel.plot(*zip(*points, strict=True), color=colour, lw=1.4, marker=marker, ms=3)
        for stage in stages[1:]:
            panel.axvline(offsets[stage], color=style.RULE, lw=0.8, zorder=0)
        panel.set_title(term, fontsize=8.5, color=style.INK, loc="left")
        panel.set_xlim(0, whole)
        highest = max((line[term] for line in log if term in line), default=0.0)
        panel.set_ylim(0, 1.08 * highest or 1)
        panel.yaxis.get_offset_text().set_fontsize(6)
    for panel in axes[len(terms) :]:
        panel.set_visible(False)
    return style.data_uri(figure)


def term_names(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the loss terms of a log: `loss`, then `lm`, then the heads' as the log has them."""
    names = dict.fromkeys(name for line in log for name in line)
    terms = [name for name in names if name in ("loss", "lm") or "/" in name]
    return sorted(terms, key=lambda name: ("/" in name, name != "loss"))


def stage_offsets(
    log: Sequence[Mapping[str, Any]], stages: Sequence[str]
) -> tuple[dict[str, int], int]:
    """Return the step of the whole run at which each stage begins, and the number of all steps."""
    offsets, at = {}, 0
    for stage in stages:
        offsets[stage] = at
        at += max((int(line["step"]) for line in log if line["stage"] == stage), default=0)
    return offsets, max(at, 1)
