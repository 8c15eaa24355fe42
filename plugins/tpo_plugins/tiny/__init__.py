"""The tiny models that ship in the package: a backbone that talks, and a SAM2 that segments.

This module only says where they are; importing it loads neither torch nor transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

BACKBONE: Final = Path(__file__).parent / "backbone"
"""Folder of the tiny backbone, for `from_pretrained`."""
