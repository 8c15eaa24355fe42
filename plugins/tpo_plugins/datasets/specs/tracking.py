"""Datasets of boxes of one object through videos."""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

SPECS = (
    DatasetSpec(
        name="got10k",
        target="tpo_plugins.datasets.got10k:read",
        tasks=("mask",),
        licence="CC-BY-NC-SA-4.0",
        home="http://got-10k.aitestunion.com",
        files=(
            "<split>/list.txt",
            "<split>/<sequence>/<frame>.jpg",
            "<split>/<sequence>/groundtruth.txt",
            "<split>/<sequence>/{absence,cover}.label",
            "<split>/<sequence>/meta_info.ini",
        ),
        splits=("train", "val", "test"),
        summary="boxes of one object through short videos; of test the first alone",
    ),
    DatasetSpec(
        name="lasot",
        target="tpo_plugins.datasets.lasot:read",
        tasks=("mask",),
        licence="see its home page",
        home="http://vision.cs.stonybrook.edu/~lasot/",
        files=(
            "<class>/<class>-<n>/img/<frame>.jpg",
            "<class>/<class>-<n>/groundtruth.txt",
            "<class>/<class>-<n>/{full_occlusion,out_of_view,nlp}.txt",
        ),
        splits=("train", "test"),
        summary="boxes of one object through long videos, and a sentence about it",
    ),
)
