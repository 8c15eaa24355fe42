"""`tpo features extract`: real videos in, files that heads read out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.backbones.tiny import videochat as tiny
from tests.heads.test_internvideo2 import (
    GOLDEN,
    LANGUAGE,
    VISION,
    delta_weights,
    stage2_weights,
    text_weights,
)
from tpo_backbones.videochat.adapter import VideoChatAdapter
from tpo_core.build import attach
from tpo_core.cli import main
from tpo_core.errors import InputError
from tpo_core.media.open import open_media
from tpo_core.media.write import write_video
from tpo_heads.clip_features import ClipFeatures, build_source
from tpo_heads.clip_features.internvideo2 import InternVideo2Source

CPU = torch.device("cpu")
QUESTIONS = ("When does it open?", "When does it close?")
Extract = Callable[..., int]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Three seconds of noise in `a.mp4`, two in `below/b.mp4`."""
    folder = tmp_path / "videos"
    for name, frames in (("a", 25), ("below/b", 17)):
        generator = torch.Generator().manual_seed(frames)
        noise = torch.randint(256, (frames, 3, 8, 8), dtype=torch.uint8, generator=generator)
        picture = noise.repeat_interleave(4, -1).repeat_interleave(4, -2)
        write_video(folder / f"{name}.mp4", picture, fps=8)
    return folder


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Released files of tiny towers, as options of the source."""
    place = tmp_path / "released"
    place.mkdir()
    tiny_words = json.loads((GOLDEN / "5_tokenizer_tiny.json").read_text(encoding="utf-8"))
    (place / "tokenizer.model").write_bytes(base64.b64decode(tiny_words["model_base64"]))
    for name, weights in (
        ("stage2", stage2_weights()), ("text", text_weights()), ("delta", delta_weights()),
    ):  # fmt: skip
        torch.save(weights, place / f"{name}.pt")
    files = {name: str(place / f"{name}.pt") for name in ("stage2", "text", "delta")}
    files["tokenizer"] = str(place / "tokenizer.model")
    return {**files, "vision": VISION, "language": LANGUAGE}


@pytest.fixture
def extract(videos: Path, tmp_path: Path) -> Extract:
    """Return a function that runs the command on the videos and returns its exit code."""

    def run(extractor: str, options: dict[str, Any], *words: str) -> int:
        settings = [f"--set={name}={json.dumps(value)}" for name, value in options.items()]
        out = str(tmp_path / "out")
        return main(
            ["features", "extract", str(videos), out, "--extractor", extractor, *settings, *words]
        )

    return run


def write_records(path: Path, *video_names: str) -> Path:
    """Write a record a video, each with both questions and one that is not about a moment."""
    lines = []
    for name in video_names:
        branches: list[dict[str, Any]] = [
            {
                "messages": [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": "It is at <temporal>."},
                ],
                "targets": [{"task": "temporal", "spans": [[0.0, 1.0]]}],
            }
            for text in QUESTIONS
        ]
        talk = [("user", "What is it?"), ("assistant", "A door.")]
        branches.append({"messages": [{"role": role, "content": text} for role, text in talk]})
        media = {"type": "video", "path": name}
        lines.append(json.dumps({"id": name, "media": media, "branches": branches}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def clips_of(source: Any, path: Path, question: str = "") -> ClipFeatures:
    media = open_media(path, num_frames=4)
    found: ClipFeatures = source.clips(media, question, frame_features=None, device=CPU)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---- InternVideo2


def test_files_hold_what_the_source_computes(
    extract: Extract,
    videos: Path,
    options: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    records = write_records(videos / "records.jsonl", "a.mp4", "below/b.mp4")
    assert extract("internvideo2", options, "--records", str(records)) == 0
    out = tmp_path / "out"
    assert capsys.readouterr().out == f"features of 2 videos written to {out}\n"
    places = {"videos": str(out / "clip"), "texts": str(out / "text")}
    files = build_source({"files": {**places, "width": 12, "text_width": 16}}, hidden_size=8)
    live = InternVideo2Source(8, **options)
    for name, seconds in (("a.mp4", 3), ("below/b.mp4", 2)):
        for question in QUESTIONS:
            stored, computed = (clips_of(s, videos / name, question) for s in (files, live))
            assert len(stored.video) == seconds
            assert torch.equal(stored.video, computed.video)
            assert torch.equal(stored.text, computed.text)
            assert stored.clip_length == computed.clip_length == 1.0
    assert sorted(load_file(out / "text" / "a.safetensors")) == sorted(QUESTIONS)


def test_clips_need_no_text_tower(
    extract: Extract, videos: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    whole = InternVideo2Source(8, **options)
    words = {name: options.pop(name) for name in ("text", "tokenizer")}
    assert extract("internvideo2", options) == 0
    assert not (tmp_path / "out" / "text").exists()
    alone = InternVideo2Source(8, **options)
    assert alone.text_width is None
    found = clips_of(alone, videos / "a.mp4", QUESTIONS[0])
    assert torch.equal(found.video, clips_of(whole, videos / "a.mp4", QUESTIONS[0]).video)
    assert len(found.text) == 0
    for name, value in words.items():
        with pytest.raises(InputError, match=r"expected both, or none for clips without text"):
            InternVideo2Source(8, **options, **{name: value})


def test_a_second_run_writes_what_is_missing_only(
    extract: Extract,
    videos: Path,
    options: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    assert extract("internvideo2", options) == 0
    first = contents(out)
    (out / "clip" / "a.safetensors").unlink()
    capsys.readouterr()
    assert extract("internvideo2", options) == 0
    assert capsys.readouterr().out.startswith("features of 1 video written")
    assert contents(out) == first
    # Questions that come later are written without another look at the video.
    monkeypatch.setattr(InternVideo2Source, "video", None)
    records = write_records(videos / "records.jsonl", "a.mp4")
    assert extract("internvideo2", options, "--records", str(records)) == 0
    assert "1 video written" in capsys.readouterr().out
    assert sorted(contents(out).keys() - first.keys()) == ["text/a.safetensors"]
    assert extract("internvideo2", options, "--records", str(records)) == 0
    assert "0 videos written" in capsys.readouterr().out


def test_a_bad_video_is_reported_and_costs_no_other(
    extract: Extract,
    videos: Path,
    options: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (videos / "broken.mp4").write_bytes(b"no video")
    write_video(videos / "short.mp4", torch.zeros(3, 3, 32, 32, dtype=torch.uint8), fps=8)
    records = write_records(videos / "records.jsonl", "a.mp4", "absent.mp4")
    with records.open("a", encoding="utf-8") as file:
        file.write("no JSON\n")
    assert extract("internvideo2", options, "--records", str(records)) == 1
    said = capsys.readouterr()
    assert said.out.startswith("features of 2 videos written")
    failed = [line for line in said.err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 4
    for found, expected in zip(
        failed,
        (
            "broken.mp4 is no video that can be read",
            "short.mp4 holds no whole clip of 1 s; leave it out",
            "records.jsonl:3: the line is not JSON",
            f"absent: {videos} holds no such video",
        ),
        strict=True,
    ):
        assert expected in found
    written = {name for name in contents(tmp_path / "out") if name.startswith("clip")}
    assert written == {"clip/a.safetensors", "clip/b.safetensors"}


def test_nothing_half_written_stays(
    extract: Extract, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*places: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tpo_core.files.os.replace", full)
    assert extract("internvideo2", options) == 1
    assert set(contents(tmp_path / "out")) == {"extractor.json"}
    # The folder is not taken: it holds nothing of that extractor yet.
    monkeypatch.undo()
    assert extract("internvideo2", options | {"clip_length": 0.5}) == 0


@pytest.mark.parametrize(
    ("extractor", "change", "words", "message"),
    [
        ("internvideo", {}, (), "unknown extractor 'internvideo'; did you mean 'internvideo2'"),
        (
            "internvideo2",
            {"colour": 1},
            (),
            "'internvideo2' with options .*'colour'; 'internvideo2' takes stage2, text, tokenizer",
        ),
        ("internvideo2", {"stage2": "nowhere.pt"}, (), "^tpo: 'nowhere.pt' does not exist"),
        (
            "backbone",
            {},
            (),
            "unexpected keyword argument 'stage2'; 'backbone' takes model, num_frames",
        ),
        ("internvideo2", {}, ("--records", "no.jsonl"), "cannot read no.jsonl"),
    ],
)
def test_what_cannot_work_is_refused(
    extract: Extract,
    options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    extractor: str,
    change: dict[str, Any],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert extract(extractor, options | change, *words) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.search(message, said), said


def test_one_folder_holds_features_of_one_kind(
    extract: Extract,
    videos: Path,
    options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert extract("internvideo2", options) == 0
    assert extract("internvideo2", options | {"clip_length": 0.5}) == 1
    assert "holds features of another extractor or options" in capsys.readouterr().err
    (videos / "below" / "a.mp4").write_bytes((videos / "a.mp4").read_bytes())
    assert extract("internvideo2", options) == 1
    assert "have one name, by which features are found" in capsys.readouterr().err


def test_features_from_elsewhere_are_not_mixed_with_ours(
    extract: Extract, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "clip").mkdir(parents=True)
    save_file({"features": torch.zeros(3, 12)}, tmp_path / "out" / "clip" / "a.safetensors")
    assert extract("internvideo2", options) == 1
    assert "holds features but no extractor.json that says whose" in capsys.readouterr().err
    assert set(contents(tmp_path / "out")) == {"clip/a.safetensors"}


def test_a_folder_without_videos_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, reason in ((tmp_path, "holds no video"), (tmp_path / "no", "is no folder")):
        words = [
            "features",
            "extract",
            str(place),
            str(tmp_path / "out"),
            "--extractor",
            "backbone",
        ]
        assert main(words) == 1
        assert reason in capsys.readouterr().err


# ---- the backbone's own


def test_a_saved_models_own_features(
    extract: Extract, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = tmp_path / "videochat"
    tiny.build(backbone)
    heads = {"temporal_cgdetr": {"features": "backbone"}}
    model = attach(VideoChatAdapter.load(str(backbone)), heads, lora=None)
    model.num_frames = 4
    saved = tmp_path / "model"
    model.save_pretrained(str(saved), include_backbone=True)
    assert extract("backbone", {"model": str(saved)}) == 0
    seen: list[ClipFeatures] = []
    head = model.heads["temporal_cgdetr"]
    real = head.source.clips
    head.source.clips = lambda *a, **o: seen.append(real(*a, **o)) or seen[-1]
    model.predict(videos / "a.mp4", "When?", task="temporal", max_new_tokens=2)
    files = {"videos": str(tmp_path / "out" / "clip"), "width": tiny.HIDDEN}
    stored = clips_of(build_source({"files": files}, hidden_size=8), videos / "a.mp4")
    torch.testing.assert_close(stored.video, seen[0].video)
    assert stored.clip_length == seen[0].clip_length == pytest.approx(25 / 8 / 4)
    records = write_records(videos / "records.jsonl", "a.mp4")
    capsys.readouterr()
    assert extract("backbone", {"model": str(saved)}, "--records", str(records)) == 1
    assert "the extractor gives no features of questions" in capsys.readouterr().err


def test_a_backbones_own_features(
    extract: Extract, videos: Path, random_llava: Path, tmp_path: Path
) -> None:
    assert extract("backbone", {"model": str(random_llava), "num_frames": 2}) == 0
    files = build_source(
        {"files": {"videos": str(tmp_path / "out" / "clip"), "width": 64}}, hidden_size=8
    )
    found = clips_of(files, videos / "below" / "b.mp4")
    assert (len(found.video), found.clip_length) == (2, pytest.approx(17 / 8 / 2))


# ---- what files say of themselves


def test_the_stated_clip_length_is_checked(tmp_path: Path, videos: Path) -> None:
    rows = {"features": torch.zeros(3, 5)}

    def clips(**options: Any) -> Tensor:
        source = build_source({"files": {"videos": str(tmp_path), "width": 5, **options}},
                              hidden_size=8)  # fmt: skip
        return clips_of(source, videos / "a.mp4").video

    save_file(rows, tmp_path / "a.safetensors")
    assert len(clips(clip_length=1.0)) == 3
    with pytest.raises(
        InputError, match="does not say how long its clips are; declare clip_length"
    ):
        clips()
    for stated in ("0", "nan", "-1", "long"):
        save_file(rows, tmp_path / "a.safetensors", metadata={"clip_length": stated})
        with pytest.raises(InputError, match=rf"a.safetensors cannot be read \(.*{stated}"):
            clips()
    save_file(rows, tmp_path / "a.safetensors", metadata={"clip_length": "1.0"})
    assert len(clips()) == len(clips(clip_length=1.0)) == 3
    with pytest.raises(
        InputError, match=r"has clips of 1 s where .* clip_length is 2; expected the"
    ):
        clips(clip_length=2.0)
