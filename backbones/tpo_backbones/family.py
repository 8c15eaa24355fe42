"""What may differ between families of transformers image-text-to-text models, and the defaults.

A family file overrides what it must; the defaults fit most. Everything here works on public names
of transformers' models and processors and holds no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal

from torch import Tensor

from tpo_backbones.generic.visual import FieldKind, Visual
from tpo_core.errors import InputError
from tpo_core.media.types import Media, MediaKind

# A video goes to the processor as a video, as its frames in the place of several images, or not.
VideoAs = Literal["video", "images", "no"]


class Family:
    """A family with no peculiarities.

    Attributes:
        fields: What the model reads back from the encoder's output besides `pooler_output`.
        one_placeholder: Whether images and videos share one placeholder id, so that a row's
            features must be handed back as one list.
        text_type: Token type of text, where the model takes token types.
        note: One line for the table of families.
    """

    fields: ClassVar[Mapping[str, FieldKind]] = {}
    one_placeholder: ClassVar[bool] = False
    text_type: ClassVar[int] = 0
    note: ClassVar[str] = ""

    # Rendering

    def video(self, processor: Any) -> VideoAs:
        """Return how a processor takes a video."""
        has_video = getattr(processor, "video_processor", None) is not None
        return "video" if has_video else "images"

    def chat_template(self, processor: Any, kind: MediaKind | None) -> str:
        """Return the Jinja template for conversations about some kind of media.

        Args:
            processor: The checkpoint's.
            kind: None for text alone.

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
        video = self.video(processor)
        if video == "no":
            raise InputError(
                f"{type(processor).__name__} takes one image and no video; give single frames as "
                "images, or use another backbone"
            )
        if video == "images":
            return {"image": list(media.frames)}, self.several_images(processor)
        metadata = video_metadata(media)
        options = {"do_sample_frames": False, "video_metadata": [[metadata]]}
        return {"video": [media.frames]}, options

    def several_images(self, processor: Any) -> dict[str, Any]:
        """Return options that keep each frame of a video given as images to one tile."""
        switches = ("do_image_splitting", "crop_to_patches", "do_pan_and_scan")
        known = processor.image_processor.valid_kwargs.__annotations__
        return {name: False for name in switches if name in known}

    def lead(self, tokenizer: Any, text: str) -> list[int]:
        """Return ids that the processor, but not the tokenizer, puts before text without media."""
        return []

    def tail(self, text: str) -> str:
        """Return the text that stays between the media and the first user text.

        Args:
            text: What the processor put behind the last special token of the media.
        """
        return text

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
        rows = visual.rows if visual.frames is None else visual.frames
        grids = inputs.get("video_grid_thw")
        groups = frames if grids is None else int(grids[:, 0].sum())
        return grouped(rows, groups)

    # The forward pass

    def masked(self, decoder: Any, mask: Any) -> AbstractContextManager[Any]:
        """Return a context whose value is passed to the model as `attention_mask`."""
        return nullcontext(mask)

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


def grouped(rows: Tensor, groups: int) -> Tensor:
    """Cut rows `[N, D]` into equal groups `[T, n, D]`.

    Raises:
        InputError: If N is no multiple of T.
    """
    if len(rows) % groups:
        raise InputError(
            f"{len(rows)} visual tokens cannot be cut into {groups} equal time groups; the family "
            "of this backbone lays them out in a way that is not known here"
        )
    return rows.reshape(groups, -1, rows.shape[-1])
