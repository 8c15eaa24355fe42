"""Draw a prediction on its media: boxes, moments on a timeline, masks and boxes over frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tpo_core.errors import TpoError
from tpo_core.evaluation import Prediction
from tpo_plugins.evaluation_report.evidence import Evidence, evidence_of
from tpo_plugins.evaluation_report.strip import draw_strip
from tpo_plugins.report.boxes import draw_boxes
from tpo_plugins.report.timeline import draw_timeline


def draw_prediction(prediction: Prediction) -> tuple[str, str]:
    """Draw a prediction.

    Args:
        prediction: Of any benchmark.

    Returns:
        The picture's address, and why there is none; one of the two is empty.
    """
    evidence = evidence_of(prediction)
    if not Path(prediction.media).exists():
        return "", f"no picture: {prediction.media} is not there"
    try:
        return _draw(prediction, evidence), ""
    except (TpoError, OSError) as error:
        return "", f"no picture: {error}"


def _draw(prediction: Prediction, evidence: Evidence) -> str:
    if evidence.form == "region":
        return draw_boxes(_as_record(prediction, evidence))
    if evidence.form == "temporal":
        return draw_timeline(_as_record(prediction, evidence))
    return draw_strip(prediction, evidence)


def _as_record(prediction: Prediction, evidence: Evidence) -> Mapping[str, Any]:
    """Return a prediction about one target, as those of records are."""
    found, task = evidence.found, evidence.form
    return {
        "media": prediction.media,
        "truth": [{"task": task, **(evidence.truth or {})}],
        "predicted": {"results": [] if found is None else [{"task": task, **found}]},
    }
