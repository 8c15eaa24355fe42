"""The record format: one media item and the conversations about it (DESIGN section 8).

Boxes are xyxy normalised to the original image, spans are seconds, masks are COCO RLE by frame
index. A record is validated here for shape and values; whether its media can be read is checked
where it is decoded.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from tpo_core.records.rle import run_lengths


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _finite_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not all(math.isfinite(value) for value in box):
        raise ValueError(f"box {list(box)} has a value that is not finite")
    if min(box) < -1e-3 or max(box) > 1 + 1e-3:
        raise ValueError(
            f"box {list(box)} leaves [0, 1]; expected xyxy normalised to the image, not pixels"
        )
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], 1.0), min(box[3], 1.0)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"box {list(box)} is reversed or empty; expected x1 < x2 and y1 < y2")
    return x1, y1, x2, y2


def _finite_span(span: tuple[float, float]) -> tuple[float, float]:
    start, end = span
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError(f"span {list(span)} has a value that is not finite")
    if start < 0 or end <= start:
        raise ValueError(f"span {list(span)} is reversed or negative; expected 0 <= start < end")
    return span


BoxField = Annotated[tuple[float, float, float, float], AfterValidator(_finite_box)]
SpanField = Annotated[tuple[float, float], AfterValidator(_finite_span)]


class Rle(_Strict):
    """A COCO run-length encoded mask; `size` is [height, width] in pixels."""

    size: tuple[PositiveInt, PositiveInt]
    counts: str | list[int]

    @model_validator(mode="after")
    def _covers_the_picture(self) -> Rle:
        # pycocotools does not check, and writes past its buffer.
        runs, pixels = run_lengths(self.counts), self.size[0] * self.size[1]
        if (runs < 0).any():
            raise ValueError(f"a run length is {int(runs.min())}; expected none below 0")
        if int(runs.sum()) != pixels:
            raise ValueError(
                f"run lengths cover {int(runs.sum())} pixels, but size {list(self.size)} has "
                f"{pixels}; write the mask again with pycocotools"
            )
        return self


class Saliency(_Strict):
    """How relevant the video is to the question at given times (seconds), scores in [0, 1]."""

    times: list[Annotated[FiniteFloat, Field(ge=0)]]
    scores: list[Annotated[FiniteFloat, Field(ge=0, le=1)]]

    @model_validator(mode="after")
    def _same_length(self) -> Saliency:
        if len(self.times) != len(self.scores):
            raise ValueError(f"{len(self.times)} times but {len(self.scores)} scores")
        return self


class RegionTarget(_Strict):
    """The box a `<region>` in an assistant turn stands for."""

    task: Literal["region"] = "region"
    box: BoxField


class TemporalTarget(_Strict):
    """The moments a `<temporal>` stands for."""

    task: Literal["temporal"] = "temporal"
    spans: list[SpanField] = Field(min_length=1)
    saliency: Saliency | None = None


class MaskTarget(_Strict):
    """The object a `<mask>` stands for, by frame index in the file (`"0"` for an image).

    Datasets made for tracking give a box a frame and no mask. A frame in neither mapping is not
    annotated; an empty mask, or None for a box, says that the object is not visible there.
    """

    task: Literal["mask"] = "mask"
    frames: dict[NonNegativeInt, Rle] = Field(default_factory=dict)
    boxes: dict[NonNegativeInt, BoxField | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _annotated(self) -> MaskTarget:
        if not self.frames and not any(self.boxes.values()):
            raise ValueError("no frame has a mask or a box; expected at least one")
        return self


class RegionPrompt(_Strict):
    """The box a `<region>` in a user turn stands for, on frame `frame` of a video."""

    task: Literal["region"] = "region"
    box: BoxField
    frame: NonNegativeInt = 0


class Message(_Strict):
    """One turn."""

    role: Literal["system", "user", "assistant"]
    content: str


class MediaRef(_Strict):
    """A media file, or a folder of a video's frames, its path relative to the JSONL file.

    `fps`, frames a second, is for such a folder, whose pictures carry no times; without it they
    count as 1 a second. A video file has its own times.
    """

    type: Literal["image", "video"]
    path: str = Field(min_length=1)
    fps: Annotated[FiniteFloat, Field(gt=0)] | None = None


class Branch(_Strict):
    """One conversation about the record's media; targets and prompts in the order of their marks.

    Targets and prompts stay plain mappings here, since plugin heads bring their own models; see
    `tpo_core.records.targets`.
    """

    messages: list[Message] = Field(min_length=1)
    targets: list[dict[str, Any]] = Field(default_factory=list)
    prompts: list[dict[str, Any]] = Field(default_factory=list)


class Record(_Strict):
    """One media item with one or more conversations about it."""

    id: str
    media: MediaRef | None = None
    branches: list[Branch] = Field(min_length=1)
