"""Carrying masks through a video with SAM2's own memory, one frame at a time.

Shapes: K objects prompted on one frame, C width of SAM2's prompts, T frames, s side of SAM2's image
embedding, S = 16 s. Frames come in and masks go out as streams: what is held is one chunk of image
features, the prompted frame's memory, and the few latest memories that SAM2 attends to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tpo_heads.mask.features import ImageFeatures
from tpo_heads.mask.prompts import box_points, injected_prompt

# SAM2's own video predictor stores memories so, also when it computes in float32.
MEMORY_DTYPE = torch.bfloat16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prompt:
    """K objects to segment on one frame and to follow from there.

    Args:
        frame: The prompted frame, counted among those given.
        sparse: SAM2's sparse prompt embeddings `[K, 3, C]`.
        masks: float32 `[K, 1, S, S]` zeros and ones: instead of `sparse`, the objects' masks on
            that frame, from elsewhere.
    """

    frame: int
    sparse: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.sparse)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameMasks:
    """What SAM2 says about one frame.

    Args:
        logits: `[K, 1, 4 s, 4 s]`, over all prompts' objects in order.
        presence: `[K]`, probability that the object is in the frame.
    """

    logits: Tensor
    presence: Tensor


@dataclass(slots=True, eq=False)
class Memory:
    """SAM2's memory of the K objects of one prompt, in the form `SAM2Base.track_step` reads."""

    conditioning: dict[int, dict[str, Any]] = field(default_factory=dict)
    recent: dict[int, dict[str, Any]] = field(default_factory=dict)

    def as_output_dict(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Return the two dictionaries under SAM2's names."""
        return {"cond_frame_outputs": self.conditioning, "non_cond_frame_outputs": self.recent}

    def forget_before(self, *, frame: int, pointers: int, features: int) -> None:
        """Drop what no later frame than `frame` reads: SAM2 looks back a fixed number of frames.

        Args:
            frame: The frame just tracked.
            pointers: How many frames back object pointers are read.
            features: How many frames back memory features are read.
        """
        for index in [index for index in self.recent if index <= frame - pointers]:
            del self.recent[index]
        for index, entry in self.recent.items():
            if index <= frame - features:
                entry.pop("maskmem_features", None)
                entry.pop("maskmem_pos_enc", None)

    def tensors(self) -> Iterator[Tensor]:
        """Yield every tensor held."""
        for entry in (*self.conditioning.values(), *self.recent.values()):
            for value in entry.values():
                yield from value if isinstance(value, list) else [value]


class Tracker:
    """Follows the objects of several prompts through one video, frame after frame.

    Prompts whose objects start on the same frame go through SAM2 as one batch; all share each
    frame's image features.

    Args:
        sam: A `SAM2Base` with its released weights, in evaluation mode.
        prompts: At most one for each prompted frame.
        num_frames: T; SAM2 scales the positions of its object pointers by it.
    """

    def __init__(self, sam: Any, *, prompts: Sequence[Prompt], num_frames: int) -> None:
        self.sam = sam
        self.prompts = tuple(prompts)
        self.num_frames = num_frames
        self.memories = tuple(Memory() for _ in prompts)
        self._position: list[Tensor] | None = None  # the same on all frames, so held once

    def step(self, frame: int, features: ImageFeatures) -> FrameMasks:
        """Segment all objects on the next frame; those not yet prompted are absent.

        Args:
            frame: Its number; call with 0, 1, 2, ...
            features: Of this frame alone.
        """
        parts = [
            self._step_prompt(prompt, memory, frame, features)
            for prompt, memory in zip(self.prompts, self.memories, strict=True)
        ]
        return FrameMasks(
            logits=torch.cat([part.logits for part in parts]),
            presence=torch.cat([part.presence for part in parts]),
        )

    def _step_prompt(
        self, prompt: Prompt, memory: Memory, frame: int, features: ImageFeatures
    ) -> FrameMasks:
        count, sam = len(prompt), self.sam
        if frame < prompt.frame:
            side = 4 * features.maps[-1].shape[-1]
            absent = torch.full((count, 1, side, side), -1024.0, device=sam.device)
            return FrameMasks(logits=absent, presence=absent.new_zeros(count))
        prompted = frame == prompt.frame
        maps, positions, sizes = features.take([0] * count).as_sequences()
        points = None
        if prompted and prompt.masks is None:  # dummies, so that SAM2 counts a box's two points
            zeros = torch.zeros(count, 4, device=sam.device)
            points = box_points(zeros, image_size=sam.image_size)
        arguments = {
            "frame_idx": frame,
            "is_init_cond_frame": prompted,
            "current_vision_feats": maps,
            "current_vision_pos_embeds": positions,
            "feat_sizes": sizes,
            "point_inputs": points,
            "mask_inputs": prompt.masks if prompted else None,
            "output_dict": memory.as_output_dict(),
            "num_frames": self.num_frames,
        }
        if points is None:
            output = sam.track_step(**arguments)
        else:
            with injected_prompt(sam, prompt.sparse):
                output = sam.track_step(**arguments)
        kept = memory.conditioning if prompted else memory.recent
        kept[frame] = self._memory_entry(output)
        memory.forget_before(frame=frame, pointers=self._pointer_span, features=self._memory_span)
        return FrameMasks(
            logits=output["pred_masks"].float(),
            presence=output["object_score_logits"].float().sigmoid()[:, 0],
        )

    def _memory_entry(self, output: dict[str, Any]) -> dict[str, Any]:
        entry = {"obj_ptr": output["obj_ptr"]}
        if output["maskmem_features"] is None:  # a SAM2 built for images, without memory
            return entry
        if self._position is None:
            self._position = [table[:1].clone() for table in output["maskmem_pos_enc"]]
        count = len(output["obj_ptr"])
        return entry | {
            "maskmem_features": output["maskmem_features"].to(MEMORY_DTYPE),
            "maskmem_pos_enc": [table.expand(count, -1, -1, -1) for table in self._position],
        }

    @property
    def _memory_span(self) -> int:
        stride = self.sam.memory_temporal_stride_for_eval
        return int(max(self.sam.num_maskmem, 1) * stride)

    @property
    def _pointer_span(self) -> int:
        return int(max(self.sam.max_obj_ptrs_in_encoder, self._memory_span))


@torch.no_grad()
def propagate(
    sam: Any, features: Iterable[ImageFeatures], *, prompts: Sequence[Prompt], num_frames: int
) -> Iterator[FrameMasks]:
    """Segment prompted objects on every frame of a video, forward from the prompted frame.

    Args:
        sam: A `SAM2Base` with its released weights, in evaluation mode.
        features: The image features of each of the T frames, in order; consumed one by one.
        prompts: At most one for each prompted frame.
        num_frames: T.

    Yields:
        One `FrameMasks` a frame, objects in the order of `prompts`.
    """
    tracker = Tracker(sam, prompts=prompts, num_frames=num_frames)
    for frame, current in enumerate(features):
        with torch.autocast(current.maps[0].device.type, enabled=False):
            masks = tracker.step(frame, current)
        yield masks
