"""Results as `tpo eval --out` writes them, of files of predictions on small releases with media.

A bright square moves to the right over dark frames, so that what is drawn can be told by eye.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.plugins.datasets.released import write_json, write_palette
from tpo_core.evaluation import score_predictions
from tpo_core.media.write import write_video
from tpo_core.records.rle import encode
from tpo_plugins.benchmarks.mvbench import BOUND, FOLDERS

SIZE = (72, 96)
"""Height and width of pictures."""
SIDE = 24
FRAMES = 12

Row = Mapping[str, Any]
Pixels = NDArray[np.uint8]

CHARADES = """\
AB12C 3.0 9.0##person opens a box.
AB12C 5.0 11.0##person <b>closes</b> it & leaves.
CD34E 0.0 4.0##a person puts a book on a shelf.
CD34E 6.0 12.0##a person sits down.
"""
GOOD = ([[3.5, 9.0], [0.0, 1.0]], [[5.0, 10.0]], [[0.5, 4.5]], [[0.0, 1.0]])
BAD = ([[0.0, 2.0]], [[6.0, 11.0]], [], [[1.0, 3.0]])


def left_of(number: int) -> int:
    """Return where the square begins on a frame."""
    return 6 + 5 * number


def picture(number: int) -> Pixels:
    """Return a frame, uint8 `[H, W, 3]`."""
    height, width = SIZE
    shade = np.linspace(40, 90, width, dtype=np.uint8)
    frame = np.repeat(np.tile(shade, (height, 1))[..., None], 3, axis=2)
    frame[20 : 20 + SIDE, left_of(number) : left_of(number) + SIDE] = (240, 190, 40)
    return frame


def mask(number: int, *, shift: int = 0) -> NDArray[np.bool_]:
    """Return the pixels of the square on a frame, moved down."""
    found = np.zeros(SIZE, np.bool_)
    top = 20 + shift
    found[top : top + SIDE, left_of(number) : left_of(number) + SIDE] = True
    return found


def write_pictures(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(folder / f"{name}.jpg", quality=95)


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored(benchmark: str, rows: Sequence[Row], data: Path, output: Path) -> Path:
    """Score rows of predictions and return the folder of the result."""
    file = write_rows(output.with_name(f"{output.name}.jsonl"), rows)
    score_predictions(benchmark, file, data=data, progress=False, output=output)
    return output


def charades(root: Path, name: str, spans: Sequence[Any] = GOOD) -> Path:
    """Two videos, four moments."""
    data = root / "charades"
    if not data.exists():
        frames = torch.stack([torch.from_numpy(picture(n)) for n in range(FRAMES)])
        for video in ("AB12C", "CD34E"):
            (data / "videos").mkdir(parents=True, exist_ok=True)
            write_video(data / f"videos/{video}.mp4", frames.permute(0, 3, 1, 2), fps=1)
        (data / "charades_sta_test.txt").write_text(CHARADES)
    rows = [{"qid": q, "pred_relevant_windows": found} for q, found in enumerate(spans) if found]
    return scored("charades_sta", rows, data, root / name)


def got10k(root: Path, name: str) -> Path:
    """A sequence that is followed, with a box a frame, and one that is lost."""
    data = root / "got10k/val"
    boxes = [[left_of(n), 20, SIDE, SIDE] for n in range(FRAMES)]
    for sequence in ("GOT-10k_Val_000001", "GOT-10k_Val_000002"):
        write_pictures(data / sequence, [f"{n + 1:08d}" for n in range(FRAMES)])
        lines = [",".join(map(str, box)) for box in boxes]
        (data / sequence / "groundtruth.txt").write_text("\n".join(lines) + "\n")
        (data / sequence / "cover.label").write_text("8\n" * FRAMES)
    (data / "list.txt").write_text("GOT-10k_Val_000001\nGOT-10k_Val_000002\n")
    near = [[left + 2, top - 3, wide, high] for left, top, wide, high in boxes]
    lost = [boxes[0], *[[70.0, 45.0, 20.0, 20.0]] * (FRAMES - 1)]
    rows = [
        {"id": "GOT-10k_Val_000001", "boxes": near},
        {"id": "GOT-10k_Val_000002", "boxes": lost},
    ]
    return scored("got10k", rows, data.parent, root / name)


def refcoco(root: Path, name: str) -> Path:
    """A picture, a phrase that is found and one that is not."""
    data, stem = root / "refcoco", "COCO_train2014_000000000001"
    write_pictures(data / "coco/train2014", [stem])
    line = {"image": f"data/coco/train2014/{stem}.jpg", "width": SIZE[1], "height": SIZE[0]}
    box = [left_of(0), 20, left_of(0) + SIDE, 20 + SIDE]
    for split in ("val", "testA", "testB"):
        lines = [{**line, "sent": words, "bbox": box} for words in ("yellow one", "square")]
        write_rows(data / f"refcoco_{split}.jsonl", lines)
    fractions = [0.1, 0.3, 0.3, 0.65]
    rows = [{"id": f"{split}/{stem}/0", "box": fractions} for split in ("val", "testA", "testB")]
    rows.append({"id": f"val/{stem}/1", "box": [0.6, 0.6, 0.9, 0.9]})
    return scored("refcoco", rows, data, root / name)


def youtube(root: Path, name: str) -> Path:
    """An expression whose masks are near, with labels that are files."""
    data, names = root / "ref-youtube-vos", [f"{5 * n:05d}" for n in range(6)]
    write_pictures(data / "train/JPEGImages/abc", names)
    for number, frame in enumerate(names):
        labels = mask(number).astype(np.uint8)
        write_palette(data / f"train/Annotations/abc/{frame}.png", labels)
    expressions = {"0": {"exp": "the yellow square", "obj_id": "1"}}
    videos = {"abc": {"frames": names, "expressions": expressions}}
    write_json(data / "meta_expressions/train/meta_expressions.json", {"videos": videos})
    masks = {
        frame: encode(torch.from_numpy(mask(number, shift=2))) for number, frame in enumerate(names)
    }
    row = {"id": "abc/0", "masks": {**masks, names[-1]: None}}
    return scored("ref_youtube_vos_train", [row], data, root / name)


def mvbench(root: Path, name: str) -> Path:
    """Three questions a task about videos that are not there; ever more answers are wrong."""
    data, rows = root / "mvbench", []
    for place, task in enumerate(FOLDERS):
        question = {"video": "v.mp4", "question": "What?", "candidates": ["a", "b"], "answer": "a"}
        bound = {"start": 0.0, "end": 2.0} if task in BOUND else {}
        write_json(data / f"json/{task}.json", [{**question, **bound}] * 3)
        for number in range(3):
            rows.append({"id": f"{task}/{number}", "text": "A)" if number >= place % 4 else "B)"})
    return scored("mvbench", rows, data, root / name)
