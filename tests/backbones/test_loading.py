"""Loading: what is refused and how, dtypes, attention, padded tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.backbones.tiny_families import FAMILIES, build, write
from tpo_backbones import families
from tpo_backbones.families import family_for
from tpo_backbones.generic.adapter import TransformersAdapter
from tpo_backbones.llava import LlavaAdapter
from tpo_core.batch import pack
from tpo_core.errors import InputError
from tpo_core.testing.backbone_samples import conversations, sample_media


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("llava_onevision", tmp_path_factory.mktemp("onevision"))


def test_another_family_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="of type 'llava_onevision', expected llava"):
        LlavaAdapter.load(str(folder))


def test_a_missing_folder_gets_its_neighbour(folder: Path) -> None:
    with pytest.raises(InputError, match="did you mean"):
        TransformersAdapter.load(str(folder)[:-1] + "x")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read a transformers config"):
        TransformersAdapter.load(str(tmp_path))


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(InputError, match="image-text-to-text"):
        TransformersAdapter.load(str(tmp_path))


def test_refused_families_say_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mllama"}))
    with pytest.raises(InputError, match=r"'mllama' are refused: .*cross-attention"):
        TransformersAdapter.load(str(tmp_path))


def test_every_listed_family_is_tested() -> None:
    tested = {FAMILIES[name]()[0]["model_type"] for name in FAMILIES}
    assert tested == set(families.FAMILIES)
    for model_type in families.FAMILIES:
        assert family_for(model_type)
    assert not set(families.REFUSED) & set(families.FAMILIES)


def test_stored_half_precision_loads_as_fp32_on_a_cpu(tmp_path: Path) -> None:
    half = build("llava_onevision", tmp_path / "a")
    half.model.half()
    half.save(str(tmp_path / "b"))
    loaded = TransformersAdapter.load(str(tmp_path / "b"))
    assert loaded.dtype == torch.float32
    kept = TransformersAdapter.load(str(tmp_path / "b"), dtype=torch.bfloat16)
    assert kept.dtype == torch.bfloat16
    assert kept.strategy == "tree"


@pytest.mark.parametrize("attention", ["auto", "sdpa", "eager"])
def test_attention_implementations_agree(folder: Path, attention: str) -> None:
    reference = TransformersAdapter.load(str(folder))
    adapter = TransformersAdapter.load(str(folder), attention=attention)
    assert adapter.strategy == "tree"
    record = adapter.renderer.render(sample_media("video"), conversations())
    batch = pack([record, record])
    with torch.no_grad():
        states = adapter(batch, adapter.encode(batch.records))
        expected = reference(batch, reference.encode(batch.records))
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def test_padded_tables_keep_their_size(folder: Path) -> None:
    adapter = TransformersAdapter.load(str(folder))
    rows = len(adapter.input_embedding.weight)
    known = len(adapter.processor.tokenizer)
    assert known < rows
    ids = adapter.add_tokens([f"<new_{index}>" for index in range(8)])
    assert len(adapter.input_embedding.weight) == rows
    assert list(ids) == list(range(known, known + 8))


def test_full_tables_grow_by_what_is_needed(folder: Path) -> None:
    adapter = TransformersAdapter.load(str(folder))
    rows = len(adapter.input_embedding.weight)
    missing = rows - len(adapter.processor.tokenizer)
    ids = adapter.add_tokens([f"<new_{index}>" for index in range(missing + 3)])
    assert max(ids) + 1 == len(adapter.input_embedding.weight) == rows + 3
    assert len(adapter.model.get_output_embeddings().weight) == rows + 3
    assert adapter.model.config.get_text_config().vocab_size == rows + 3
