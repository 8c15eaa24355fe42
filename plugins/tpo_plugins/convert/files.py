"""Files of a saved model beside its tensors: configs, tokenizer, LoRA's settings, the card."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tpo_core.errors import CheckpointError, InputError, MissingDependency
from tpo_core.saving import config as saved
from tpo_plugins.convert.job import DTYPE_OF, Job
from tpo_plugins.convert.names import PEFT, TOKEN_ROWS
from tpo_plugins.convert.shards import write_file
from tpo_plugins.convert.tensors import EMBEDDING, token_rows

ADAPTER_NAME: Final = "videochat"
TOKENIZER: Final = "tokenizer.model"


def check_tokenizer(job: Job) -> None:
    """Check that the release's tokenizer has the ids before those of the task tokens.

    Raises:
        CheckpointError: If it is missing, broken, or of another vocabulary.
        MissingDependency: If sentencepiece is not installed.
    """
    folder = job.source.folder
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder} lacks {TOKENIZER}; get the whole checkpoint")
    try:
        from tpo_backbones.videochat.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(folder)
    except ImportError as error:
        raise MissingDependency(
            "VideoChat-TPO's tokenizer needs sentencepiece, which is not installed; run: pip "
            "install sentencepiece"
        ) from error
    except InputError as error:
        raise CheckpointError(str(error)) from error
    found, expected = len(tokenizer) - len(tokenizer.added), min(job.tokens.values())
    if found != expected:
        raise CheckpointError(
            f"{folder / TOKENIZER} has {found} ids; expected {expected}, the rows of the embedding "
            "but for the task tokens'; get the checkpoint's own"
        )


def write_adapter(folder: Path, job: Job) -> None:
    """Write LoRA and the task tokens' rows as PEFT does."""
    from peft import LoraConfig

    tensors = {name: job.source.read(published) for name, published in job.part("adapter").items()}
    wrapped = {name.removeprefix(PEFT).rpartition(".lora_")[0] for name in tensors}
    tensors[TOKEN_ROWS], ids = token_rows(job)
    write_file(folder / saved.ADAPTER_WEIGHTS, tensors)
    settings = LoraConfig(
        r=job.sizes.lora.rank,
        lora_alpha=job.sizes.lora.alpha,
        lora_dropout=job.sizes.lora.dropout,
        target_modules=sorted(wrapped),
        trainable_token_indices={EMBEDDING.removesuffix(".weight"): ids},
        base_model_name_or_path=ADAPTER_NAME,
        inference_mode=True,
    )
    settings.save_pretrained(str(folder))


def write_backbone_files(folder: Path, job: Job) -> None:
    """Write the backbone's config and tokenizer."""
    from tpo_backbones.videochat.checkpoint import CONFIG_FILE
    from tpo_backbones.videochat.tokenizer import ADDED_FILE

    text = json.dumps(job.sizes.backbone.to_json(), indent=2)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(job.source.folder / TOKENIZER, folder / TOKENIZER)
    (folder / ADDED_FILE).write_text(json.dumps(job.tokens, indent=2) + "\n", encoding="utf-8")


def write_config(folder: Path, job: Job) -> None:
    """Write the config of the whole model, and its card."""
    from tpo_core.saving.card import model_card

    sizes = job.sizes
    embedding = job.source.headers[job.part("backbone")[EMBEDDING]]
    config = saved.SavedConfig(
        backbone=saved.SavedBackbone(
            source=str(job.source.folder.name),
            adapter=ADAPTER_NAME,
            included=True,
            dtype=job.dtype or DTYPE_OF[embedding.dtype],
            hidden_size=sizes.backbone.language.hidden_size,
        ),
        heads={name: dict(options) for name, options in sizes.heads.items()},
        lora=sizes.lora.to_json(),
        merged=job.merge,
        tokens=job.tokens,
        num_frames=sizes.backbone.num_frames,
        versions={name: version(name) for name in ("tpo", "torch", "transformers", "peft")},
    )
    text = json.dumps(config.model_dump(mode="json"), indent=2)
    (folder / saved.CONFIG).write_text(text + "\n", encoding="utf-8")
    tasks = {"region": "`region`", "temporal_cgdetr": "`temporal`", "mask": "`mask`"}
    (folder / saved.CARD).write_text(model_card(config, tasks=tasks, figures={}), encoding="utf-8")
