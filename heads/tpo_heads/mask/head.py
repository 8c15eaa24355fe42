"""The mask head: a task token's state prompts a frozen SAM2, as in upstream TPO.

Shapes: N slots, M media items, D hidden size, C width of SAM2's prompts, S side of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from tpo_core.errors import InputError
from tpo_core.head import HeadContext, LossTerms, TaskHead
from tpo_core.media.types import Media
from tpo_core.records.schema import MaskTarget
from tpo_core.results import Result
from tpo_core.tokens import MASK
from tpo_heads.mask import losses
from tpo_heads.mask.adapter import PromptAdapter, TwoLayers
from tpo_heads.mask.decoder import decode_masks, trainable_copy
from tpo_heads.mask.features import (
    EncoderDtype,
    ImageFeatures,
    concatenate,
    encode_images,
    prepare_frames,
)
from tpo_heads.mask.prompts import box_embedding
from tpo_heads.mask.sam2_source import load_sam2
from tpo_heads.mask.targets import PromptedFrame, prompted_frame, resize_masks, skip_reason
from tpo_heads.mask.tracks import BoxPrompt, frames_of, track_slots, users_boxes

DEFAULT_SAM2 = "facebook/sam2-hiera-large"
DEFAULT_WEIGHTS = {"prompt_l1": 1.0, "box_l1": 1.0, "bce": 2.0, "dice": 1.0, "presence": 0.1}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MaskOutputs:
    """What the head makes of N states.

    Args:
        prompts: SAM2 prompts `[N, 3, C]` float32.
        boxes: The auxiliary boxes `[N, 4]` xyxy normalised, or None if no loss asks for them.
        context: What they were computed from; frames are looked at by `loss` and `decode`.
    """

    prompts: Tensor
    boxes: Tensor | None
    context: HeadContext


class MaskHead(TaskHead):
    """Segments and tracks the object a `<mask>` stands for.

    A two-layer MLP maps the state to SAM2's whole sparse prompt embedding of one frame; SAM2 does
    the rest. SAM2 is frozen and stays outside this module's parameters: `state_dict()` holds the
    adapter (and the copied decoder) alone, optimizers and data-parallel wrappers see no more, and a
    saved head finds SAM2 again by `sam2`. `to(device)` moves it along; its dtype stays float32
    whatever the head is cast to, since its position tables collapse in bfloat16.

    Losses on the first annotated frame among the sampled ones: L1 between the prompt and SAM2's own
    embedding of the box around the object, L1 between an auxiliary box and that box (both as
    upstream), binary cross-entropy and dice of the mask SAM2's decoder makes of the prompt, and
    cross-entropy of SAM2's judgement that the object is there.

    Args:
        hidden_size: D, width of the backbone's hidden states.
        state: Which state feeds the head, see `TaskHead`.
        sam2: Where SAM2 comes from, see `tpo_heads.mask.sam2_source.load_sam2`.
        adapter_hidden: Width between the adapter's layers; D if None.
        loss_weights: Weights that differ from `DEFAULT_WEIGHTS`; a term of weight 0 is left out.
        train_decoder: Whether to train a copy of SAM2's mask decoder for the prompted frame.
            Propagation uses the released weights all the same.
        box_prompt: Who prompts SAM2 if the user gave a box: `"sam2"`, its own encoding of the box,
            as upstream, or `"token"`, the state.
        target_box: Which box the L1 losses aim at: `"mask"`, the one around the object's mask, or
            `"user"`, the user's if there is one, as upstream.
        encode_batch: How many frames go through SAM2's image encoder together.
        encoder_dtype: What the image encoder computes in.

    Raises:
        InputError: If an option has a value the head does not know, or SAM2 is not found.
        CheckpointError: If SAM2's weights cannot be loaded.
        MissingDependency: If the `sam2` package is not installed.
    """

    tokens = (MASK,)
    Target = MaskTarget
    needs = frozenset({"frames"})

    def __init__(
        self,
        hidden_size: int,
        *,
        state: Literal["slot", "trigger"] = "slot",
        sam2: str = DEFAULT_SAM2,
        adapter_hidden: int | None = None,
        loss_weights: Mapping[str, float] | None = None,
        train_decoder: bool = False,
        box_prompt: BoxPrompt = "sam2",
        target_box: Literal["mask", "user"] = "mask",
        encode_batch: int = 4,
        encoder_dtype: EncoderDtype = "float32",
    ) -> None:
        super().__init__(hidden_size, state=state)
        _check("box_prompt", box_prompt, ("sam2", "token"))
        _check("target_box", target_box, ("mask", "user"))
        _check("encoder_dtype", encoder_dtype, ("float32", "bfloat16"))
        self._weights = _merged_weights(loss_weights)
        if encode_batch < 1:
            raise InputError(
                f"mask head option encode_batch is {encode_batch}; expected at least 1"
            )
        self.box_prompt: BoxPrompt = box_prompt
        self.target_box = target_box
        self.encode_batch = encode_batch
        self.encoder_dtype: EncoderDtype = encoder_dtype
        # In a tuple, so that nn.Module does not register it; see the class docstring.
        self._frozen = (load_sam2(sam2),)
        hidden = hidden_size if adapter_hidden is None else adapter_hidden
        centred = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
        self.track_embed = PromptAdapter(
            hidden_size, hidden=hidden, start=box_embedding(self.sam2, centred)[0]
        )
        self.track_embed_decode2 = (
            TwoLayers(hidden_size, hidden=hidden, out=4) if "box_l1" in self._weights else None
        )
        self.decoder = trainable_copy(self.sam2) if train_decoder else None

    @property
    def sam2(self) -> Any:
        """The frozen `SAM2Base`, float32, on the head's device."""
        return self._frozen[0]

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weights of the terms that are computed."""
        return self._weights

    def forward(self, states: Tensor, context: HeadContext) -> MaskOutputs:
        """Map states `[N, D]` to SAM2 prompts."""
        states = states.to(self.parameter_dtype())
        boxes = None if self.track_embed_decode2 is None else self.track_embed_decode2(states)
        return MaskOutputs(
            prompts=self.track_embed(states),
            boxes=None if boxes is None else boxes.float(),
            context=context,
        )

    def skip_reason(self, target: MaskTarget, media: Media | None) -> str | None:
        """Say why a target cannot be trained on; see `targets.skip_reason`."""
        return skip_reason(target, media)

    def loss(self, outputs: MaskOutputs, targets: Sequence[MaskTarget]) -> LossTerms:
        """Sum each term over N slots; see the class and `TaskHead.loss`."""
        context, device = outputs.context, outputs.prompts.device
        frames = [
            prompted_frame(target, context.media_of(slot)) for slot, target in enumerate(targets)
        ]
        boxes = torch.stack([frame.box for frame in frames]).to(device)
        if self.target_box == "user":
            given = users_boxes(context, slots=len(targets))
            for slot, box in enumerate(given):
                if box is not None:
                    boxes[slot] = boxes.new_tensor(box.box)
        terms: dict[str, Tensor] = {}
        with torch.autocast(device.type, enabled=False):
            if "prompt_l1" in self._weights:
                expected = box_embedding(self.sam2, boxes)
                terms["prompt_l1"] = losses.mean_l1(outputs.prompts, expected)
            if outputs.boxes is not None:
                terms["box_l1"] = losses.mean_l1(outputs.boxes, boxes)
            if self._weights.keys() & {"bce", "dice", "presence"}:
                terms |= self._mask_losses(outputs, frames)
        count = float(len(targets))
        return {name: (terms[name], count) for name in self._weights}

    def _mask_losses(
        self, outputs: MaskOutputs, frames: Sequence[PromptedFrame]
    ) -> dict[str, Tensor]:
        sam, context = self.sam2, outputs.context
        decoder = sam.sam_mask_decoder if self.decoder is None else self.decoder
        keys = [
            (int(item), frame.position)
            for item, frame in zip(context.media_index, frames, strict=True)
        ]
        features = self._features_of(keys, context.media)
        logits, presence = decode_masks(sam, decoder, features, outputs.prompts)
        size = sam.image_size
        logits = functional.interpolate(logits[:, None], size=(size, size), mode="bilinear")[:, 0]
        masks = resize_masks([frame.mask for frame in frames], size=size, device=logits.device)
        compute: dict[str, Callable[[], Tensor]] = {
            "bce": lambda: losses.mask_bce(logits, masks),
            "dice": lambda: losses.mask_dice(logits, masks),
            "presence": lambda: losses.presence_bce(presence),
        }
        return {name: value() for name, value in compute.items() if name in self._weights}

    def _features_of(
        self, keys: Sequence[tuple[int, int]], media: Sequence[Media]
    ) -> ImageFeatures:
        """Encode each of the (media item, frame) pairs once; return one row a key."""
        sam = self.sam2
        unique = list(dict.fromkeys(keys))
        images = [frames_of(media[item])[position] for item, position in unique]
        parts = []
        for start in range(0, len(images), self.encode_batch):
            chunk = [
                prepare_frames(image[None].to(sam.device), image_size=sam.image_size)
                for image in images[start : start + self.encode_batch]
            ]
            parts.append(encode_images(sam, torch.cat(chunk), dtype=self.encoder_dtype))
        return concatenate(parts).take([unique.index(key) for key in keys])

    @torch.no_grad()
    def decode(self, outputs: MaskOutputs, context: HeadContext) -> list[Result]:
        """Return one track of masks per slot, on the frames of its media item.

        An image is segmented. A video is prompted on the first sampled frame (or on the sampled
        frame nearest to that of the user's box) and followed from there to the end by SAM2 with its
        released weights; earlier frames have empty masks. Where the media item has `every_frame`,
        it is followed through all of them, in memory that does not grow with the video.
        """
        return track_slots(
            self.sam2,
            outputs.prompts.detach(),
            context,
            box_prompt=self.box_prompt,
            decoder=self.decoder,
            encode_batch=self.encode_batch,
            encoder_dtype=self.encoder_dtype,
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MaskHead:
        """Take SAM2 along to another device (not to another dtype)."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        device = next(self.parameters()).device
        if device.type != "meta" and self.sam2.device != device:
            self.sam2.to(device)
        return self


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(
            f"mask head option {name} is {value!r}; expected {' or '.join(map(repr, known))}"
        )


def _merged_weights(given: Mapping[str, float] | None) -> dict[str, float]:
    """Return the default weights with those given in their place, without terms of weight 0."""
    given = given or {}
    unknown = sorted(set(given) - set(DEFAULT_WEIGHTS))
    if unknown or min(given.values(), default=0) < 0:
        raise InputError(
            f"mask head option loss_weights is {dict(given)}; expected values of at least 0 for "
            f"any of {', '.join(DEFAULT_WEIGHTS)}"
        )
    merged = {name: float(value) for name, value in {**DEFAULT_WEIGHTS, **given}.items() if value}
    if not merged:
        raise InputError("mask head option loss_weights turns every loss off; leave one above 0")
    return merged
