"""The datasets that ship with the package: what each is, and where its reader lives.

These modules are imported whenever plugins are listed: specs only, no reader, no torch.
"""

from __future__ import annotations

from tpo_plugins.datasets.specs import (
    conversation,
    own,
    segmentation,
    spatial,
    temporal,
    tracking,
)

DATASETS = (
    *own.SPECS,
    *temporal.SPECS,
    *conversation.SPECS,
    *segmentation.SPECS,
    *spatial.SPECS,
    *tracking.SPECS,
)
