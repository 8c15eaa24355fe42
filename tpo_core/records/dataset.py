"""Records with their media decoded, for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from torch.utils.data import Dataset  # noqa: TID253 - imported by training only

from tpo_core.errors import InputError, MediaError, RecordError
from tpo_core.media.open import open_media
from tpo_core.media.sampling import FrameChooser, choose_frames
from tpo_core.media.types import Media
from tpo_core.records.fit import fit_to_media
from tpo_core.records.quarantine import BadSample
from tpo_core.records.reader import ParsedRecord, RecordFile
from tpo_core.records.schema import MaskTarget, Record, RegionPrompt

__all__ = ["BadSample", "RecordDataset", "Sample", "load_sample"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """One record, ready to be rendered.

    Args:
        record: The record.
        media: Its decoded media; None without media.
        targets: Per branch, one typed target per slot, fitted to the media.
        prompts: Per branch, one typed prompt per prompt marker.
        path: The JSONL file.
        line: Its 1-based line.
        notes: What was clipped or is odd about the media.
        clipped: How many labels were clipped.
    """

    record: Record
    media: Media | None
    targets: tuple[tuple[BaseModel, ...], ...]
    prompts: tuple[tuple[BaseModel, ...], ...]
    path: str
    line: int
    notes: tuple[str, ...] = ()
    clipped: int = 0


class RecordDataset(Dataset[Sample | BadSample]):
    """Samples of record files by number; a record that cannot be used gives a `BadSample`.

    The same number gives the same sample always, in any process.

    Args:
        files: The record files.
        num_frames: How many frames of a video to look at.
        order: `(file, record)` of each sample, as from `mixture_indices`; every record of every
            file once, in order, if None.
        choose: Which frames to look at; see `open_media`.

    Raises:
        InputError: If there is no file.
    """

    def __init__(
        self,
        files: Sequence[RecordFile],
        *,
        num_frames: int,
        order: Sequence[tuple[int, int]] | None = None,
        choose: FrameChooser = choose_frames,
    ) -> None:
        if not files:
            raise InputError("no record file was given; expected at least one")
        self.files = tuple(files)
        self.num_frames, self.choose = num_frames, choose
        self.order = (
            [(number, index) for number, file in enumerate(files) for index in range(len(file))]
            if order is None
            else list(order)
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> Sample | BadSample:
        number, index = self.order[position]
        file = self.files[number]
        try:
            return load_sample(file.parse(index), num_frames=self.num_frames, choose=self.choose)
        except RecordError as error:
            return BadSample.of(error)


def load_sample(
    parsed: ParsedRecord, *, num_frames: int, choose: FrameChooser = choose_frames
) -> Sample:
    """Decode a record's media and fit its targets and prompts to it.

    Frames that prompts are on are looked at in any case, frames with mask labels are preferred.

    Args:
        parsed: The record, validated.
        num_frames: How many frames of a video to look at.
        choose: Which frames to look at; see `open_media`.

    Raises:
        RecordError: If the media cannot be decoded or the labels do not fit it.
    """
    record = parsed.record
    if record.media is None:
        return Sample(
            record=record,
            media=None,
            targets=parsed.targets,
            prompts=parsed.prompts,
            path=parsed.path,
            line=parsed.line,
        )
    prompts = [item for branch in parsed.prompts for item in branch]
    targets = [item for branch in parsed.targets for item in branch]
    try:
        media = open_media(
            parsed.media_path,
            kind=record.media.type,
            fps=record.media.fps,
            num_frames=num_frames,
            required={item.frame for item in prompts if isinstance(item, RegionPrompt)},
            preferred={
                index
                for item in targets
                if isinstance(item, MaskTarget)
                for index in (*item.frames, *item.boxes)
            },
            choose=choose,
        )
        fitted_targets = [
            fit_to_media(items, media, field=f"branches.{number}.targets")
            for number, items in enumerate(parsed.targets)
        ]
        fitted_prompts = [
            fit_to_media(items, media, field=f"branches.{number}.prompts")
            for number, items in enumerate(parsed.prompts)
        ]
    except MediaError as error:
        raise RecordError(
            str(error), path=parsed.path, line=parsed.line, field="media.path"
        ) from error
    except RecordError as error:
        raise RecordError(
            error.reason, path=parsed.path, line=parsed.line, field=error.field
        ) from error
    clipped = [note for _, notes in (*fitted_targets, *fitted_prompts) for note in notes]
    return Sample(
        record=record,
        media=media,
        targets=tuple(items for items, _ in fitted_targets),
        prompts=tuple(items for items, _ in fitted_prompts),
        path=parsed.path,
        line=parsed.line,
        notes=(*media.notes, *clipped),
        clipped=len(clipped),
    )
