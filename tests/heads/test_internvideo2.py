"""InternVideo2-CLIP as a feature source: released files in, features of real videos out."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tpo_core.errors import CheckpointError, InputError, MediaError, MissingDependency, UnknownName
from tpo_core.media.open import open_media
from tpo_core.media.video import decode_video
from tpo_heads.clip_features import build_source
from tpo_heads.clip_features.internvideo2 import InternVideo2Source
from tpo_heads.clip_features.internvideo2.clips import sample_by_time, sample_indices
from tpo_heads.clip_features.internvideo2.loading import load_text, load_vision
from tpo_heads.clip_features.internvideo2.positions import resize_table, sine_table
from tpo_heads.clip_features.internvideo2.preprocess import normalise, resize_frames
from tpo_heads.clip_features.internvideo2.text import TextSettings, TextTower
from tpo_heads.clip_features.internvideo2.tokenizer import Tokenizer
from tpo_heads.clip_features.internvideo2.vision import (
    VISION_PRESETS,
    VisionSettings,
    VisionTower,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "internvideo2"
VISION: dict[str, Any] = {
    "width": 32, "depth": 1, "heads": 2, "pool_heads": 2, "clip_dim": 12, "image_size": 28,
}  # fmt: skip
LANGUAGE: dict[str, Any] = {
    "vocabulary": 424, "width": 16, "layers": 2, "heads": 2, "mlp_width": 32,
}  # fmt: skip
CPU = torch.device("cpu")
Weights = dict[str, Tensor]
MakeVideo = Callable[..., Path]


def random_weights(module: nn.Module, *, seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator) * 0.3
        for name, value in module.state_dict().items()
    }


def prefixed(weights: Weights, prefix: str) -> Weights:
    return {prefix + name: value for name, value in weights.items()}


def stage2_weights() -> Weights:
    vision = random_weights(VisionTower(VisionSettings(**VISION)), seed=0)
    vision["pos_embed"] = vision["pos_embed"][:, : 1 + 4 * 4]  # four frames of a 2 x 2 grid
    vision |= {"clip_decoder.0.head.weight": torch.ones(2), "img_pos_embed": torch.ones(1, 5, 32)}
    others = ("text_encoder.bert.x", "vision_proj.bias", "temp", "itm_head.bias")
    return prefixed(vision, "vision_encoder.") | {name: torch.ones(2) for name in others}


def delta_weights() -> Weights:
    pooling = random_weights(VisionTower(VisionSettings(**VISION)).clip_projector, seed=1)
    rotary = {"text_encoder.transformer.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    return prefixed(pooling, "vision_encoder.clip_projector.") | rotary | {"temp": torch.ones(())}


def text_weights(*, lora: bool = True, renamed: bool = False) -> Weights:
    weights = random_weights(TextTower(TextSettings(**LANGUAGE)), seed=2)
    generator = torch.Generator().manual_seed(3)
    for name in list(weights):
        if lora and ("q_proj" in name or "v_proj" in name):
            stem = name.removesuffix(".weight")
            weights[f"{stem}.lora_A.default.weight"] = torch.randn(4, 16, generator=generator)
            weights[f"{stem}.lora_B.default.weight"] = torch.randn(16, 4, generator=generator)
            if renamed:
                weights[f"{stem}.base_layer.weight"] = weights.pop(name)
    others = ("logit_scale", "cls_token", "blocks.0.norm1.weight", "text_projection")
    return weights | {name: torch.ones(2) for name in others}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Released files of tiny towers, as options of the source."""
    torch.save({"module": stage2_weights(), "epoch": 3}, tmp_path / "stage2.pt")
    torch.save(text_weights(), tmp_path / "text.pth")
    torch.save(delta_weights(), tmp_path / "delta.pth")
    tiny = json.loads((GOLDEN / "5_tokenizer_tiny.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.model").write_bytes(base64.b64decode(tiny["model_base64"]))
    names = {"stage2": "stage2.pt", "text": "text.pth", "delta": "delta.pth"}
    names["tokenizer"] = "tokenizer.model"
    return {option: str(tmp_path / name) for option, name in names.items()}


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    def make(
        *, frames: int, fps: int = 24, times: Sequence[float] | None = None, name: str = "clip.mp4"
    ) -> Path:
        path = tmp_path / name
        noise = np.random.default_rng(0)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "10", "g": "8"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(frames):
                picture = noise.integers(0, 255, (48, 64, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


def tiny_source(files: Mapping[str, str], **options: Any) -> InternVideo2Source:
    return InternVideo2Source(8, **{**files, "vision": VISION, "language": LANGUAGE, **options})


def tiny_vision(files: Mapping[str, str], **options: Any) -> VisionTower:
    settings = VisionSettings(**VISION)
    return load_vision(
        files["stage2"], **{"delta": files["delta"], "settings": settings, **options}
    )


def tiny_text(path: str | Path, **options: Any) -> TextTower:
    return load_text(path, **{"delta": None, "settings": TextSettings(**LANGUAGE), **options})


def features_by_hand(path: Path, indices: Sequence[int], tower: VisionTower) -> Tensor:
    """Decode everything, take frames by number, encode clip by clip."""
    frames = decode_video(path, num_frames=None).frames
    assert frames is not None
    picked = normalise(resize_frames(frames[list(indices)], size=28))
    return torch.cat([tower(clip[None]) for clip in picked.split(8)])


# The source


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.h264"])
def test_features_of_a_video_file(files: dict[str, str], make_video: MakeVideo, name: str) -> None:
    path = make_video(frames=80, name=name)  # 3.33 s
    source = build_source(
        {"internvideo2": {**files, "vision": VISION, "language": LANGUAGE}}, hidden_size=8
    )
    media = open_media(path, num_frames=4).without_frames()
    made = source.clips(media, "a person opens a door", frame_features=None, device=CPU)
    vision, text = tiny_vision(files), tiny_text(files["text"], delta=files["delta"])
    indices = [24 * k + n for k in range(3) for n in (2, 4, 8, 10, 14, 16, 20, 22)]
    torch.testing.assert_close(made.video, features_by_hand(path, indices, vision))
    ids = Tokenizer(files["tokenizer"]).encode("a person opens a door")
    torch.testing.assert_close(made.text, text(torch.tensor(ids)))
    assert made.video.shape == (3, source.video_width) == (3, 12)
    assert made.text.shape == (len(ids), source.text_width) == (10, 16)
    assert (made.clip_length, made.duration) == (1.0, pytest.approx(80 / 24, abs=1e-3))
    assert made.video.dtype == made.text.dtype == torch.float32
    assert not made.video.requires_grad
    assert source.needs == frozenset()
    assert source.skip_reason(media) is None


def test_options_reach_the_towers(files: dict[str, str], make_video: MakeVideo) -> None:
    media = open_media(make_video(frames=120), num_frames=4)

    def video(**options: Any) -> Tensor:
        source = tiny_source(files, **options)
        return source.clips(media, "q", frame_features=None, device=CPU).video

    plain = video()
    torch.testing.assert_close(video(clips_per_batch=2), plain)
    for other in ({"gelu": "tanh"}, {"antialias": False}):
        assert not torch.equal(video(**other), plain)
    assert 0 < (video(dtype="bfloat16") - plain).abs().max() < 0.1 * plain.abs().max()
    longer = tiny_source(files, clip_length=2.0).clips(media, "q", frame_features=None, device=CPU)
    assert (len(plain), len(longer.video), longer.clip_length) == (5, 2, 2.0)
    ignored = tiny_source(files, lora="ignore").clips(media, "q", frame_features=None, device=CPU)
    applied = tiny_source(files).clips(media, "q", frame_features=None, device=CPU)
    assert not torch.allclose(ignored.text, applied.text)


def test_a_video_and_a_question_are_encoded_once(
    files: dict[str, str], make_video: MakeVideo
) -> None:
    media = open_media(make_video(frames=30), num_frames=4)
    first = tiny_source(files).clips(media, "one", frame_features=None, device=CPU)
    again = tiny_source(files).clips(media, "two", frame_features=None, device=CPU)
    assert again.video is first.video
    assert again.text is not first.text
    assert (
        tiny_source(files).clips(media, "one", frame_features=None, device=CPU).text is first.text
    )
    make_video(frames=54)
    media = open_media(media.source, num_frames=4)
    renewed = tiny_source(files).clips(media, "one", frame_features=None, device=CPU)
    assert (len(first.video), len(renewed.video)) == (1, 2)


def test_a_source_is_light_until_used(files: dict[str, str]) -> None:
    source = InternVideo2Source(8, **dict.fromkeys(files, "nowhere"))
    assert (source.video_width, source.text_width) == (768, 4096)
    assert (copy.deepcopy(source).video_width, len(pickle.dumps(source)) < 5000) == (768, True)


def test_a_variable_frame_rate_is_sampled_by_time(
    files: dict[str, str], make_video: MakeVideo
) -> None:
    # Twenty frames in the first second, then five a second: by count, clips would drift.
    times = [number / 20 for number in range(20)] + [1 + number / 5 for number in range(11)]
    path = make_video(frames=31, fps=10, times=times)
    made = tiny_source(files).clips(
        open_media(path, num_frames=4), "q", frame_features=None, device=CPU
    )
    later = [20, 20, 21, 22, 22, 23, 24, 24]
    indices = [1, 3, 6, 8, 11, 13, 16, 18, *later, *(number + 5 for number in later)]
    torch.testing.assert_close(made.video, features_by_hand(path, indices, tiny_vision(files)))


def test_both_samplings_agree_on_a_constant_rate_but_for_rounding() -> None:
    for fps in (10, 25, 30, 60):
        total = 7 * fps + 3
        nearest = sample_indices(total, fps=fps)
        shown = sample_by_time([n / fps for n in range(total)], duration=total / fps)
        assert 0 <= len(shown) - len(nearest) <= 1
        assert {a - b for a, b in zip(nearest, shown, strict=False)} <= {0, 1}


def test_a_damaged_file_gives_the_clips_before_the_damage(
    files: dict[str, str], make_video: MakeVideo, caplog: pytest.LogCaptureFixture
) -> None:
    path, source = make_video(frames=96), tiny_source(files)
    whole = source.clips(open_media(path, num_frames=4), "q", frame_features=None, device=CPU)
    content = path.read_bytes()
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    kept = start + (end - start) * 5 // 8
    path.write_bytes(content[:kept] + bytes(end - kept) + content[end:])
    media = open_media(path, num_frames=4)
    assert media.total_frames < 72
    made = source.clips(media, "q", frame_features=None, device=CPU)
    torch.testing.assert_close(made.video, whole.video[:2])
    assert "clip.mp4 is damaged: 2 of its 4 clips can be read" in caplog.text


@pytest.mark.parametrize(
    ("frames", "fps", "clips"), [(20, 24, 0), (23, 24, 1), (22, 24, 0), (8, 8, 0), (12, 8, 1)]
)
def test_videos_of_about_one_second(
    files: dict[str, str], make_video: MakeVideo, frames: int, fps: int, clips: int
) -> None:
    media = open_media(make_video(frames=frames, fps=fps), num_frames=4)
    source = tiny_source(files)
    if clips:
        made = source.clips(media, "q", frame_features=None, device=CPU)
        assert len(made.video) == clips
        return
    assert source.skip_reason(media) is not None
    with pytest.raises(InputError, match=rf"{frames} frames holds no whole clip of 1 s"):
        source.clips(media, "q", frame_features=None, device=CPU)


def test_what_is_no_video_file_is_refused(files: dict[str, str]) -> None:
    source = tiny_source(files)
    picture = open_media(torch.zeros(8, 8, 3, dtype=torch.uint8), num_frames=None)
    with pytest.raises(InputError, match="a picture has no clips; give a video"):
        source.clips(picture, "q", frame_features=None, device=CPU)
    frames = open_media(torch.zeros(50, 3, 8, 8, dtype=torch.uint8), num_frames=None, fps=10)
    with pytest.raises(InputError, match=r"frames came in memory.* write them to a file"):
        source.clips(frames, "q", frame_features=None, device=CPU)
    assert source.skip_reason(picture) == "a picture has no clips; give a video"


def test_a_video_that_is_gone_is_named(files: dict[str, str], make_video: MakeVideo) -> None:
    path = make_video(frames=30)
    media = open_media(path, num_frames=4)
    path.unlink()
    with pytest.raises(MediaError, match=r"clip.mp4' does not exist"):
        tiny_source(files).clips(media, "q", frame_features=None, device=CPU)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"vision": "2B"}, UnknownName, "unknown InternVideo2 vision tower '2B'.*known: 1B, 6B"),
        ({"vision": {"width": 40}}, InputError, "width is 40; expected a multiple of 16"),
        ({"vision": {"frames": 4}}, InputError, "frames is 4; expected 8, the frames of a clip"),
        (
            {"language": {"heads": 5}},
            InputError,
            "width is 4096; expected a multiple of the 5 head",
        ),
        ({"gelu": "fast"}, InputError, "gelu is 'fast'; expected 'exact' or 'tanh'"),
        ({"lora": "maybe"}, InputError, "lora is 'maybe'; expected 'apply' or 'ignore'"),
        ({"dtype": "int8"}, InputError, "dtype is 'int8'; expected auto, float32"),
        ({"clip_length": 0.0}, InputError, "clip_length is 0.0; expected more than 0"),
        ({"clips_per_batch": 0}, InputError, "clips_per_batch is 0; expected more than 0"),
        ({"vision": {"colour": 1}}, InputError, "colour.*'internvideo2' takes stage2, text"),
    ],
)
def test_unknown_options_are_refused(
    files: dict[str, str], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_source({"internvideo2": {**files, **options}}, hidden_size=8)


# The towers


def named_shapes(shapes: Mapping[str, list[int]], count: int, marker: str) -> dict[str, list[int]]:
    """Repeat the shapes of block 0 for all blocks."""
    return {
        name.replace(f"{marker}.0.", f"{marker}.{number}."): shape
        for name, shape in shapes.items()
        for number in range(count if f"{marker}.0." in name else 1)
    }


@pytest.mark.parametrize("size", ["1B", "6B"])
def test_real_vision_towers_have_the_released_names_and_sizes(size: str) -> None:
    real = json.loads((GOLDEN / "0_real_shapes.json").read_text(encoding="utf-8"))[f"vision_{size}"]
    settings = VISION_PRESETS[size]
    with torch.device("meta"):
        tower = VisionTower(settings)
    shapes = {name: list(value.shape) for name, value in tower.state_dict().items()}
    assert shapes == named_shapes(real["shapes"], real["blocks"], "blocks")
    assert len(shapes) == real["keys"]
    assert sum(value.numel() for value in tower.parameters()) == real["params"]
    assert (settings.heads, settings.pool_heads) == (real["heads"], real["pool_heads"])


def test_the_real_text_tower_has_the_released_names_and_sizes() -> None:
    real = json.loads((GOLDEN / "0_real_shapes.json").read_text(encoding="utf-8"))["text"]
    with torch.device("meta"):
        tower = TextTower()
    shapes = {name: list(value.shape) for name, value in tower.state_dict().items()}
    released = named_shapes(real["shapes"], real["layers"], "layers")
    lora = {name for name in released if "lora_" in name}
    unused = {"text_projection"}
    assert shapes == {n: shape for n, shape in released.items() if n not in lora | unused}
    assert len(shapes) + len(lora) + len(unused) == real["keys"]
    total = sum(value.numel() for value in tower.parameters())
    projection = real["shapes"]["text_projection"]
    assert total + real["lora_params"] + projection[0] * projection[1] == real["params"]
    assert tower.settings.heads == real["heads"]


def test_rotary_frequencies_stay_exact_in_bfloat16(files: dict[str, str]) -> None:
    exact = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    cast = TextTower(TextSettings(**LANGUAGE)).to(torch.bfloat16)
    loaded = tiny_text(files["text"], dtype=torch.bfloat16)
    for tower in (cast, loaded):
        assert tower.transformer.norm.weight.dtype == torch.bfloat16
        torch.testing.assert_close(tower.transformer.rotary_emb.inv_freq, exact)


def test_clips_of_another_shape_are_refused() -> None:
    tower = VisionTower(VisionSettings(**VISION))
    assert tower(torch.zeros(2, 1, 3, 28, 28)).shape == (2, 12)
    with pytest.raises(
        InputError, match=r"shape \[2, 4, 3, 28, 28\]; expected \[B, 8, 3, 28, 28\]"
    ):
        tower(torch.zeros(2, 4, 3, 28, 28))


def test_a_position_table_that_is_no_square_grid_is_refused() -> None:
    table = sine_table(16, steps=8, side=2)
    with pytest.raises(InputError, match="32 rows and a class row is no square grid at 4 times"):
        resize_table(table, old_steps=4, steps=8, side=2)


# Released files


def test_towers_are_built_once_for_the_same_files(files: dict[str, str]) -> None:
    assert tiny_vision(files) is tiny_vision(files)
    assert tiny_text(files["text"]) is tiny_text(files["text"])
    assert tiny_vision(files) is not tiny_vision(files, dtype=torch.bfloat16)
    before = tiny_vision(files)
    torch.save({"model": stage2_weights() | {"more": torch.ones(1)}}, files["stage2"])
    assert tiny_vision(files) is not before


def test_towers_are_frozen(files: dict[str, str]) -> None:
    for tower in (tiny_vision(files), tiny_text(files["text"])):
        assert not tower.training
        assert not any(parameter.requires_grad for parameter in tower.parameters())


@pytest.mark.parametrize("nesting", ["module", "model", None])
def test_stage2_files_may_be_nested(files: dict[str, str], tmp_path: Path, nesting: str) -> None:
    expected = tiny_vision(files).state_dict()
    weights = stage2_weights()
    path = tmp_path / "other.pt"
    torch.save({nesting: weights} if nesting else weights, path)
    made = tiny_vision({**files, "stage2": str(path)}).state_dict()
    assert all(torch.equal(made[name], expected[name]) for name in expected)


def test_safetensors_give_the_same_towers(files: dict[str, str], tmp_path: Path) -> None:
    for name, weights in (
        ("stage2", stage2_weights()), ("text", text_weights()), ("delta", delta_weights())
    ):  # fmt: skip
        save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / f"{name}.safetensors")
    other = {name: str(tmp_path / f"{name}.safetensors") for name in ("stage2", "text", "delta")}
    for made, expected in (
        (tiny_vision(other), tiny_vision(files)),
        (tiny_text(other["text"], delta=other["delta"]), tiny_text(files["text"])),
    ):
        loaded = made.state_dict()
        assert all(torch.equal(loaded[n], value) for n, value in expected.state_dict().items())


