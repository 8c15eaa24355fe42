"""Masks as trees of PNGs, as official evaluations take them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tpo_core.errors import InputError
from tpo_plugins.datasets.masks import encode, read_labels

_EXPECTED: Final = "expected <video>/<expression>/<frame>.png"


def as_png(values: NDArray[np.uint8], *, palette: bool = False) -> bytes:
    """Return a grey PNG.

    Args:
        values: uint8 `[H, W]`.
        palette: Write object numbers with a colour each (mode P), as DAVIS does.
    """
    from PIL import Image

    picture = Image.fromarray(values)
    if palette:
        picture.putpalette(_palette())
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def read_tree(root: Path) -> Iterator[dict[str, Any]]:
    """Yield a row of predictions for each expression: masks by the names of the frames.

    Args:
        root: Holds `<video>/<expression>/<frame>.png`; whatever is not 0 is the object.

    Raises:
        InputError: If there is no such picture, or one cannot be read.
    """
    folders = sorted({file.parent for file in root.glob("*/*/*.png")})
    if not folders:
        raise InputError(f"{root} holds no masks; {_EXPECTED}")
    for folder in folders:
        masks = {file.stem: encode(read_labels(file) != 0) for file in sorted(folder.glob("*.png"))}
        yield {"id": f"{folder.parent.name}/{folder.name}", "masks": masks}


def _palette() -> list[int]:
    """Return 256 colours, black first; a number's bits are dealt to red, green, blue in turn."""
    colours = []
    for number in range(256):
        for channel in range(3):
            bits = [number >> (3 * place + channel) & 1 for place in range(3)]
            colours.append(sum(bit << (7 - place) for place, bit in enumerate(bits)))
    return colours
