"""Which families are tested, where their differences are kept, and which are refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from tpo_core.errors import InputError

if TYPE_CHECKING:
    from tpo_backbones.family import Family

_DEFAULT: Final = "tpo_backbones.family:Family"

# `config.model_type` -> the class that holds what differs. A family that is absent gets
# the defaults too, and the numeric check at load time decides.
FAMILIES: Final[Mapping[str, str]] = {
    "aya_vision": _DEFAULT,
    "fast_vlm": _DEFAULT,
    "gemma3": _DEFAULT,
    "gemma4": _DEFAULT,
    "glm4v": "tpo_backbones.glm4v:Glm4v",
    "idefics3": _DEFAULT,
    "internvl": _DEFAULT,
    "janus": _DEFAULT,
    "kimi_k25": "tpo_backbones.kimi_k25:KimiK25",
    "lfm2_vl": _DEFAULT,
    "llama4": "tpo_backbones.llama4:Llama4",
    "llava": _DEFAULT,
    "llava_next": _DEFAULT,
    "llava_next_video": _DEFAULT,
    "llava_onevision": "tpo_backbones.llava_onevision:LlavaOnevision",
    "minicpmv4_6": _DEFAULT,
    "mistral3": _DEFAULT,
    "molmo2": "tpo_backbones.glm4v:Molmo2",
    "ovis2": "tpo_backbones.ovis2:Ovis2",
    "paligemma": "tpo_backbones.paligemma:PaliGemma",
    "perception_lm": "tpo_backbones.perception_lm:PerceptionLM",
    "qwen2_5_vl": _DEFAULT,
    "qwen2_vl": _DEFAULT,
    "qwen3_5": _DEFAULT,
    "qwen3_vl": "tpo_backbones.qwen3_vl:Qwen3VL",
    "smolvlm": "tpo_backbones.smolvlm:SmolVLM",
    "video_llama_3": "tpo_backbones.video_llama_3:VideoLlama3",
    "video_llava": _DEFAULT,
}

REFUSED: Final[Mapping[str, str]] = {
    "mllama": "images reach the decoder through cross-attention, so they have no place in the row "
    "that branches could share, and their features cannot be computed beforehand",
}


def family_for(model_type: str) -> Family:
    """Return what differs in a family; the defaults where nothing is known of it."""
    target = FAMILIES.get(model_type, _DEFAULT)
    module, _, name = target.partition(":")
    family: Family = getattr(import_module(module), name)()
    return family


def check_family(model_type: str, expected: Sequence[str]) -> None:
    """Refuse a checkpoint of a family that cannot work or of another than the one asked for.

    Raises:
        InputError: If the family is known not to work, or `expected` is not empty and lacks it.
    """
    if model_type in REFUSED:
        raise InputError(f"backbones of type {model_type!r} are refused: {REFUSED[model_type]}")
    if expected and model_type not in expected:
        raise InputError(
            f"the checkpoint is of type {model_type!r}, expected {' or '.join(expected)}; "
            f"attach it with the backbone 'transformers' or the one for its type"
        )
