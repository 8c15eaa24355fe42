"""The conformance kit over the region and temporal heads."""

from __future__ import annotations

import pytest

from tpo_core.testing import HeadConformance
from tpo_heads.region import RegionHead
from tpo_heads.temporal import TemporalHead


class TestRegion(HeadConformance):
    bad_options = ({"activation": "tanh"}, {"l1_weight": -2.5}, {"giou_weight": -1})

    @pytest.fixture
    def head_factory(self):
        return RegionHead


class TestRegionAsUpstream(HeadConformance):
    @pytest.fixture
    def head_factory(self):
        return lambda hidden_size, **options: RegionHead(hidden_size, activation="none", **options)


class TestTemporal(HeadConformance):
    bad_options = (
        {"width": 0},
        {"width": 30},
        {"levels": -3},
        {"dropout": 1.5},
        {"threshold": 2},
        {"sigma": 0},
    )

    @pytest.fixture
    def head_factory(self):
        return lambda hidden_size, **options: TemporalHead(
            hidden_size, **({"width": 32, **options})
        )
