"""What a VideoChat-TPO model is made of, as a JSON file says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from tpo_backbones.videochat.qformer import QFormerConfig
from tpo_backbones.videochat.vision import VisionConfig
from tpo_core.errors import InputError

if TYPE_CHECKING:
    from transformers import MistralConfig

MODEL_TYPE: Final = "videochat_tpo"

# Id of the places that visual rows fill: `<unk>`, which text never gives, since the vocabulary
# spells out bytes it has no piece for.
PLACEHOLDER_ID: Final = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageConfig:
    """Sizes of the language model, a Mistral without attention windows.

    Args:
        hidden_size: Width of the states.
        intermediate_size: Hidden width of the feed-forward layers.
        layers: How many layers.
        heads: Query heads.
        key_value_heads: Key and value heads.
        vocabulary: Rows of the embeddings; the published model's hold its seven task tokens.
        max_positions: Longest sequence.
        norm_eps: Of all norms.
        rope_theta: Base of the rotary positions.
    """

    hidden_size: int = 4096
    intermediate_size: int = 14_336
    layers: int = 32
    heads: int = 32
    key_value_heads: int = 8
    vocabulary: int = 32_007
    max_positions: int = 32_768
    norm_eps: float = 1e-5
    rope_theta: float = 1e6

    def mistral(self) -> MistralConfig:
        """Return the same as a config of transformers."""
        from transformers import MistralConfig

        return MistralConfig(
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            vocab_size=self.vocabulary,
            max_position_embeddings=self.max_positions,
            rms_norm_eps=self.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": self.rope_theta},
            sliding_window=None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoChatConfig:
    """The whole model; `VideoChatConfig()` is the published one.

    Args:
        vision: The encoder.
        qformer: The connector.
        language: The language model.
        num_frames: Frames of a video that are looked at.
        max_tokens: Longest conversation, visual places included.

    Raises:
        InputError: If sizes do not divide as they must.
    """

    vision: VisionConfig = field(default_factory=VisionConfig)
    qformer: QFormerConfig = field(default_factory=QFormerConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    num_frames: int = 16
    max_tokens: int = 1024

    def __post_init__(self) -> None:
        vision, qformer, language = self.vision, self.qformer, self.language
        for name, value, divisor in (
            ("vision.patch_size", vision.patch_size, 1),
            ("vision.image_size", vision.image_size, 1),
            ("vision.width", vision.width, vision.heads),
            ("qformer.width", qformer.width, qformer.heads),
            ("language.hidden_size", language.hidden_size, language.heads),
            ("language.heads", language.heads, language.key_value_heads),
            ("num_frames", self.num_frames, 1),
            ("max_tokens", self.max_tokens, 1),
        ):
            if divisor < 1 or value < 1 or value % divisor:
                raise InputError(
                    f"the config's {name} is {value}; expected a positive multiple of {divisor}"
                )

    @property
    def visual_tokens(self) -> int:
        """Places that a picture or video takes in a conversation: one for each query."""
        return self.qformer.queries + self.qformer.extra_queries

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"model_type": MODEL_TYPE, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned; what is left out is as in the published model.

        Raises:
            InputError: If it is of another model, has a field that is not known, or a value that
                cannot be used.
        """
        rest = dict(values)
        if (found := rest.pop("model_type", None)) != MODEL_TYPE:
            raise InputError(f"the config is of a {found!r} model, expected {MODEL_TYPE!r}")
        try:
            return cls(
                vision=VisionConfig(**rest.pop("vision", {})),
                qformer=QFormerConfig(**rest.pop("qformer", {})),
                language=LanguageConfig(**rest.pop("language", {})),
                **rest,
            )
        except TypeError as error:
            raise InputError(f"the config cannot be used: {error}") from error
