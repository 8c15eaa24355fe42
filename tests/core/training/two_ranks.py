"""Run by torchrun in a test: train a recipe on two gloo ranks and record who had region samples."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from tpo_core.build import attach
from tpo_core.training import trainer as trainer_module
from tpo_core.training.recipe import Recipe
from tpo_core.training.run import train


def main() -> None:
    torch.set_num_threads(1)
    recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_text())
    output = Path(sys.argv[2])
    had: list[int] = []
    count = trainer_module.StageTrainer._count

    def counted(self, batch):  # type: ignore[no-untyped-def]
        had.append(len(batch.slots["region"].targets) if "region" in batch.slots else 0)
        count(self, batch)

    trainer_module.StageTrainer._count = counted  # type: ignore[method-assign]
    torch.manual_seed(0)
    model = attach(recipe.backbone, ("region", "temporal"), device="cpu")
    train(recipe, output=output, model=model)
    gathered: list[list[int]] = [[], []]
    torch.distributed.all_gather_object(gathered, had)
    if torch.distributed.get_rank() == 0:
        (output / "ranks.json").write_text(json.dumps(list(zip(*gathered, strict=True))))
    torch.distributed.destroy_process_group()
    # torch's own threads now and then abort the interpreter's exit; nothing is left to do there.
    sys.stdout.flush()
    os._exit(0)


main()
