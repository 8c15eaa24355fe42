"""A model in which everything that may train has moved, and how to compare two of them."""

from __future__ import annotations

import torch

from tpo_core.build import attach

HEADS = {"region": {"activation": "none"}, "temporal": {"width": 16}}


def build(checkpoint, **options):
    """A model in which everything that may be trained differs from where it started."""
    torch.manual_seed(0)
    model = attach(str(checkpoint), HEADS, **{"device": "cpu", **options}).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.num_frames = 5
    return model


def train_connector(model):
    for parameter in model.backbone.parameter_group("connector").values():
        parameter.data.add_(0.01)
    model.trained_groups.add("connector")


def differing(model, other):
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return [name for name in ours if not torch.equal(ours[name], theirs[name])]
