"""What ships with the package: every registered name resolves to what its spec promises."""

from __future__ import annotations

import pytest

from tpo_core import registry
from tpo_core.tokens import UPSTREAM_ORDER, ordered_texts
from tpo_plugins import builtin

SPECS = [*builtin.BACKBONES, *builtin.HEADS, *builtin.DATASETS, *builtin.BENCHMARKS]


@pytest.mark.parametrize("spec", builtin.HEADS, ids=lambda spec: spec.name)
def test_a_head_loads(spec):
    assert registry.load_head(spec.name).tokens == spec.tokens


@pytest.mark.parametrize("spec", builtin.BACKBONES, ids=lambda spec: spec.name)
def test_a_backbone_loads(spec):
    assert registry.load_backbone(spec.name).__name__ == spec.target.partition(":")[2]


@pytest.mark.parametrize("spec", builtin.DATASETS, ids=lambda spec: spec.name)
def test_a_dataset_loads(spec):
    assert callable(registry.load_dataset(spec.name))


@pytest.mark.parametrize("spec", builtin.BENCHMARKS, ids=lambda spec: spec.name)
def test_a_benchmark_loads_and_reports_what_it_promises(spec):
    assert registry.load_benchmark(spec.name).metrics == spec.metrics


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_listing_can_say_what_it_is(spec):
    assert spec.summary


def test_the_three_heads_bring_upstreams_tokens_in_upstreams_order():
    tokens = tuple(token for spec in builtin.HEADS for token in spec.tokens)
    assert ordered_texts(tokens) == UPSTREAM_ORDER


def test_no_model_type_is_served_twice():
    types = [name for spec in builtin.BACKBONES for name in spec.model_types]
    assert len(types) == len(set(types))


@pytest.mark.parametrize("spec", builtin.BACKBONES, ids=lambda spec: spec.name)
def test_a_backbone_serves_the_model_types_that_its_adapter_accepts(spec):
    accepted = registry.load_backbone(spec.name).model_types
    assert not accepted or set(spec.model_types) <= set(accepted)


def test_a_model_type_without_a_family_goes_to_the_generic_adapter():
    assert registry.backbone_for_model_type("never_heard_of").name == "transformers"
