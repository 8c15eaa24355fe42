"""What computes features of a video file: InternVideo2-CLIP, or a backbone's own vision tower.

Shapes: Lv clips of a video, C width of a clip's row, n words of a question, Dt their width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tpo_core.errors import InputError, UnknownName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# What a backbone is asked while only its look at the video counts.
_QUESTION: Final = "Describe the video."


class Extractor(ABC):
    """Computes features of videos, and of questions if it can.

    Attributes:
        gives_text: Whether it can.
    """

    gives_text: bool

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the options that the constructor takes."""
        from tpo_heads.clip_features.build import option_names

        return option_names(cls)

    @abstractmethod
    def video(self, path: Path) -> tuple[Tensor, float]:
        """Return the clips of a video, `[Lv, C]`, and the seconds of a clip.

        Raises:
            InputError: If the video cannot be read or has no clip.
        """

    @abstractmethod
    def text(self, question: str) -> Tensor:
        """Return the words of a question, `[n, Dt]`; no row if it gives no text."""


class InternVideo2Extractor(Extractor):
    """InternVideo2-CLIP, the encoder of the paper's temporal head.

    Args:
        device: Where its towers run.
        **options: See `InternVideo2Source`.
    """

    def __init__(self, device: torch.device, **options: Any) -> None:
        from tpo_heads.clip_features.internvideo2 import InternVideo2Source

        self.device = device
        self.source = InternVideo2Source(0, **options)
        self.gives_text = self.source.text_width is not None

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the options of `InternVideo2Source`."""
        from tpo_heads.clip_features.build import option_names
        from tpo_heads.clip_features.internvideo2 import InternVideo2Source

        return option_names(InternVideo2Source)

    def video(self, path: Path) -> tuple[Tensor, float]:
        """Encode each clip; see `Extractor.video`."""
        length = self.source.clip_length
        rows = self.source.video(path, device=self.device)
        if not len(rows):
            raise InputError(f"{path} holds no whole clip of {length:g} s; leave it out")
        return rows, length

    def text(self, question: str) -> Tensor:
        """Encode a question; see `Extractor.text`."""
        return self.source.text(question, device=self.device)


class BackboneExtractor(Extractor):
    """A multimodal LLM's own vision tower and connector: a clip for each group of its frames.

    Args:
        device: Where it runs.
        model: A saved model, or a backbone by registered name, folder or hub id.
        num_frames: How many frames of a video it looks at; None for as many as in training.
    """

    gives_text = False

    def __init__(self, device: torch.device, *, model: str, num_frames: int | None = None) -> None:
        from tpo_core.build import from_pretrained
        from tpo_core.loading import load_backbone
        from tpo_core.saving.config import is_ours

        self.device = device
        self.num_frames = 16 if num_frames is None else num_frames
        if is_ours(Path(model)):
            whole = from_pretrained(model, device=device)
            self.backbone = whole.backbone
            self.num_frames = num_frames or whole.num_frames
        else:
            self.backbone = load_backbone(model, device=device)
        self.backbone.eval()

    def video(self, path: Path) -> tuple[Tensor, float]:
        """Pool the visual tokens of each time group; see `Extractor.video`."""
        import torch

        from tpo_core.batch import move_record
        from tpo_core.media.open import open_media
        from tpo_core.records.schema import Message
        from tpo_heads.clip_features.backbone import BackboneSource

        backbone = self.backbone
        media = open_media(
            path, kind="video", num_frames=self.num_frames, choose=backbone.choose_frames
        )
        message = Message(role="user", content=_QUESTION)
        with torch.no_grad():
            rendered = backbone.renderer.render(media, [[message]], generate=True)
            record = move_record(rendered, self.device)
            features = backbone.frame_features(record, backbone.encode([record])[0])
            found = BackboneSource(backbone.hidden_size).clips(
                media, _QUESTION, frame_features=features, device=self.device
            )
        return found.video.float().cpu(), found.clip_length

    def text(self, question: str) -> Tensor:
        """Return no row: what a question means, the backbone says by its task tokens."""
        import torch

        return torch.empty(0, 0)


EXTRACTORS: Final[Mapping[str, type[Extractor]]] = {
    "backbone": BackboneExtractor,
    "internvideo2": InternVideo2Extractor,
}


def build_extractor(name: str, options: Mapping[str, Any], *, device: torch.device) -> Extractor:
    """Build a declared extractor.

    Args:
        name: Its name in `EXTRACTORS`.
        options: See its class.
        device: Where it runs.

    Raises:
        UnknownName: If there is none of this name.
        InputError: If it does not take the options.
    """
    if name not in EXTRACTORS:
        raise UnknownName("extractor", name, EXTRACTORS)
    build: Any = EXTRACTORS[name]
    try:
        extractor: Extractor = build(device, **options)
    except TypeError as error:
        raise InputError(
            f"extractor {name!r} with options {dict(options)}: {error}; {name!r} takes "
            f"{', '.join(build.option_names())}"
        ) from error
    return extractor
