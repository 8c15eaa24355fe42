"""Run a recipe: stage after stage, resumable at any point."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments, set_seed

from tpo_core.build import attach
from tpo_core.errors import CheckpointError, InputError
from tpo_core.files import held, writable_folder
from tpo_core.model import TpoModel
from tpo_core.records.quarantine import Quarantine
from tpo_core.training.data import StageData
from tpo_core.training.groups import find, select
from tpo_core.training.log import Progress, RunLog, Silent
from tpo_core.training.recipe import Recipe, Stage, load_recipe
from tpo_core.training.state import load_state, save_state, training_state, write_json
from tpo_core.training.terms import term_weights
from tpo_core.training.trainer import COUNTERS_FILE, StageTrainer, checkpoints

RECIPE_FILE = "recipe.json"
FINAL_FILE = "final.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainResult:
    """What a run left.

    Args:
        model: The trained model.
        output: The run's folder.
        model_folder: Where the model was saved.
        log: The log, one JSON line per logging step.
        bad_records: How many records could not be read.
    """

    model: TpoModel
    output: Path
    model_folder: Path
    log: Path
    bad_records: int


def train(
    recipe: str | Path | Recipe,
    *,
    overrides: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    model: TpoModel | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a model as a recipe declares.

    Args:
        recipe: A YAML file, the name of a shipped recipe, or a recipe already read.
        overrides: Values by dotted key; see `load_recipe`.
        output: The run's folder; `runs/<recipe name>` if None.
        resume: Continue a run that was cut short, exactly where its last checkpoint stands.
        overwrite: Replace a run that is in the folder already.
        model: Train this model instead of attaching the recipe's heads to its backbone.
        progress: Shows the run; silent if None.

    Returns:
        The trained model and where everything lies.

    Raises:
        InputError: The recipe or its data cannot be used, or `output` holds another run, or one
            that another process is writing.
        CheckpointError: Something cannot be written or read back.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    elif overrides:
        raise InputError("overrides go with a recipe's name or file, not with one already read")
    output = Path(output or Path("runs") / recipe.name)
    # Joins the process group of torchrun, if there is one, before anything is written.
    ranks = PartialState(cpu=not torch.cuda.is_available())
    with ExitStack() as stack:
        with ranks.main_process_first():
            if ranks.is_main_process:
                stack.enter_context(held(output))
                _check_folder(output, recipe, resume=resume, overwrite=overwrite)
        show = progress or Silent()
        return _train(recipe, model, output, ranks, show, resume=resume, overwrite=overwrite)


def _train(
    recipe: Recipe,
    model: TpoModel | None,
    output: Path,
    ranks: PartialState,
    show: Progress,
    *,
    resume: bool,
    overwrite: bool,
) -> TrainResult:
    set_seed(recipe.seed)
    if model is None:
        lora = recipe.lora.settings() if recipe.lora else None
        model = attach(recipe.backbone, recipe.heads, lora=lora)
    stages = _stages(recipe, model, output)
    # Only now: a run that could not begin leaves nothing to resume or overwrite.
    with ranks.main_process_first():
        if ranks.is_main_process:
            _claim(output, recipe, overwrite=overwrite)
    if recipe.gradient_checkpointing:
        model.backbone.model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]  # transformers
    model.cache_features(recipe.cache_features << 20)
    model.num_frames = recipe.num_frames
    log = RunLog(output / "log.jsonl")
    quarantine = Quarantine(limit=recipe.quarantine)
    for folder, data in stages.items():
        stage = data.stage
        if resume and (folder / FINAL_FILE).exists():
            load_state(model, folder / FINAL_FILE)
            if ranks.is_main_process:
                values = json.loads((folder / COUNTERS_FILE).read_text(encoding="utf-8"))
                quarantine.restore(values["quarantine"])
            show.note(f"stage {stage.name} was done already")
            continue
        _run_stage(recipe, data, model, folder, log, show, quarantine, resume=resume)
        ranks.wait_for_everyone()
    if quarantine.entries and ranks.is_main_process:
        quarantine.write(output / "quarantine.jsonl")
    quarantine.check(final=True)
    model_folder = output / "model"
    if ranks.is_main_process:
        model.save_pretrained(str(model_folder))
    return TrainResult(
        model=model,
        output=output,
        model_folder=model_folder,
        log=log.path,
        bad_records=quarantine.bad,
    )


def _stages(recipe: Recipe, model: TpoModel, output: Path) -> dict[Path, StageData]:
    """Return the folder and the data of every stage.

    What a later stage cannot do is found out here, not after hours of the earlier ones.
    """
    stages = {}
    for number, stage in enumerate(recipe.stages):
        folder = output / "stages" / f"{number + 1}_{stage.name}"
        find(model, stage.train)
        term_weights(model, stage.loss_weights)
        stages[folder] = StageData(recipe, number, model)
        arguments(recipe, stage, folder, 1)
    return stages


def _run_stage(
    recipe: Recipe,
    data: StageData,
    model: TpoModel,
    folder: Path,
    log: RunLog,
    show: Progress,
    quarantine: Quarantine,
    *,
    resume: bool,
) -> None:
    stage = data.stage
    groups = select(model, stage.train)
    steps = len(data) // stage.batch
    args = arguments(recipe, stage, folder, steps)
    trainer = StageTrainer(
        model,
        args=args,
        data=data,
        groups=groups,
        stage=stage.name,
        log=log,
        progress=show,
        quarantine=quarantine,
    )
    show.stage(stage.name, steps, groups)
    found = checkpoints(folder) if resume else []
    if trainer.is_world_process_zero():
        log.rewind(stage.name, int(found[-1].name.rpartition("-")[2]) if found else 0)
    trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
    counters = trainer.counters()
    if trainer.is_world_process_zero():
        write_json(folder / COUNTERS_FILE, counters)
        save_state(training_state(model), folder / FINAL_FILE)
        for checkpoint in checkpoints(folder):
            shutil.rmtree(checkpoint, ignore_errors=True)
    trainer.accelerator.free_memory()


def arguments(recipe: Recipe, stage: Stage, folder: Path, steps: int) -> TrainingArguments:
    """Return transformers' arguments for a stage.

    Raises:
        InputError: The batch cannot be split, or bf16 is asked for and absent.
    """
    options: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": stage.micro_batch,
        "learning_rate": max(stage.train.values()),
        "lr_scheduler_type": stage.schedule,
        "warmup_steps": math.ceil(stage.warmup * steps),
        "weight_decay": stage.weight_decay,
        "adam_epsilon": 1e-5,
        "max_grad_norm": stage.max_grad_norm,
        "logging_steps": max(1, min(10, steps // 10)),
        "save_strategy": "steps" if stage.save_steps else "no",
        "save_steps": stage.save_steps or steps,
        "seed": recipe.seed,
        "bf16": _wants_bf16(recipe),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_num_workers": recipe.workers,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
        "ddp_find_unused_parameters": True,
    }
    try:
        args = TrainingArguments(**{**options, **recipe.trainer})
    except (TypeError, ValueError) as error:
        raise InputError(f"recipe's trainer section: {error}") from error
    per_pass = stage.micro_batch * args.world_size
    if stage.batch % per_pass:
        raise InputError(
            f"stage {stage.name!r}: batch {stage.batch} is no multiple of micro_batch "
            f"{stage.micro_batch} times {args.world_size} devices; change one of them"
        )
    args.gradient_accumulation_steps = stage.batch // per_pass
    return args


def _wants_bf16(recipe: Recipe) -> bool:
    if recipe.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if recipe.precision == "fp32":
        return False
    has = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else _cpu_has_bf16()
    if not has:
        raise InputError(
            "precision is bf16 but this machine has no bf16 instructions; use precision: fp32"
        )
    return True


def _cpu_has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _check_folder(output: Path, recipe: Recipe, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that this run may not write to, or that holds another run."""
    writable_folder(output)
    file = output / RECIPE_FILE
    values = recipe.model_dump(mode="json")
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        if resume and before != values:
            changed = [key for key in values if before.get(key) != values[key]]
            raise InputError(
                f"{output} holds a run of another recipe ({', '.join(changed)} differ); resume "
                "with the same recipe or choose another folder"
            )
        if not resume and not overwrite:
            raise InputError(
                f"{output} holds a run already; add --resume to continue it, --overwrite to "
                "replace it, or choose another folder"
            )
    elif resume:
        raise CheckpointError(f"{output} holds no run to resume; drop --resume to start one")


def _claim(output: Path, recipe: Recipe, *, overwrite: bool) -> None:
    """Make `output` this run's folder."""
    if overwrite:
        shutil.rmtree(output / "stages", ignore_errors=True)
        for name in ("log.jsonl", "quarantine.jsonl"):
            (output / name).unlink(missing_ok=True)
    write_json(output / RECIPE_FILE, recipe.model_dump(mode="json"))
