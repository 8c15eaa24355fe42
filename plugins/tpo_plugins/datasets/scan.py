"""Where the members of a JSON list or object, or the lines of a file, begin: without parsing it.

A file of gigabytes is gone through in chunks with numpy: brackets and commas outside of strings
tell where each member of the outermost container ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

_CHUNK = 1 << 17
_QUOTE, _COMMA, _BACKSLASH = b'",\\'
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1


def line_bounds(file: BinaryIO) -> Iterator[Offsets]:
    """Yield offsets in bytes: 0, then where each line ends, its newline included."""
    yield np.zeros(1, dtype=np.int64)
    at, last = 0, 0
    while chunk := file.read(_CHUNK):
        ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == ord("\n")) + (at + 1)
        at += len(chunk)
        if len(ends):
            last = int(ends[-1])
            yield ends
    if last < at:  # the last line has no newline
        yield np.array([at], dtype=np.int64)


def member_bounds(file: BinaryIO, start: int) -> Iterator[Offsets]:
    """Yield offsets in bytes of a JSON container's bracket, of its commas, and of its end.

    Member k lies between bound k and bound k + 1, both exclusive. If the file breaks off, the last
    bound is its size.

    Args:
        file: A JSON file.
        start: Where the opening bracket is.
    """
    file.seek(start)
    inside, depth, at = 0, 0, start
    yield np.array([start], dtype=np.int64)
    while chunk := _read(file):
        codes = np.frombuffer(chunk, dtype=np.uint8)
        marks = np.flatnonzero(_is_mark(codes))
        kinds = codes[marks]
        within = (np.cumsum(kinds == _QUOTE, dtype=np.uint8) + inside) & 1
        outside = within == 0
        steps = _STEP[kinds] * outside
        depths = np.cumsum(steps, dtype=np.int32) + depth
        commas = (kinds == _COMMA) & outside & (depths == 1)
        ends = np.flatnonzero((depths == 0) & (steps < 0))
        if len(ends):
            commas[ends[0] + 1 :] = False
            commas[ends[0]] = True
        yield marks[commas] + at
        if len(ends):
            return
        if len(marks):
            inside, depth = int(within[-1]), int(depths[-1])
        at += len(chunk)
    yield np.array([at], dtype=np.int64)


def _read(file: BinaryIO) -> bytes:
    """Read a chunk that does not end within an escape."""
    chunk = file.read(_CHUNK)
    while chunk.endswith(b"\\") and (more := file.read(1)):
        chunk += more
    return chunk


def _is_mark(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which bytes are commas, quotes that are not escaped, or brackets.

    Brackets are `5b`, `5d`, `7b` and `7d`; the test for them lets some letters pass, which open and
    close nothing.
    """
    marks: NDArray[np.bool_] = codes == _QUOTE
    slashes = codes == _BACKSLASH
    if (slashes[1:] & slashes[:-1]).any():
        marks &= ~_escaped(slashes)
    else:
        marks[1:] &= ~slashes[:-1]
    marks |= (codes & 0xD9) == 0x59
    marks |= codes == _COMMA
    return marks


def _escaped(slashes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which bytes follow an odd number of backslashes."""
    places = np.flatnonzero(slashes)
    breaks = np.diff(places) != 1
    first = places[np.append(True, breaks)]
    after = places[np.append(breaks, True)] + 1
    flags = np.zeros(len(slashes) + 1, dtype=np.bool_)
    flags[after[(after - first) % 2 == 1]] = True
    return flags[:-1]
