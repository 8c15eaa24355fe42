"""Recipes: YAML files that declare a model, its data and the stages of its training."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tpo_core.errors import InputError, UnknownName
from tpo_core.lora import LoraSettings

_PLACEHOLDER = re.compile(r"\$\{([\w.]+)\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """A record file in a stage's mixture.

    Args:
        path: A JSONL file of records.
        weight: Its share of the samples, in any unit; all sources of a stage must give one or none
            (then every source counts by its size).
        tasks: Keep only branches with a target of these tasks; `chat` names branches without any.
            Everything if empty.
        allow_outside: Whether media may lie outside the file's folder.
    """

    path: str
    weight: float | None = Field(default=None, ge=0)
    tasks: tuple[str, ...] = ()
    allow_outside: bool = False


class Stage(_Strict):
    """One stage: what trains, at which rate, on what.

    Args:
        name: Unique in the recipe.
        train: Learning rate by parameter group: `lora`, `tokens`, `vision`, `connector`, `llm`, or
            a head's name. Everything else is frozen.
        data: The mixture.
        steps: Optimizer steps; or give `epochs`.
        epochs: Passes over the data (over the sources' records together).
        batch: Records per optimizer step, over all devices and micro-batches.
        micro_batch: Records per forward pass on a device; `batch` must be a multiple of this times
            the number of devices.
        branches: At most so many conversations of a record in one batch, drawn by the seed; 0 for
            all.
        loss_weights: Weight by loss term (`lm`, `region`, `temporal/saliency`, ...), multiplied
            with the head's own weight; a bare task name covers all its terms.
        schedule: Learning-rate schedule of transformers.
        warmup: Share of the steps over which the rate rises.
        weight_decay: Of AdamW.
        max_grad_norm: Clip gradients to this norm; 0 for no clipping.
        save_steps: Write a checkpoint every so many steps; 0 for the end of the stage only.
    """

    name: str
    train: dict[str, float] = Field(min_length=1)
    data: tuple[Source, ...] = Field(min_length=1)
    steps: int | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    batch: int = Field(default=8, gt=0)
    micro_batch: int = Field(default=8, gt=0)
    branches: int = Field(default=0, ge=0)
    loss_weights: dict[str, float] = Field(default_factory=dict)
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.02, ge=0)
    max_grad_norm: float = Field(default=1.0, ge=0)
    save_steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"stage {self.name!r} needs either steps or epochs")
        weighted = [source.weight is not None for source in self.data]
        if any(weighted) and not all(weighted):
            raise ValueError(f"stage {self.name!r}: give every source a weight, or none")
        return self

    def steps_for(self, records: int) -> int:
        """Return the stage's optimizer steps, its sources holding so many records."""
        return self.steps or max(1, math.ceil(records * float(self.epochs or 0) / self.batch))


class Lora(_Strict):
    """LoRA on the decoder; see `tpo_core.lora.LoraSettings`."""

    rank: int = Field(default=16, gt=0)
    alpha: float = 32
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def settings(self) -> LoraSettings:
        """Return the settings as the model takes them."""
        return LoraSettings(**self.model_dump())


class Recipe(_Strict):
    """A whole training run.

    Args:
        name: What to call it.
        summary: One line on what it does and where its numbers come from.
        backbone: Registered name, folder or hub id.
        heads: Options of each head, by registered name.
        lora: LoRA settings; null for none.
        data: Parameters for `${data.<key>}` in sources; null ones must be given with `--set`.
        num_frames: Frames looked at per video.
        precision: `auto` is bf16 autocast on a GPU that has it, else fp32.
        gradient_checkpointing: Trade compute for memory in the backbone.
        quarantine: Share of records that may be unreadable.
        workers: Data-loading processes per device; 0 loads in the training process.
        seed: Of weights, data order and dropout.
        cache_features: Keep visual features of frozen vision towers, up to so many MiB.
        trainer: Further fields of `transformers.TrainingArguments` (fsdp, deepspeed, report_to).
        stages: In order.
    """

    name: str
    summary: str = ""
    backbone: str
    heads: dict[str, dict[str, Any]]
    lora: Lora | None = Lora()
    data: dict[str, str | None] = Field(default_factory=dict)
    num_frames: int = Field(default=16, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gradient_checkpointing: bool = False
    quarantine: float = Field(default=0.01, ge=0, le=1)
    workers: int = Field(default=0, ge=0)
    seed: int = 0
    cache_features: int = Field(default=0, ge=0)
    trainer: dict[str, Any] = Field(default_factory=dict)
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_stages(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stage names {names} are not unique")
        return self


def recipe_files() -> dict[str, Path]:
    """Return the recipes shipped by installed plugins, by name.

    A plugin ships recipes as YAML files in a folder `recipes` of its top-level package.
    """
    from importlib.metadata import entry_points

    from tpo_core.hookspecs import PROJECT
    from tpo_core.registry import Status, plugins

    working = {status.name for status in plugins() if status.status is Status.OK}
    points = [point for point in entry_points(group=PROJECT) if point.name in working]
    found: dict[str, Path] = {}
    for package in sorted({point.module.partition(".")[0] for point in points}):
        try:
            folder = Path(str(resources.files(package))) / "recipes"
        except (ImportError, TypeError):
            continue
        for file in sorted(folder.glob("*.yaml")):
            found.setdefault(file.stem, file)
    return found


def load_recipe(source: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        source: A YAML file, or the name of a shipped recipe.
        overrides: Values by dotted key, such as `{"data.root": "...", "stages.0.steps": 10}`.

    Raises:
        UnknownName: There is no such file or recipe.
        InputError: A key is unknown, a value wrong, or a parameter missing; names the key.
    """
    path = Path(source)
    if not path.is_file():
        shipped = recipe_files()
        if str(source) not in shipped:
            raise UnknownName("recipe", str(source), shipped)
        path = shipped[str(source)]
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read recipe {path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds no mapping; expected keys such as backbone, stages")
    for key, value in (overrides or {}).items():
        _set(values, key, value)
    return parse_recipe(values, path=str(path))


def parse_recipe(values: Mapping[str, Any], *, path: str = "recipe") -> Recipe:
    """Validate a recipe's plain values and fill in its `${data...}` placeholders.

    Raises:
        InputError: As `load_recipe`.
    """
    filled = _fill(values, values.get("data") or {}, path)
    try:
        return Recipe.model_validate(filled)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = f"unknown key; {_did_you_mean(first['loc'])}"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(f"{path}: {key + ': ' if key else ''}{reason}{more}") from error


def _did_you_mean(location: Sequence[int | str]) -> str:
    model: type[BaseModel] = Recipe
    for part, inner in (("stages", Stage), ("data", Source), ("lora", Lora)):
        if part in location[:-1]:
            model = inner
    return str(UnknownName("key", str(location[-1]), model.model_fields))


def _fill(value: Any, parameters: Mapping[str, Any], path: str) -> Any:
    """Replace `${data.key}` in every text."""
    if isinstance(value, Mapping):
        return {key: _fill(inner, parameters, path) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, parameters, path) for inner in value]
    if not isinstance(value, str):
        return value

    def parameter(match: re.Match[str]) -> str:
        section, _, key = match[1].partition(".")
        if section != "data" or key not in parameters:
            known = ", ".join(f"data.{name}" for name in parameters) or "none"
            raise InputError(f"{path}: unknown placeholder {match[0]} (known: {known})")
        if parameters[key] is None:
            raise InputError(f"{path}: {match[1]} is not set; add --set {match[1]}=VALUE")
        return str(parameters[key])

    return _PLACEHOLDER.sub(parameter, value)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key inside nested mappings and lists."""
    *parents, last = key.split(".")
    at: Any = values
    for part in parents:
        if isinstance(at, list) and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
        elif isinstance(at, dict):
            at = at.setdefault(part, {})
        else:
            raise InputError(f"--set {key}: {part!r} is not a key of the recipe")
    if isinstance(at, list) and last.isdigit() and int(last) < len(at):
        at[int(last)] = value
    elif isinstance(at, dict):
        at[last] = value
    else:
        raise InputError(f"--set {key}: {last!r} is not a key of the recipe")
