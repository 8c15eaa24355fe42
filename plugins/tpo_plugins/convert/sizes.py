"""What a VideoChat-TPO is made of: sizes and options of its parts, as JSON beside a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tpo_backbones.videochat.config import VideoChatConfig
from tpo_core.errors import CheckpointError, InputError
from tpo_core.lora import LoraSettings

SIZES_FILE: Final = "tpo_sizes.json"
"""Says the sizes of a checkpoint that are not those of the release; conversion back writes it."""

SAM2_FOLDER: Final = "./files/sam2"
_SAM2_NAME: Final = "sam2_hiera_l"

# The released files of InternVideo2-CLIP that the temporal head reads, as they are called there.
INTERNVIDEO2_FILES: Final[Mapping[str, str]] = {
    "stage2": "InternVideo2-stage2_1b-224p-f4.pt",
    "text": "internvl_c_13b_224px.pth",
    "delta": "1B_clip.pth",
    "tokenizer": "tokenizer.model",
}


def released_heads(internvideo2: Path = Path("internvideo2")) -> dict[str, dict[str, Any]]:
    """Return the options with which our heads are the released model's.

    Args:
        internvideo2: Folder of the released files that the temporal head reads clips with; they are
            looked for when it is first asked.
    """
    files = {option: str(internvideo2 / name) for option, name in INTERNVIDEO2_FILES.items()}
    return {
        "region": {"activation": "none", "inverted": "left_out"},
        "temporal_cgdetr": {"features": {"internvideo2": files}},
        "mask": {
            "sam2": SAM2_FOLDER,
            "loss_weights": {"bce": 0, "dice": 0, "presence": 0},
            "target_box": "user",
        },
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Sizes of all parts; the defaults are the release's.

    Args:
        backbone: Of the multimodal LLM.
        heads: Options of each head, by registered name.
        lora: LoRA on the LLM.
        sam2: SAM2's configuration; that of SAM 2.0 Hiera-L as sam2's video predictor sets it up if
            None.
    """

    backbone: VideoChatConfig = field(default_factory=VideoChatConfig)
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=released_heads)
    lora: LoraSettings = field(default_factory=lambda: LoraSettings(dropout=0.1))
    sam2: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "backbone": self.backbone.to_json(),
            "heads": {name: dict(options) for name, options in self.heads.items()},
            "lora": self.lora.to_json(),
            "sam2": None if self.sam2 is None else dict(self.sam2),
        }


def read_sizes(folder: Path, *, internvideo2: Path | None = None) -> Sizes:
    """Return the sizes that a checkpoint's folder states; the release's if it states none.

    Args:
        folder: The checkpoint.
        internvideo2: See `released_heads`; None for the folder `internvideo2` of a release, or for
            what is stated.

    Raises:
        CheckpointError: If the file cannot be read, has a field that is not known, or says that
            clips come from elsewhere than InternVideo2, while a folder is given for that.
    """
    path = folder / SIZES_FILE
    if not path.is_file():
        return Sizes(heads=released_heads((internvideo2 or folder / "internvideo2").absolute()))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        sizes = Sizes(
            backbone=VideoChatConfig.from_json(values.pop("backbone")),
            lora=LoraSettings(**values.pop("lora")),
            **values,
        )
        if sizes.heads.keys() != released_heads().keys():
            raise ValueError(f"its heads are {', '.join(sizes.heads) or 'none'}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise CheckpointError(
            f"{path} cannot be used ({error!r}); expected what a conversion back writes"
        ) from error
    return sizes if internvideo2 is None else _reading_clips_from(internvideo2.absolute(), sizes)


def _reading_clips_from(internvideo2: Path, sizes: Sizes) -> Sizes:
    """Return the same sizes, the temporal head reading its clips with another folder's files."""
    name, source = "temporal_cgdetr", "internvideo2"
    temporal = sizes.heads[name]
    stated = temporal.get("features", "backbone")
    if not isinstance(stated, Mapping) or source not in stated:
        raise CheckpointError(
            f"a folder for InternVideo2 was given, {internvideo2}, but {SIZES_FILE} says that the "
            f"temporal head's features are {stated!r}; leave the folder out"
        )
    files = released_heads(internvideo2)[name]["features"][source]
    changed = {**temporal, "features": {source: {**stated[source], **files}}}
    return replace(sizes, heads={**sizes.heads, name: changed})


def sam2_config(sizes: Sizes) -> dict[str, Any]:
    """Return SAM2's configuration, as its folder's `config.yaml` has it below `model:`."""
    if sizes.sam2 is not None:
        return dict(sizes.sam2)
    from importlib.resources import files

    from tpo_heads.mask.sam2_source import read_config

    text = (files("sam2") / "configs" / "sam2" / f"{_SAM2_NAME}.yaml").read_text(encoding="utf-8")
    config = read_config(text, source=_SAM2_NAME)
    # What sam2's `build_sam2_video_predictor` sets besides.
    return config | {
        "_target_": "sam2.sam2_video_predictor.SAM2VideoPredictor",
        "sam_mask_decoder_extra_args": {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
        "binarize_mask_from_pts_for_mem_enc": True,
        "fill_hole_area": 8,
    }
