"""transformers' Trainer with our loss accounting, parameter groups and atomic checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tpo_core.batch import Batch
from tpo_core.errors import CheckpointError
from tpo_core.losses import TermLog, add_counts, reduce_counts, weighted_total
from tpo_core.model import TpoModel
from tpo_core.records.quarantine import Quarantine
from tpo_core.training.data import StageData
from tpo_core.training.groups import GradientProof, TrainedGroup
from tpo_core.training.log import Progress, RunLog
from tpo_core.training.state import load_state, save_state, training_state, write_json
from tpo_core.training.terms import term_weights, touched, weightless

STATE_FILE = "state.safetensors"
COUNTERS_FILE = "counters.json"


class StageTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped
    """Trains one stage.

    Args:
        model: Its `requires_grad` flags already say what trains.
        args: From `arguments`.
        data: The stage's samples, in order.
        groups: What trains, with learning rates.
        stage: The stage's name, for the log.
        log: Where log lines go.
        progress: What shows the run.
        quarantine: Counts unreadable records and stops the run above its limit.
    """

    def __init__(
        self,
        model: TpoModel,
        *,
        args: TrainingArguments,
        data: StageData,
        groups: list[TrainedGroup],
        stage: str,
        log: RunLog,
        progress: Progress,
        quarantine: Quarantine,
    ) -> None:
        self.groups = groups
        self.terms = TermLog()
        self.seen: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.stage_name, self.run_log, self.show, self.quarantine = stage, log, progress, quarantine
        self.weights = term_weights(model, data.stage.loss_weights)
        self._staging: Path | None = None
        super().__init__(
            model=model,
            args=args,
            train_dataset=data,
            data_collator=model.collator(silent=weightless(self.weights)),
            callbacks=[_Watcher(self)],
        )
        # Our loss is divided by the items of the whole step already.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True

    # -- data -------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Batch]:
        """Return batches in the fixed order of the stage's data, sharded over ranks."""
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
            shuffle=False,
            drop_last=False,
            num_workers=self.args.dataloader_num_workers,
            persistent_workers=self.args.dataloader_num_workers > 0,
        )
        prepared: DataLoader[Batch] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], dict[str, float]]:
        """Return the micro-batches of an optimizer step and the global counts of its terms."""
        batches = []
        for _ in range(num_batches):
            batch = next(epoch_iterator, None)
            if batch is None:
                break
            batches.append(batch)
            self._count(batch)
        counts = add_counts(batch.counts for batch in batches)
        counts["media"] = float(sum(m is not None for batch in batches for m in batch.media))
        return batches, reduce_counts(counts, [*self.weights, "media"])

    def _count(self, batch: Batch) -> None:
        self.quarantine.good(len(batch.packed.records), clipped=batch.clipped)
        for bad in batch.bad:
            self.show.note(f"skipped {bad}")
            self.quarantine.add(bad)
        self.seen.update({task: len(slots.targets) for task, slots in batch.slots.items()})
        for task, reasons in batch.skipped.items():
            self.skipped.update({f"{task}: {reason}": n for reason, n in reasons.items()})

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs.to(self.args.device) if isinstance(inputs, Batch) else inputs

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: a packed tree's cost has no closed form, so none is claimed."""
        return 0

    # -- loss -------------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Return this micro-batch's part of the step's loss.

        Every term is divided by its global count; ranks average gradients, hence the factor.
        """
        assert num_items_in_batch is not None
        assert not return_outputs
        world = self.accelerator.num_processes
        present = [name for name, count in num_items_in_batch.items() if count]
        sums = model(inputs, touch=touched(present, everything=world > 1))
        zero = sums.pop("zero", None)
        self.terms.add(sums, inputs.counts)
        loss = weighted_total(sums, num_items_in_batch, self.weights).to(self.args.device)
        if zero is not None:
            loss = loss + zero
        if not loss.requires_grad:  # nothing in this micro-batch: keep backward callable
            loss = loss + 0.0 * next(p for p in model.parameters() if p.requires_grad).sum()
        scaled: Tensor = loss * world
        return scaled

    # -- optimizer --------------------------------------------------------------------------------

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Build AdamW with one group per rate; norms, biases and token rows get no weight decay."""
        if self.optimizer is None:
            groups = []
            for group in self.groups:
                for decay in (True, False):
                    parameters = [
                        p for name, p in group.parameters.items() if _decays(name, p) is decay
                    ]
                    if parameters:
                        rate = self.args.weight_decay if decay else 0.0
                        groups.append(
                            {"params": parameters, "lr": group.rate, "weight_decay": rate}
                        )
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer: torch.optim.Optimizer | None = kind(groups, **options)
        assert self.optimizer is not None
        return self.optimizer

    # -- log --------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write the global mean of every term since the last line, and the per-head counters."""
        names = list(self.weights)
        sums = reduce_counts(self.terms.sums, names)
        counts = reduce_counts(self.terms.counts, names)
        self.terms = TermLog()
        means = {name: sums[name] / counts[name] for name in names if counts[name]}
        if not means or "loss" not in logs:
            return
        seen, skipped = self._gathered(self.seen), self._gathered(self.skipped)
        if not self.is_world_process_zero():
            return
        entry = {
            "stage": self.stage_name,
            "step": self.state.global_step,
            "loss": sum(self.weights[name] * mean for name, mean in means.items()),
            **means,
            "lr": logs.get("learning_rate"),
            "grad_norm": logs.get("grad_norm"),
            "seen": seen,
            "skipped": skipped,
            "bad": self.quarantine.bad,
            "clipped": self.quarantine.clipped,
        }
        self.run_log.write(entry)
        self.show.step(self.state.global_step, entry)

    def counters(self) -> dict[str, Any]:
        """Return what all ranks counted; every rank must call this."""
        ranks = gather_object([self.quarantine.state()])
        quarantine = {key: sum(rank[key] for rank in ranks) for key in ("seen", "bad", "clipped")}
        quarantine["entries"] = [entry for rank in ranks for entry in rank["entries"]]
        return {
            "seen": self._gathered(self.seen),
            "skipped": self._gathered(self.skipped),
            "quarantine": quarantine,
        }

    def _restore_counters(self, path: Path) -> None:
        """Go on counting where a checkpoint was; the main rank takes the sums."""
        if self.is_world_process_zero():
            values = json.loads(path.read_text(encoding="utf-8"))
            self.seen, self.skipped = Counter(values["seen"]), Counter(values["skipped"])
            self.quarantine.restore(values["quarantine"])

    def _gathered(self, counter: Counter[str]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for part in gather_object([dict(counter)]):
            total.update(part)
        return dict(sorted(total.items()))

    # -- checkpoints ------------------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or self.args.output_dir)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint beside the others and move it into place once it is whole."""
        output = Path(self.args.output_dir)
        name = f"checkpoint-{self.state.global_step}"
        self._staging = output / ".staging"
        counters = self.counters()
        try:
            if self.is_world_process_zero():
                shutil.rmtree(self._staging, ignore_errors=True)
                self._staging.mkdir(parents=True)
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                write_json(self._staging / name / COUNTERS_FILE, counters)
                _sync(self._staging / name)
                shutil.rmtree(output / name, ignore_errors=True)
                os.replace(self._staging / name, output / name)
                shutil.rmtree(self._staging, ignore_errors=True)
                for old in checkpoints(output)[:-1]:
                    shutil.rmtree(old, ignore_errors=True)
        except (OSError, SafetensorError, RuntimeError, CheckpointError) as error:
            shutil.rmtree(self._staging, ignore_errors=True)
            kept = checkpoints(output)
            whole = f"the checkpoint {kept[-1].name} stays whole" if kept else "none was there yet"
            raise CheckpointError(
                f"cannot write {output / name}: {' '.join(str(error).split())}; {whole}; "
                "free space and continue with --resume"
            ) from error
        finally:
            self._staging = None

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        model = self.accelerator.unwrap_model(self.model)
        save_state(training_state(model), Path(str(output_dir)) / STATE_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_state(
            self.accelerator.unwrap_model(model or self.model),
            Path(resume_from_checkpoint) / STATE_FILE,
        )
        self._restore_counters(Path(resume_from_checkpoint) / COUNTERS_FILE)


class _Watcher(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Proves that gradients flow, drops those of absent heads, and shows each step."""

    def __init__(self, trainer: StageTrainer) -> None:
        self.trainer = trainer
        self.proof = GradientProof(trainer.groups)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the gradients of the step."""
        if fresh := self.proof.look():
            self.trainer.show.note(f"gradients reach {', '.join(fresh)}")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the progress display."""
        self.trainer.show.step(state.global_step, None)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A stage shorter than the proof's patience must have proven its groups by its end."""
        if self.proof.steps:
            self.proof.require_all()


def checkpoints(folder: Path) -> list[Path]:
    """Return the whole checkpoints of a stage, oldest first."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and "trainable_tokens" not in name


def _sync(folder: Path) -> None:
    """Flush a folder's files to disk, so that the rename after it cannot overtake them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