def test_the_delta_overrides_stage2(
    files: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    name = "clip_projector.cross_attn.q.weight"
    with caplog.at_level(logging.WARNING):
        assert torch.equal(
            tiny_vision(files).get_parameter(name), delta_weights()[f"vision_encoder.{name}"]
        )
        assert not caplog.records
        alone = tiny_vision(files, delta=None)
    assert torch.equal(alone.get_parameter(name), stage2_weights()[f"vision_encoder.{name}"])
    assert "without a delta file: the clip features come from stage 2's pooling" in caplog.text


def test_both_lora_namings_merge_to_the_same(tmp_path: Path) -> None:
    torch.save(text_weights(), tmp_path / "old.pth")
    torch.save(text_weights(renamed=True), tmp_path / "new.pth")
    old, new = tiny_text(tmp_path / "old.pth"), tiny_text(tmp_path / "new.pth")
    weights = text_weights()
    stem = "transformer.layers.1.self_attn.v_proj"
    low_rank = weights[f"{stem}.lora_B.default.weight"] @ weights[f"{stem}.lora_A.default.weight"]
    for tower in (old, new):
        merged = tower.get_parameter(f"{stem}.weight")
        torch.testing.assert_close(merged, weights[f"{stem}.weight"] + 32 / 4 * low_rank)
    ignored = tiny_text(tmp_path / "new.pth", lora="ignore").get_parameter(f"{stem}.weight")
    assert torch.equal(ignored, weights[f"{stem}.weight"])


def test_the_size_of_lora_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = text_weights()
    torch.save(weights, tmp_path / "text.pth")
    sizes = torch.cat([v.flatten().abs() for n, v in weights.items() if "lora_B" in n])
    with caplog.at_level(logging.INFO):
        tiny_text(tmp_path / "text.pth")
    told = f"|B| is {sizes.mean():.3g} on average, {sizes.max():.3g} at most"
    assert f"4 LoRA pairs merged; {told}" in caplog.text
    zero = {n: v * 0 if "lora_B" in n else v for n, v in weights.items()}
    torch.save(zero, tmp_path / "zero.pth")
    with caplog.at_level(logging.WARNING):
        tiny_text(tmp_path / "zero.pth")
    assert "LoRA's B is zero throughout" in caplog.text


def without(weights: Weights, part: str) -> Weights:
    return {name: value for name, value in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            without(text_weights(), "1.self_attn.q_proj.weight"),
            r"1 missing: transformer.layers.1.self_attn.q_proj.weight$",
        ),
        (
            without(text_weights(lora=False), "_proj.weight"),
            r"14 missing: .*q_proj.weight.*, \.\.\.$",
        ),
        (text_weights() | {"transformer.extra": torch.ones(1)}, "1 unknown: transformer.extra"),
        (
            text_weights() | {"transformer.norm.weight": torch.ones(17)},
            r"1 of another shape: transformer.norm.weight \[17\] instead of \[16\]",
        ),
        (
            without(text_weights(), "v_proj.lora"),
            r"4 LoRA tensors; expected both halves.*2 layers \(8 tensors\)",
        ),
        (
            without(text_weights(), "1.self_attn.q_proj.lora_A"),
            "7 LoRA tensors; expected both halves",
        ),
        (without(text_weights(), "transformer."), r"holds no transformer.*internvl_c_13b_224px"),
    ],
)
def test_text_files_that_do_not_fit_are_refused(
    tmp_path: Path, weights: Weights, message: str
) -> None:
    torch.save(weights, tmp_path / "text.pth")
    with pytest.raises(CheckpointError, match=message):
        tiny_text(tmp_path / "text.pth")


