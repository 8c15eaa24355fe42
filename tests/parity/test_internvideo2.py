"""InternVideo2-CLIP against upstream's own classes, over every golden set that is there.

`TPO_GOLDEN_DIR` names another folder of sets; sizes, options and lengths come from their files.
`TPO_INTERNVIDEO2_TOKENIZER` names the released tokenizer.model, which no golden set may hold.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tpo_heads.clip_features import ClipFeatures
from tpo_heads.clip_features.internvideo2.clips import in_groups, sample_indices, whole_clips
from tpo_heads.clip_features.internvideo2.loading import load_text, load_vision
from tpo_heads.clip_features.internvideo2.lora import LoraMode, merge_lora
from tpo_heads.clip_features.internvideo2.positions import resize_table, sine_table
from tpo_heads.clip_features.internvideo2.preprocess import normalise, resize_frames
from tpo_heads.clip_features.internvideo2.text import TextSettings, TextTower
from tpo_heads.clip_features.internvideo2.tokenizer import RELEASED_SHA256, Tokenizer
from tpo_heads.clip_features.internvideo2.vision import VisionSettings, VisionTower
from tpo_heads.temporal_cgdetr.clips import batch_clips

GOLDEN = Path(os.environ.get("TPO_GOLDEN_DIR", Path(__file__).parents[1] / "golden"))
FOLDER = GOLDEN / "internvideo2"
TOKENIZER = os.environ.get("TPO_INTERNVIDEO2_TOKENIZER", "")


def sets(pattern: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob(pattern))]


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return load_file(path), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def assert_near(actual: Tensor, expected: Tensor, *, atol: float = 1e-5) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def vision_settings(config: dict[str, Any]) -> VisionSettings:
    assert not config["qkv_bias"]
    assert config["qk_normalization"]
    assert not config["sep_pos_embed"]
    return VisionSettings(
        width=config["embed_dim"],
        depth=config["depth"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_ratio"],
        pool_heads=config["attn_pool_num_heads"],
        clip_dim=config["clip_embed_dim"],
        image_size=config["img_size"],
        patch_size=config["patch_size"],
        frames=config["num_frames"],
        tubelet=config["tubelet_size"],
        gelu="tanh" if config["use_fused_mlp"] else "exact",
        layer_scale_fp32=not config["layerscale_no_force_fp32"],
    )


def text_settings(config: dict[str, Any]) -> TextSettings:
    return TextSettings(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        mlp_width=config["intermediate_size"],
        rms_eps=config["rms_norm_eps"],
        rope_base=config.get("rope_theta", 10000.0),
    )


def vision_tower(golden: dict[str, Tensor], settings: VisionSettings) -> VisionTower:
    tower = VisionTower(settings).eval().requires_grad_(False)
    tower.load_state_dict(strip(golden, "sd."))
    return tower


def record_outputs(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Fill the dictionary it returns with what each module gives."""
    seen: dict[str, Tensor] = {}

    def listen(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            seen[name] = output

        return hook

    for name, module in modules.items():
        module.register_forward_hook(listen(name))
    return seen


@pytest.mark.parametrize("path", sets("1_vision_*.safetensors"))
def test_vision_tower_and_every_step_in_it(path: Path) -> None:
    golden, config = read(path)
    settings = vision_settings(config["upstream_config"])
    tower = vision_tower(golden, settings)
    assert len(tower.state_dict()) == config["keys"]
    assert sum(p.numel() for p in tower.parameters()) == config["params"]
    assert tower.blocks[0].mlp.fc1.out_features == config["mlp_hidden"]
    blocks = {f"mid.block.{number}": block for number, block in enumerate(tower.blocks)}
    seen = record_outputs({"mid.patch_tokens": tower.patch_embed, **blocks})
    tower.blocks[0].register_forward_pre_hook(lambda _, x: seen.update({"mid.block_in": x[0]}))
    tower.clip_projector.norm1_q.register_forward_pre_hook(
        lambda _, x: seen.update({"mid.pool_query_in": x[0][:, 0]})
    )
    assert_near(tower(golden["in.frames"]), golden["out.clip"])
    seen["mid.patch_tokens"] = seen["mid.patch_tokens"].unflatten(1, (settings.steps, -1))
    expected = {name for name in golden if name.startswith("mid.") and "image" not in name}
    assert set(seen) == expected
    for name in expected:
        assert_near(seen[name], golden[name])
    if "out.image_clip" in golden:
        assert_near(tower(golden["in.frames"][:, :1]), golden["out.image_clip"])
        assert_near(seen["mid.block_in"], golden["mid.image_block_in"])


@pytest.mark.parametrize("path", sets("1_vision_*.safetensors"))
def test_vision_tower_with_tanh_gelu(path: Path) -> None:
    golden, config = read(path)
    settings = vision_settings(config["upstream_config"] | {"use_fused_mlp": True})
    clip = vision_tower(golden, settings)(golden["in.frames"])
    assert_near(clip, golden["out.clip_gelu_tanh"])


@pytest.mark.parametrize("path", sets("1_vision_*.safetensors"))
def test_vision_tower_in_bfloat16_is_as_near_as_upstreams(path: Path) -> None:
    golden, config = read(path)
    tower = vision_tower(golden, vision_settings(config["upstream_config"])).bfloat16()
    clip = tower(golden["in.frames"]).float()
    assert torch.cosine_similarity(clip, golden["out.clip"]).min() > 0.9999
    # The figure is what upstream's own kernels happen to round to; others spread around it.
    assert_near(clip, golden["out.clip"], atol=2 * config["bf16_max_abs_diff"])


@pytest.mark.parametrize("path", sets("1_vision_*.safetensors"))
def test_initial_position_table(path: Path) -> None:
    golden, config = read(path)
    fresh = VisionTower(vision_settings(config["upstream_config"])).pos_embed.detach()
    assert torch.equal(fresh, golden["const.pos_embed_init"])


@pytest.mark.parametrize("path", sets("1_posembed_full*.json"))
def test_initial_position_tables_at_full_size(path: Path) -> None:
    tables = json.loads(path.read_text(encoding="utf-8"))
    tables.pop("layout")
    assert tables
    for name, table in tables.items():
        rows, width = table["shape"]
        steps = int(re.findall(r"_(\d+)f$", name)[0])
        made = sine_table(width, steps=steps, side=round(((rows - 1) / steps) ** 0.5))[0]
        assert list(made.shape) == table["shape"]
        assert made.double().sum().item() == pytest.approx(table["sum"], abs=1e-6)
        assert made.double().abs().sum().item() == pytest.approx(table["abs_sum"], abs=1e-6)
        values = torch.tensor(table["values"])  # rounded to seven decimals
        assert_near(made[table["rows"]][:, table["cols"]], values, atol=1.5e-7)


@pytest.mark.parametrize("path", sets("1_posembed_interp*.safetensors"))
def test_resized_position_tables(path: Path) -> None:
    golden, config = read(path)
    for name, case in config["cases"].items():
        (old_steps, steps), (_, side) = case["frames"], case["grid"]
        made = resize_table(golden[f"{name}.in"], old_steps=old_steps, steps=steps, side=side)
        assert_near(made, golden[f"{name}.out"], atol=5e-7)


def text_tower(
    golden: dict[str, Tensor], config: dict[str, Any], mode: LoraMode = "apply"
) -> TextTower:
    settings = text_settings(config["llama_config"])
    weights = merge_lora(
        {k: v for k, v in strip(golden, "sd.").items() if k.startswith("transformer.")},
        layers=settings.layers,
        alpha=(config.get("lora") or {}).get("alpha", 32),
        mode=mode,
        dtype=torch.float32,
        source="golden",
    )
    tower = TextTower(settings).eval().requires_grad_(False)
    tower.load_state_dict(weights)
    return tower


def unpadded(ids: Tensor) -> Tensor:
    return ids[: int(ids.nonzero().max()) + 1]


@pytest.mark.parametrize("path", sets("2_text_*.safetensors"))
def test_text_tower_and_every_layer(path: Path) -> None:
    golden, config = read(path)
    tower = text_tower(golden, config)
    layers = {f"mid.layer.{n}": layer for n, layer in enumerate(tower.transformer.layers)}
    seen = record_outputs(layers)
    parts: dict[str, list[Tensor]] = {name: [] for name in layers}
    for number, ids in enumerate(golden["in.ids"]):
        tokens = tower(unpadded(ids))
        assert len(tokens) == config["lengths"][number] == int(golden["in.mask"][number].sum())
        assert_near(tokens, golden[f"out.tokens.{number}"])
        for name, output in seen.items():
            parts[name].append(output[0])
        sentence = tokens[-1] @ golden["sd.text_projection"]
        assert_near(sentence, golden["out.text_clip"][number])
    for name, rows in parts.items():
        assert_near(torch.cat(rows), golden[name])


@pytest.mark.parametrize("path", sets("2_text_*.safetensors"))
def test_text_tower_without_its_lora(path: Path) -> None:
    golden, config = read(path)
    if "out.tokens_lora_ignored.0" not in golden:
        pytest.skip("a set without LoRA")
    tower = text_tower(golden, config, mode="ignore")
    for number, ids in enumerate(golden["in.ids"]):
        assert_near(tower(unpadded(ids)), golden[f"out.tokens_lora_ignored.{number}"])


@pytest.mark.parametrize("path", sets("2_text_*.safetensors"))
def test_a_literal_unknown_token_is_masked_and_loses_the_last_row(path: Path) -> None:
    golden, config = read(path)
    if "in.ids_hole" not in golden:
        pytest.skip("a set without a hole")
    tower = text_tower(golden, config)
    tokens = torch.cat([tower(unpadded(ids)) for ids in golden["in.ids_hole"]])
    assert_near(tokens, golden["out.hole_tokens"])


@pytest.mark.parametrize("path", sets("2_text_*.safetensors"))
def test_text_tower_in_bfloat16_is_as_near_as_upstreams(path: Path) -> None:
    golden, config = read(path)
    tower = text_tower(golden, config).bfloat16()
    assert tower.transformer.rotary_emb.inv_freq.dtype == torch.float32
    for number, ids in enumerate(golden["in.ids"]):
        tokens, expected = tower(unpadded(ids)).float(), golden[f"out.tokens.{number}"]
        assert torch.cosine_similarity(tokens, expected).min() > 0.999
        assert_near(tokens, expected, atol=2 * config["bf16_fp32_inv_freq_max_abs_diff"])


@pytest.mark.parametrize("path", sets("3_preprocess_*.safetensors"))
def test_preprocessing(path: Path) -> None:
    golden, _ = read(path)
    outputs = [name for name in golden if name.startswith("out.")]
    assert outputs
    for name in outputs:
        _, kind, *rest = name.split(".")
        (size,) = (int(part) for part in rest if part.isdigit())
        antialias = rest[-1] == "antialias"
        resized = resize_frames(golden["in.clip_uint8"], size=size, antialias=antialias)
        made = resized if "uint8" in kind else normalise(resized)
        if "sample" in kind:
            made = made[0, :, ::4, ::4].reshape_as(golden[name])
        if made.dtype == torch.uint8:
            assert torch.equal(made, golden[name])
        else:
            assert_near(made, golden[name])


@pytest.mark.parametrize("path", sets("3_sampling*.json"))
def test_sampled_frames(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    assert golden["table"]
    for row in golden["table"]:
        indices = whole_clips(sample_indices(row["n_frames"], fps=row["fps"]))
        assert len(indices) == 8 * row["n_clips"]
        if "indices" in row:
            assert indices == row["indices"]
        else:
            assert indices[:8] == row["first_clip"]
            assert indices[-8:] == row["last_clip"]
            assert sum(indices) == row["index_sum"]


@pytest.mark.parametrize("path", sets("3_sampling*.json"))
def test_sampled_frames_at_other_rates(path: Path) -> None:
    for row in json.loads(path.read_text(encoding="utf-8"))["other_rates"]:
        rate = float(row["sample"].removeprefix("fps"))
        indices = sample_indices(row["n_frames"], fps=row["fps"], rate=rate)
        if row["max_num_frames"] > 0:  # a cap that features of whole videos do not have
            indices = indices[: row["max_num_frames"]]
        whole_seconds = len(indices) // max(int(rate), 1) * max(int(rate), 1)
        assert indices[:whole_seconds] == row["indices"]


@pytest.mark.parametrize("path", sets("3_grouping*.json"))
def test_clips_and_their_batches(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    for case in golden["cases"]:
        indices = whole_clips(sample_indices(case["n_frames"], fps=case["fps"]))
        clips = list(in_groups(indices, 8))
        assert len(clips) == case["feature_shape"][0] == case["mask_sum"]
        assert {len(clip) for clip in clips} == {case["clip_shape"][0]}
        assert [len(batch) for batch in in_groups(clips, 100)] == case["encoder_batches"]
    short = golden["too_short"]
    indices = whole_clips(sample_indices(short["n_frames"], fps=short["fps"]))
    assert len(indices) == 8 * short["n_clips"] == 0


@pytest.mark.parametrize("path", sets("3_grouping*.json"))
def test_time_columns_that_the_head_appends(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))

    def columns(count: int, width: int = 8) -> Tensor:
        features = ClipFeatures(
            video=torch.ones(count, width), text=torch.ones(1, 4), clip_length=1.0, duration=count
        )
        batch = batch_clips(
            [features],
            widths=(width, 4),
            normalize=True,
            span_scale="clips",
            like=torch.zeros(1),
        )
        assert batch.video.shape == (1, count, width + 2)
        return batch.video[0, :, -2:]

    for case in golden["cases"]:
        count, width = case["feature_shape"]
        stored = columns(count, width - 2).bfloat16()
        assert stored[0].tolist() == case["tef_first"]
        assert stored[-1].tolist() == case["tef_last"]
    for count, rows in golden["extra_columns"].items():
        made = columns(int(count))[[round(start * int(count)) for start, _ in rows["fp32"]]]
        assert made.tolist() == rows["fp32"]
        assert made.bfloat16().tolist() == rows["bf16"]


def write_released(path: Path, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Write the three files in the released layout."""
    golden, config = read(path)
    for name in ("stage2", "text", "delta"):
        content: dict[str, Any] = strip(golden, f"{name}.")
        nesting = re.findall(r'key "(\w+)"', config["files"][name])
        torch.save({nesting[0]: content} if nesting else content, folder / f"{name}.pth")
    return golden, config


@pytest.mark.parametrize("path", sets("4_loading*.safetensors"))
def test_released_layout(path: Path, tmp_path: Path) -> None:
    golden, config = write_released(path, tmp_path)
    source = config["final_key_source"]
    delta = tmp_path / "delta.pth"
    (old_steps,) = re.findall(r"\((\d+)->", source["vision_encoder.pos_embed"])
    vision = load_vision(
        tmp_path / "stage2.pth",
        delta=delta,
        settings=vision_settings(config["vision_config"]),
        stage2_frames=int(old_steps),
    )
    assert_near(vision.pos_embed, golden["out.pos_embed"], atol=5e-7)
    assert_near(vision(golden["in.frames"]), golden["out.clip"])
    text = load_text(
        tmp_path / "text.pth", delta=delta, settings=text_settings(config["llama_config"])
    )
    for number, ids in enumerate(golden["in.ids"]):
        tokens = text(unpadded(ids))
        assert_near(tokens, golden[f"out.tokens.{number}"])
        assert_near(tokens[-1] @ golden["text.text_projection"], golden["out.text_clip"][number])

    # Every weight comes from the file that upstream took it from.
    loaded = {f"vision_encoder.{name}": value for name, value in vision.state_dict().items()}
    loaded |= {f"text_encoder.{name}": value for name, value in text.state_dict().items()}
    unused = {"temp", "text_encoder.text_projection"}
    assert set(loaded) == {name for name in source if "lora_" not in name} - unused
    adapted = {re.sub(r"lora_[AB]\.default\.", "", name) for name in source if "lora_" in name}
    for name, value in loaded.items():
        if name in adapted or name == "vision_encoder.pos_embed":
            continue
        inside = name.removeprefix("text_encoder.") if source[name] == "text" else name
        assert torch.equal(value, golden[f"{source[name]}.{inside}"])


@pytest.mark.parametrize("path", sets("5_tokenizer_*.json"))
def test_tokenizer(path: Path, tmp_path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    if "model_base64" in golden:
        file = tmp_path / "tokenizer.model"
        file.write_bytes(base64.b64decode(golden["model_base64"]))
    else:
        assert golden["model_sha256"] == RELEASED_SHA256
        if not Path(TOKENIZER).is_file():
            pytest.skip("TPO_INTERNVIDEO2_TOKENIZER names no file")
        file = Path(TOKENIZER)
    tokenizer = Tokenizer(file)
    assert golden["rows"]
    for row in golden["rows"]:
        ids = tokenizer.encode(row["text"])
        assert ids == row["ids"], row["text"]
        assert sum(number > 0 for number in ids) == row["n_mask"]
