"""Datasets of masks of objects through videos."""

from __future__ import annotations

from tpo_core.specs import DatasetSpec

SPECS = (
    DatasetSpec(
        name="mevis",
        target="tpo_plugins.datasets.mevis:read",
        tasks=("mask",),
        licence="CC-BY-NC-SA-4.0",
        home="https://henghuiding.com/MeViS/",
        files=(
            "<split>/meta_expressions.json",
            "<split>/mask_dict.json",
            "<split>/JPEGImages/<video>/<frame>.jpg",
        ),
        splits=("train", "valid_u"),
        summary="phrases about motion for one object or several; valid has no masks",
    ),
    DatasetSpec(
        name="ref_davis17",
        target="tpo_plugins.datasets.ref_davis17:read",
        tasks=("mask",),
        licence="see its home page",
        home="https://davischallenge.org/davis2017/code.html",
        files=(
            "ImageSets/2017/<split>.txt",
            "JPEGImages/480p/<video>/<frame>.jpg",
            "Annotations_unsupervised/480p/<video>/<frame>.png",
            "Davis17_annot{1,2}.txt",
            "Davis17_annot{1,2}_full_video.txt",
        ),
        splits=("train", "val"),
        summary="four phrases for each object of DAVIS 2017",
    ),
    DatasetSpec(
        name="ref_youtube_vos",
        target="tpo_plugins.datasets.ref_youtube_vos:read",
        tasks=("mask",),
        licence="non-commercial research, https://youtube-vos.org/dataset/term/",
        home="https://youtube-vos.org/dataset/rvos/",
        files=(
            "meta_expressions/<split>/meta_expressions.json",
            "train/JPEGImages/<video>/<frame>.jpg",
            "train/Annotations/<video>/<frame>.png",
        ),
        splits=("train",),
        summary="phrases for single objects of YouTube videos; valid has no masks",
    ),
    DatasetSpec(
        name="sa_v",
        target="tpo_plugins.datasets.sa_v:read",
        tasks=("mask",),
        licence="CC-BY-4.0",
        home="https://ai.meta.com/datasets/segment-anything-video/",
        files=(
            "<id>.mp4",
            "<id>_manual.json",
            "<id>_auto.json",
            "sav_<split>.txt",
            "JPEGImages_24fps/<id>/<frame>.jpg",
            "Annotations_6fps/<id>/<object>/<frame>.png",
        ),
        splits=("train", "val", "test"),
        summary="masks of objects through videos, asked for by their boxes",
    ),
)