def test_vision_files_that_do_not_fit_are_refused(files: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match=r"text.pth holds no vision_encoder.*stage2_1b-224p"):
        tiny_vision({**files, "stage2": files["text"]})
    with pytest.raises(CheckpointError, match=r"weights of neither tower.*1B_clip.pth"):
        tiny_vision({**files, "delta": files["text"]})
    deeper = VisionSettings(**{**VISION, "depth": 2})
    with pytest.raises(CheckpointError, match=r"13 missing: blocks.1.norm1.weight, .*, \.\.\.$"):
        tiny_vision(files, settings=deeper)
    with pytest.raises(InputError, match="no square grid at 8 times"):
        tiny_vision(files, stage2_frames=8)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    if suffix == ".pth":
        torch.save(text_weights(), path)
    else:
        save_file(text_weights(), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(CheckpointError, match=r"cannot be read.*it may be cut short"):
        tiny_text(path)


class Stranger:
    """Something that is no tensor."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"transformer.x": Stranger()}, "holds more than tensors.*nothing else is unpickled"),
        ([torch.ones(1)], "holds no tensors by name"),
    ],
)
def test_files_of_other_things_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "text.pth")
    with pytest.raises(CheckpointError, match=message):
        tiny_text(tmp_path / "text.pth")


def test_missing_files_say_where_to_get_them(files: dict[str, str], tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pth")
    with pytest.raises(CheckpointError, match=r"does not exist.*InternVideo2-Stage2_1B-224p-f4"):
        tiny_vision({**files, "stage2": gone})
    with pytest.raises(CheckpointError, match=r"does not exist.*InternVideo2-CLIP-1B-224p-f8"):
        tiny_vision({**files, "delta": gone})
    with pytest.raises(CheckpointError, match=r"does not exist.*OpenGVLab/InternVL"):
        tiny_text(gone)
    with pytest.raises(CheckpointError, match="is no file; expected the text file"):
        tiny_text(tmp_path)


# The tokenizer


def test_long_questions_keep_their_end_token(files: dict[str, str]) -> None:
    ids = Tokenizer(files["tokenizer"]).encode("the red circle " * 60)
    assert (len(ids), ids[0], ids[-1]) == (80, 1, 2)


def test_another_tokenizer_is_warned_about(
    files: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    Tokenizer(files["tokenizer"])
    assert "is not the released file (its sha256 differs)" in caplog.text


def test_a_tokenizer_that_does_not_fit_is_refused(
    files: dict[str, str], make_video: MakeVideo, tmp_path: Path
) -> None:
    narrow = {**LANGUAGE, "vocabulary": 400}
    weights = text_weights()
    name = "transformer.embed_tokens.weight"
    torch.save(weights | {name: weights[name][:400].clone()}, tmp_path / "narrow.pth")
    source = tiny_source(files, text=str(tmp_path / "narrow.pth"), language=narrow)
    media = open_media(make_video(frames=30), num_frames=4)
    with pytest.raises(InputError, match="tokenizer has 421 ids and the text tower embeds 400"):
        source.clips(media, "q", frame_features=None, device=CPU)
    (tmp_path / "broken.model").write_bytes(b"no model")
    with pytest.raises(
        CheckpointError, match=r"broken.model' cannot be read.*expected tokenizer.mo"
    ):
        Tokenizer(tmp_path / "broken.model")


def test_without_sentencepiece_the_install_command_is_told(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingDependency, match=r"pip install 'tpo\[families\]'"):
        Tokenizer(files["tokenizer"])
