"""What may differ between families of transformers image-text-to-text models, and the defaults.

A family file overrides what it must; the defaults fit most. Everything here works on public names
of transformers' models and processors and holds no state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor

from tpo_backbones.generic.visual import Visual
from tpo_core.errors import InputError
from tpo_core.media.types import Media

# A video goes to the processor as a video, or as its frames in the place of several images.
VideoAs = Literal["video", "images"]


class Family:
    """A family with no peculiarities.

    Attributes:
        video: How the processor takes a video.
        fields: Names in the encoder's output, besides `pooler_output`, that the model reads back.
        temporal_patch: Frames that share one group of visual tokens.
        note: One line for the table of families.
    """

    video: ClassVar[VideoAs] = "video"
    fields: ClassVar[tuple[str, ...]] = ()
    temporal_patch: ClassVar[int] = 1
    note: ClassVar[str] = ""

    # Rendering

    def chat_template(self, processor: Any) -> str:
        """Return the Jinja template of the checkpoint.

        Raises:
            InputError: If it has none.
        """
        template = processor.chat_template or processor.tokenizer.chat_template
        if isinstance(template, dict):
            template = template.get("default")
        if not template:
            raise InputError(
                f"{type(processor).__name__} has no chat template; save the checkpoint's "
                "chat_template.jinja next to its processor"
            )
        return str(template)

    def media_inputs(
        self, processor: Any, media: Media
    ) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """Return what the processor takes: items by kind, and options of the call.

        Args:
            processor: The checkpoint's.
            media: With frames.
        """
        assert media.frames is not None
        if media.kind == "image":
            return {"image": [media.frames[0]]}, {}
        if self.video == "images":
            return {"image": list(media.frames)}, self.several_images(processor)
        metadata = video_metadata(media)
        options = {"do_sample_frames": False, "video_metadata": [[metadata]]}
        return {"video": [media.frames]}, options

    def several_images(self, processor: Any) -> dict[str, Any]:
        """Return options that keep each frame of a video given as images to one tile."""
        return {}

    # Visual features

    def encode(self, features: Any, inputs: Mapping[str, Any]) -> Visual:
        """Run tower and connector on what the processor made of one media item.

        Args:
            features: The module that owns `get_image_features` and `get_video_features`.
            inputs: `RenderedRecord.inputs`.
        """
        is_video = any(key.startswith("pixel_values_videos") for key in inputs)
        modality: Literal["image", "video"] = "video" if is_video else "image"
        function = getattr(features, f"get_{modality}_features")
        return Visual.of(modality, call_with_known(function, inputs), fields=self.fields)

    def frame_groups(self, visual: Visual, inputs: Mapping[str, Any], frames: int) -> Tensor:
        """Return visual tokens by time, `[T, n, D]`.

        Args:
            visual: What `encode` returned.
            inputs: `RenderedRecord.inputs`.
            frames: Sampled frames of the media item; 1 for an image.
        """
        rows = visual.rows
        if visual.modality == "image" and frames == 1:
            return rows[None]
        return rows.view(self.groups(frames), -1, rows.shape[-1])

    def groups(self, frames: int) -> int:
        """Return T, the number of time groups that `frames` frames make."""
        return -(-frames // self.temporal_patch)

    # Token embeddings

    def after_resize(self, model: Any, rows: int) -> None:
        """Correct the config after the embeddings grew to `rows` rows."""


def video_metadata(media: Media) -> Any:
    """Return transformers' metadata of a video whose frames are already sampled.

    Its clock is a millisecond instead of the file's frame number, so that times and the sampled
    rate that processors derive from it are right for variable frame rates too.
    """
    from transformers.video_utils import VideoMetadata

    assert media.frames is not None
    height, width = media.size
    seconds = media.duration or float(media.times[-1]) or 1.0
    return VideoMetadata(
        total_num_frames=max(round(seconds * 1000), 1),
        fps=1000.0,
        frames_indices=[round(float(time) * 1000) for time in media.times],
        duration=seconds,
        height=height,
        width=width,
    )


def call_with_known(function: Any, inputs: Mapping[str, Any]) -> Any:
    """Call a `get_*_features` with those inputs that its signature names."""
    import inspect

    names = [name for name in inspect.signature(function).parameters if name in inputs]
    return function(**{name: inputs[name] for name in names}, return_dict=True)


def split_rows(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """Stack equal runs of rows as `[T, n, D]`.

    Raises:
        InputError: If the runs differ in length.
    """
    if len(set(counts)) != 1:
        raise InputError(
            f"frames give {sorted(set(counts))} visual tokens each; expected one number, so use "
            "frames of one size"
        )
    return rows.view(len(counts), counts[0], rows.shape[-1])
