"""Registers a head that predicts a point, and a backbone family.

`tpo plugins` imports this module: specs and hookimpls only, no torch. The classes are in
`tpo_example.models`, which is imported once someone attaches one of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tpo_core import BackboneSpec, HeadSpec, TaskToken, hookimpl

POINT = TaskToken(task="point", trigger="<point_begin>", slot="<point_slot>")


@hookimpl
def tpo_heads() -> Iterable[HeadSpec]:
    """Register the head `point`: `tpo.attach(..., heads=["point"])`."""
    yield HeadSpec(
        name="point",
        target="tpo_example.models:PointHead",
        tokens=(POINT,),
        summary="one point, normalised xy",
    )


@hookimpl
def tpo_backbones() -> Iterable[BackboneSpec]:
    """Register an adapter that `tpo.attach` picks for every Gemma 3 checkpoint."""
    yield BackboneSpec(
        name="example-gemma3",
        target="tpo_example.models:Gemma3Adapter",
        model_types=("gemma3",),
        summary="Gemma 3 with LoRA on attention only",
    )
