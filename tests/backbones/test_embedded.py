"""The embedded tiny backbone loads from the installed package and passes the kit."""

from __future__ import annotations

import pytest

from tpo_backbones.llava_onevision import LlavaOnevisionAdapter
from tpo_core.backbone import BackboneAdapter
from tpo_core.testing import BackboneConformance


class TestEmbedded(BackboneConformance):
    @pytest.fixture(scope="class")
    def backbone(self) -> BackboneAdapter:
        return LlavaOnevisionAdapter.load("package:tpo_plugins/tiny/backbone")

    def test_branches_share_a_tree(self, backbone: BackboneAdapter) -> None:
        assert backbone.strategy == "tree"
