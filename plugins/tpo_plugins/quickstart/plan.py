"""How much of everything a quickstart does, from the seconds it may take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from tpo_core.errors import InputError

RECIPE: Final = "quickstart"
SIZES: Final[dict[str, int]] = {"train": 1200, "val": 20, "test": 120}
"""Records of a full quickstart's world; half are pictures, half videos."""

# Seconds of a full quickstart on two slow CPU cores, which a budget scales; phases as measured.
_FIXED: Final = 20.0
_WORLD: Final = 17.0
_EVALUATIONS: Final = 62.0
_TRAINING: Final = 523.0
FULL: Final = _FIXED + _WORLD + _EVALUATIONS + _TRAINING

_LEAST_RECORDS: Final = {"train": 48, "val": 2, "test": 12}
_LEAST_STEPS: Final = 4
_LEAST_SCALE: Final = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a quickstart does; equal plans give equal models.

    Args:
        seed: Of the world, the weights and the order of the data.
        budget: Seconds that were asked for; None for the full quickstart.
        scale: Share of the full training steps, in (0, 1].
        sizes: Records of each split of the world.
    """

    seed: int
    budget: float | None
    scale: float
    sizes: dict[str, int]

    @classmethod
    def make(cls, *, budget: float | None = None, seed: int = 0) -> Plan:
        """Plan a quickstart.

        Args:
            budget: Seconds it may take on two CPU cores; None, or more than enough, for all of it.
                What takes the same time however short the rest is comes first, so that a very
                short budget is overrun.
            seed: At least 0.

        Raises:
            InputError: If the budget is not positive or the seed negative.
        """
        if budget is not None and not budget > 0:
            raise InputError(f"budget is {budget:g} seconds; expected a positive number")
        if seed < 0:
            raise InputError(f"seed is {seed}; expected 0 or more")
        scale = 1.0
        if budget is not None:
            scale = min(max((budget - _FIXED) / (FULL - _FIXED), _LEAST_SCALE), 1.0)
        sizes = {
            split: max(round(size * scale), _LEAST_RECORDS[split]) for split, size in SIZES.items()
        }
        return cls(seed=seed, budget=budget, scale=scale, sizes=sizes)

    def overrides(self, steps: dict[int, int], *, world: str) -> dict[str, Any]:
        """Return what to change in the recipe, by dotted key.

        Args:
            steps: The recipe's own steps by number of the stage.
            world: The world's folder.
        """
        scaled = {
            f"stages.{number}.steps": max(round(full * self.scale), min(_LEAST_STEPS, full))
            for number, full in steps.items()
        }
        return {"seed": self.seed, "data.root": world, **scaled}

    def seconds_of(self, phase: str) -> float:
        """Return about how long a phase takes on two CPU cores."""
        full = {"world": _WORLD, "before": _EVALUATIONS / 2, "train": _TRAINING}
        full |= {"after": _EVALUATIONS / 2}
        return full.get(phase, 0.0) * self.scale + _FIXED / 5

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
