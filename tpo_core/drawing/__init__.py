"""Draw boxes, masks and moments over the frames they are about."""

from __future__ import annotations

from tpo_core.drawing.frames import Marks, draw_frames, label_marks
from tpo_core.drawing.overlay import Answered, save_overlay
from tpo_core.drawing.panels import contact_sheet, draw_result

__all__ = [
    "Answered",
    "Marks",
    "contact_sheet",
    "draw_frames",
    "draw_result",
    "label_marks",
    "save_overlay",
]
