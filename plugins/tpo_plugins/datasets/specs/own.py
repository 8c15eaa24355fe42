"""The project's own data: the record format and the embedded world."""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

SPECS = (
    DatasetSpec(
        name="jsonl",
        target="tpo_plugins.datasets.jsonl:read",
        files=("*.jsonl",),
        summary="any data in the record format: a JSONL file, or a folder of them",
    ),
    DatasetSpec(
        name="tiny_world",
        target="tpo_plugins.datasets.tiny_world:read",
        tasks=("region", "temporal", "mask"),
        licence="Apache-2.0",
        files=("world.json", "train.jsonl", "val.jsonl", "test.jsonl"),
        summary="the embedded world of moving shapes, written on first use",
    ),
)
