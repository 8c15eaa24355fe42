"""The released VideoChat-TPO becomes a model of ours and comes back bit by bit."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tpo_core as tpo
from tests.plugins.convert import release
from tpo_core import cli
from tpo_core.errors import CheckpointError
from tpo_plugins.convert import forward, shards
from tpo_plugins.convert.back import convert_back
from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.forward import convert
from tpo_plugins.convert.names import TOKEN_ROWS, place_of
from tpo_plugins.convert.sizes import SIZES_FILE, Sizes, read_sizes, released_heads
from tpo_plugins.convert.tensors import TRAINED

SMALL = 20_000  # bytes of a shard, so that even a tiny model has several
FIRST = f"model-00001-of-0000{release.SHARDS}.safetensors"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return release.write(tmp_path_factory.mktemp("release") / "videochat_tpo")


@pytest.fixture(scope="module")
def converted(released, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours") / "model"
    convert(released, folder, shard_bytes=SMALL)
    return folder


@pytest.fixture(scope="module")
def model(converted):
    return tpo.from_pretrained(str(converted))


def copy(released, tmp_path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "copy"))


def change(folder: Path, file: str, **tensors: torch.Tensor | None) -> None:
    """Put tensors into a shard, or take them out of it and of the index."""
    weights = load_file(folder / file)
    index = json.loads((folder / shards.INDEX).read_text())
    for name, value in tensors.items():
        if value is None:
            del weights[name], index["weight_map"][name]
        else:
            weights[name] = value
            index["weight_map"][name] = file
    save_file(weights, folder / file)
    (folder / shards.INDEX).write_text(json.dumps(index))


# ---- the real size


def test_every_tensor_of_the_release_has_its_place():
    """All 2,594 names and shapes of the released index, on the meta device."""
    table = Path(__file__).parents[2] / "golden" / "tpo" / "checkpoint_shapes.json"
    published = json.loads(table.read_text())["shapes"]
    assert len(published) == 2594
    places = {name: place_of(name) for name in published}
    assert None not in places.values()
    kept = {name for name, place in places.items() if place.part != "legacy"}
    expected = expected_shapes(Sizes())
    assert expected.keys() == kept
    assert {name: list(shape) for name, shape in expected.items()} == {
        name: list(published[name]) for name in kept
    }
    named = [(place.part, place.name) for name, place in places.items() if name in kept]
    assert len(set(named)) == len(named)


# ---- there


def test_weights_lie_where_they_belong(model):
    weights, state = release.tensors(), model.state_dict()

    def same(ours: str, published: str) -> None:
        assert torch.equal(state[ours], weights[published].float()), ours

    same("heads.region.loc_decoder.2.weight", "loc_decoder.2.weight")
    same("heads.mask.track_embed.layers.0.weight", "track_embed.layers.0.weight")
    same(
        "heads.temporal_cgdetr.cg_model.span_embed.layers.0.weight",
        "cg_model.span_embed.layers.0.weight",
    )
    same("backbone.model.query_tokens", "query_tokens")
    attention = "model.layers.1.self_attn.v_proj"
    for part in ("base_layer", "lora_A.default", "lora_B.default"):
        published = f"lm.base_model.model.{attention}.{part}.weight"
        same(f"backbone.model.lm.{attention}.{part}.weight", published)
    sam2 = model.head_by_task["mask"].sam2.state_dict()
    name = "sam_mask_decoder.iou_token.weight"
    assert torch.equal(sam2[name], weights[f"sam.{name}"].float())


def test_slots_are_fed_their_learnt_tokens(model):
    weights, ids = release.tensors(), model.vocabulary.ids
    table = model.backbone.input_embedding(torch.tensor([ids["<boxes>"], ids["<temp>"]]))
    assert torch.equal(table[0], weights["box_token"].flatten().float())
    assert torch.equal(table[1], weights["temporal_token"].flatten().float())
    rows = weights["lm.base_model.model.model.embed_tokens.weight"].float()
    trigger = ids["<time_begin>"]
    assert torch.equal(model.backbone.input_embedding(torch.tensor(trigger)), rows[trigger])


def test_it_answers_with_typed_results(model, tmp_path):
    from tpo_core.media.write import write_video

    frames = torch.randint(0, 255, (8, 3, 48, 64), dtype=torch.uint8)
    write_video(tmp_path / "clip.mp4", frames, fps=4)
    for task in ("region", "temporal", "mask"):
        answer = model.predict(tmp_path / "clip.mp4", "the red circle", task=task, max_new_tokens=2)
        assert [found for found, _ in answer.results] == [task]


def test_nothing_is_said_of_legacy_parts_but_their_names(released, tmp_path, capsys):
    assert cli.main(["convert", "videochat-tpo", str(released), str(tmp_path / "model")]) == 0
    said = capsys.readouterr().out
    assert "left out as never run by the release: project_down.weight, temporal_embed" in said
    assert f"{len(expected_shapes(release.sizes()))} tensors" in said


def test_merged_weights_answer_alike(released, model, tmp_path):
    convert(released, tmp_path / "merged", merge_lora=True, dtype="float32")
    merged = tpo.from_pretrained(str(tmp_path / "merged"))
    assert merged.is_merged
    question = [("Where is it?", None)]
    ids = torch.tensor([model.backbone.renderer.tokenizer.encode(text) for text, _ in question])
    ids = torch.cat([ids, torch.tensor([[model.vocabulary.ids["<boxes>"]]])], 1)
    states = [
        of.backbone.layout.decoder(input_ids=ids, use_cache=False).last_hidden_state
        for of in (model, merged)
    ]
    torch.testing.assert_close(states[1], states[0], atol=1e-4, rtol=1e-4)
    logits = [of.backbone.logits(state) for of, state in zip((model, merged), states, strict=True)]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_backbone_takes_the_type_asked_for(released, tmp_path, dtype):
    convert(released, tmp_path / "model", dtype=dtype)
    weights = load_file(tmp_path / "model" / "backbone" / "model.safetensors")
    kinds = {value.dtype for name, value in weights.items() if not name.endswith("position_ids")}
    assert kinds == {getattr(torch, dtype)}


# ---- and back


def test_a_round_trip_is_bit_exact(converted, tmp_path):
    convert_back(converted, tmp_path / "back", shard_bytes=SMALL)
    found = shards.ShardedCheckpoint(tmp_path / "back")
    expected = {n: v for n, v in release.tensors().items() if n not in release.LEGACY}
    assert found.headers.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found.read(name), value), name
    convert(tmp_path / "back", tmp_path / "again", shard_bytes=SMALL)
    ours = sorted(p.relative_to(converted) for p in converted.rglob("*.safetensors"))
    assert len(ours) > 4
    for path in ours:
        first, again = load_file(converted / path), load_file(tmp_path / "again" / path)
        assert first.keys() == again.keys()
        assert all(torch.equal(first[name], again[name]) for name in first), path


def test_a_trained_model_goes_back_too(model, tmp_path):
    copied = tmp_path / "trained"
    model.save_pretrained(str(copied), include_backbone=True)
    assert cli.main(["convert", "videochat-tpo", str(copied), str(tmp_path / "b"), "--back"]) == 0
    found = shards.ShardedCheckpoint(tmp_path / "b")
    for name, value in release.tensors().items():
        if name not in release.LEGACY and not name.endswith("empty_weight"):
            assert torch.equal(found.read(name), value.to(found.read(name).dtype)), name


def test_trained_rows_of_triggers_go_back_too(converted, tmp_path):
    copied = Path(shutil.copytree(converted, tmp_path / "trained"))
    path, ids = copied / "adapter" / "adapter_model.safetensors", model_ids(copied)
    weights = load_file(path)
    weights[TOKEN_ROWS] = torch.arange(weights[TOKEN_ROWS].numel()).view_as(weights[TOKEN_ROWS])
    weights[TOKEN_ROWS] = weights[TOKEN_ROWS].to(torch.float32)
    save_file(weights, path)
    convert_back(copied, tmp_path / "back")
    found = shards.ShardedCheckpoint(tmp_path / "back")
    name = "lm.base_model.model.model.embed_tokens.weight"
    table, before = found.read(name), release.tensors()[name]
    rows = dict(zip(sorted(ids[text] for text in TRAINED), weights[TOKEN_ROWS], strict=True))
    triggers = [ids[text] for text in ("<box_begin>", "<time_begin>", "<track_begin>")]
    for index in range(len(table)):
        row = rows[index].to(table.dtype) if index in triggers else before[index]
        assert torch.equal(table[index], row), index
    for published, text in (("box_token", "<boxes>"), ("track_token", "<tracking>")):
        assert torch.equal(found.read(published).flatten(), rows[ids[text]])


def model_ids(folder: Path) -> dict[str, int]:
    return json.loads((folder / "config.json").read_text())["tokens"]


def test_a_damaged_model_does_not_go_back(converted, tmp_path):
    def refused(spoil, message):
        copied = Path(shutil.copytree(converted, tmp_path / "copy"))
        spoil(copied)
        with pytest.raises(CheckpointError, match=message):
            convert_back(copied, tmp_path / "back")
        shutil.rmtree(copied)
        assert not list(tmp_path.iterdir())

    heads, adapter = "heads.safetensors", "adapter/adapter_model.safetensors"
    refused(lambda at: (at / heads).unlink(), rf"{heads} is missing; get it again")
    refused(lambda at: (at / heads).write_bytes(b""), rf"{heads} is broken or cut short")
    refused(lambda at: (at / "backbone" / "tokenizer.model").unlink(), r"lacks tokenizer\.model;")
    refused(
        lambda at: (at / "files" / "sam2" / "config.yaml").write_text("model: 3"),
        r"is no VideoChat-TPO: SAM2 configuration .* has no mapping `model`",
    )

    weights = load_file(converted / adapter)
    fewer = weights | {TOKEN_ROWS: weights[TOKEN_ROWS][:4].clone()}
    none = {name: value for name, value in weights.items() if name != TOKEN_ROWS}
    refused(
        lambda at: save_file(fewer, at / adapter), "trained rows for 4 tokens; expected 6, those"
    )
    refused(lambda at: save_file(none, at / adapter), "lacks 1 of its tensors, such as adapter: ")


def test_nothing_stays_of_a_way_back_that_failed(converted, tmp_path, monkeypatch):
    def dies(path, tensors):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_file", dies)
    with pytest.raises(CheckpointError, match="No space left on device; free space or choose"):
        convert_back(converted, tmp_path / "back")
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_kind_does_not_go_back(tmp_path):
    tpo.attach("tiny", ["region"]).save_pretrained(str(tmp_path / "tiny"))
    with pytest.raises(CheckpointError, match="its heads are region; its SAM2 does not lie in"):
        convert_back(tmp_path / "tiny", tmp_path / "back")
    assert not (tmp_path / "back").exists()


# ---- interrupted


def test_a_conversion_cut_short_goes_on_where_it_stopped(
    released, converted, tmp_path, monkeypatch
):
    wrote, real = [], shards.write_file

    def dies(path, tensors):
        if len(wrote) == 3:
            raise OSError(28, "No space left on device")
        wrote.append(path.name)
        real(path, tensors)

    target = tmp_path / "model"
    monkeypatch.setattr(shards, "write_file", dies)
    with pytest.raises(CheckpointError, match="No space left on device; what is done is kept in"):
        convert(released, target, shard_bytes=SMALL)
    assert not target.exists()
    monkeypatch.undo()
    again = []
    monkeypatch.setattr(shards, "write_file", lambda p, t: (again.append(p.name), real(p, t)))
    convert(released, target, shard_bytes=SMALL)
    assert not set(wrote) & set(again)
    for path in converted.rglob("*"):
        if path.is_file():
            same = target / path.relative_to(converted)
            assert same.read_bytes() == path.read_bytes(), path
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_another_conversion_does_not_go_on_from_there(released, tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "write_config", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    with pytest.raises(CheckpointError, match="cannot write"):
        convert(released, tmp_path / "model")
    monkeypatch.undo()
    convert(released, tmp_path / "model", dtype="float32")
    weights = load_file(tmp_path / "model" / "backbone" / "model.safetensors")
    assert weights["project_up.weight"].dtype == torch.float32


def test_free_space_is_looked_at_first(released, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(
        CheckpointError, match=r"has 0\.0 GB free and the conversion needs 0\.\d GB"
    ):
        convert(released, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_changed_checkpoint_is_read_anew(released, tmp_path, monkeypatch):
    folder = copy(released, tmp_path)
    monkeypatch.setattr(forward, "write_config", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    with pytest.raises(CheckpointError, match="cannot write"):
        convert(folder, tmp_path / "model")
    monkeypatch.undo()
    name = "project_up.bias"
    file = json.loads((folder / shards.INDEX).read_text())["weight_map"][name]
    changed = torch.ones_like(release.tensors()[name])
    change(folder, file, **{name: changed})
    convert(folder, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "backbone" / "model.safetensors")
    assert torch.equal(weights[name], changed)


# ---- what is no checkpoint


def test_a_folder_of_other_things_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds neither model\.safetensors\.index\.json nor"):
        convert(tmp_path, tmp_path / "model")
    with pytest.raises(CheckpointError, match="is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "model")


def test_an_existing_folder_is_left_alone(released, tmp_path):
    with pytest.raises(CheckpointError, match="exists already; remove it or choose"):
        convert(released, tmp_path)


def test_another_models_weights_are_refused_with_all_counts(tmp_path):
    save_file({"model.embed.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"tensors 2582 missing: .* and 2577 more; 1 unknown"):
        convert(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"loc_decoder.0.bias": torch.zeros(3)}, r"loc_decoder\.0\.bias is \[3\], expected \["),
        ({"new_part.weight": torch.zeros(3)}, r"1 unknown: new_part\.weight"),
        (
            {"loc_decoder.2.bias": torch.zeros(4, dtype=torch.int8)},
            r"loc_decoder\.2\.bias has type I8, expected any of BF16, F16, F32",
        ),
    ],
)
def test_a_wrong_tensor_is_named(released, tmp_path, tensors, message):
    folder = copy(released, tmp_path)
    file = json.loads((folder / shards.INDEX).read_text())["weight_map"]
    for name, value in tensors.items():
        change(folder, file.get(name, FIRST), **{name: value})
    with pytest.raises(CheckpointError, match=message):
        convert(folder, tmp_path / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy"]


def test_a_missing_tensor_is_named(released, tmp_path):
    folder = copy(released, tmp_path)
    name = "lm.base_model.model.lm_head.lora_A.default.weight"
    file = json.loads((folder / shards.INDEX).read_text())["weight_map"][name]
    change(folder, file, **{name: None})
    with pytest.raises(CheckpointError, match=rf"1 missing: {name}"):
        convert(folder, tmp_path / "model")


def test_an_absent_shard_is_named(released, tmp_path):
    folder = copy(released, tmp_path)
    (folder / FIRST).unlink()
    with pytest.raises(CheckpointError, match=rf"index\.json names {FIRST}, which .* lacks"):
        convert(folder, tmp_path / "model")


def test_a_truncated_shard_is_named(released, tmp_path):
    folder = copy(released, tmp_path)
    whole = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=rf"{FIRST} is broken or cut short"):
        convert(folder, tmp_path / "model")
    (folder / FIRST).write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"{FIRST} is broken or cut short"):
        convert(folder, tmp_path / "model")


def test_an_index_that_names_the_wrong_shard_is_refused(released, tmp_path):
    folder = copy(released, tmp_path)
    index = json.loads((folder / shards.INDEX).read_text())
    index["weight_map"]["box_token"] = next(
        file
        for file in set(index["weight_map"].values())
        if file != index["weight_map"]["box_token"]
    )
    (folder / shards.INDEX).write_text(json.dumps(index))
    with pytest.raises(
        CheckpointError, match=r"does not hold box_token .* although the index says"
    ):
        convert(folder, tmp_path / "model")


def test_a_broken_index_and_a_missing_tokenizer_are_refused(released, tmp_path):
    folder = copy(released, tmp_path)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(CheckpointError, match=r"lacks tokenizer\.model; get the whole checkpoint"):
        convert(folder, tmp_path / "model")
    (folder / shards.INDEX).write_text('{"weight_map": [')
    with pytest.raises(CheckpointError, match=r"index\.json cannot be read"):
        convert(folder, tmp_path / "model")


def test_another_models_tokenizer_is_refused(released, tmp_path):
    folder = copy(released, tmp_path)
    mistral = Path(__file__).parents[2] / "golden" / "mistral_tokenizer.model"
    shutil.copyfile(mistral, folder / "tokenizer.model")
    with pytest.raises(CheckpointError, match=r"tokenizer\.model has 32000 ids; expected \d+, the"):
        convert(folder, tmp_path / "model")
    (folder / "tokenizer.model").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="cannot read the tokenizer in"):
        convert(folder, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_folder_of_internvideo2_is_not_passed_over(released, tmp_path):
    assert read_sizes(tmp_path, internvideo2=Path("iv2")).heads == released_heads(
        Path("iv2").absolute()
    )
    with pytest.raises(CheckpointError, match="features are 'backbone'; leave the folder out"):
        convert(released, tmp_path / "model", internvideo2=tmp_path)
    sizes = {**release.sizes().to_json(), "heads": released_heads(Path("old"))}
    (tmp_path / SIZES_FILE).write_text(json.dumps(sizes))
    changed = read_sizes(tmp_path, internvideo2=Path("new")).heads
    assert changed == released_heads(Path("new").absolute())
    assert read_sizes(tmp_path).heads == released_heads(Path("old"))


def test_sizes_that_cannot_be_used_are_refused(released, tmp_path):
    folder = copy(released, tmp_path)
    for change_of, message in (
        ({"heads": {"region": {}}}, "its heads are region"),
        ({"colour": 3}, "unexpected keyword argument 'colour'"),
        ({"lora": {"rank": 2, "depth": 3}}, "unexpected keyword argument 'depth'"),
    ):
        (folder / SIZES_FILE).write_text(json.dumps(release.sizes().to_json() | change_of))
        with pytest.raises(CheckpointError, match=rf"cannot be used .*{message}"):
            convert(folder, tmp_path / "model")


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    assert cli.main(["convert", "videochat-tpo", str(tmp_path), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(f"tpo: {tmp_path} holds neither")
    words = ["convert", "videochat-tpo", "a", "b", "--back", "--merge-lora"]
    assert cli.main(words) == 2
