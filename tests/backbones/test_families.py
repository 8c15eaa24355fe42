"""Every family passes the conformance kit on a tiny random checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tests.backbones.families_table import PAGES, row_of
from tests.backbones.tiny_families import FAMILIES, build
from tpo_core.backbone import BackboneAdapter
from tpo_core.records.schema import Message
from tpo_core.testing import BackboneConformance
from tpo_core.testing.backbone_samples import sample_media


class FamilyCase(BackboneConformance):
    """The kit, with the tiny checkpoint of a family."""

    family: ClassVar[str]
    tied: ClassVar[bool] = False

    @pytest.fixture(scope="class")
    def backbone(self, tmp_path_factory: pytest.TempPathFactory) -> BackboneAdapter:
        folder = tmp_path_factory.mktemp(self.family)
        adapter: BackboneAdapter = build(self.family, folder, tied=self.tied)
        return adapter

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_page_tells_the_same(self, backbone: Any, page: Path) -> None:
        """The tables are up to date: `python -m tests.backbones.families_table`."""
        row = row_of(self.family, backbone)
        cells = [cell.strip() for cell in _line_of(self.family, page).strip("|").split("|")]
        assert cells[:4] == [f"`{row.family}`", "yes", row.video, row.share]
        assert cells[5] == row.note


def _line_of(family: str, page: Path) -> str:
    lines = page.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"| `{family}` |"))


def _with_suffix(
    case: FamilyCase, backbone: Any, name: str, messages: Sequence[Message]
) -> torch.Tensor | None:
    """Ask PaliGemma's processor, which has no chat template: the answer is a suffix."""
    media = sample_media("image")
    if name == "text" or media is None or media.frames is None:
        return None
    question, answer = (message.content for message in messages)
    processor = backbone.processor
    outputs = processor(
        text=[processor.image_token + question],
        images=[media.frames[0]],
        suffix=[answer],
        return_tensors="pt",
    )
    ids: torch.Tensor = outputs["input_ids"][0]
    return ids


# What differs from the kit's defaults, with the reason.
_PALIGEMMA = {
    "media": ("image", "text"),
    "native": ("image",),
    "text_type": 1,  # questions are causal
    "several_turns": False,
    "whole_ids": _with_suffix,
}
_DIFFERENT: dict[str, dict[str, object]] = {
    # The recurrence is computed in chunks, which a cached prefix cuts elsewhere.
    "qwen3_5": {"tolerance": 5e-5},
    "minicpmv4_6": {"tolerance": 5e-5},
    # transformers' own video path fails; see tpo_backbones/kimi_k25.py.
    "kimi_k25": {"native": ("image", "text")},
    # One image a conversation; text without an image has no place in its processor.
    "paligemma": _PALIGEMMA,
    "paligemma2": _PALIGEMMA,
    # Parts that make images.
    "janus": {"idle": ("vqmodel", "generation_")},
}


def _case(family: str, *, tied: bool = False) -> type[FamilyCase]:
    values = {"family": family, "tied": tied, **_DIFFERENT.get(family, {})}
    name = f"Test_{family}{'_tied' if tied else ''}"
    return type(name, (FamilyCase,), {**values, "__module__": __name__})


for _family in FAMILIES:
    _made = _case(_family)
    globals()[_made.__name__] = _made
for _family in ("llava_onevision", "qwen2_5_vl", "gemma3"):
    _made = _case(_family, tied=True)
    globals()[_made.__name__] = _made
del _made
