"""Loss terms of a stage: what each weighs, and which parts of the model a step must touch."""

from __future__ import annotations

from collections.abc import Mapping

from tpo_core.batch import LM_TERM
from tpo_core.errors import UnknownName
from tpo_core.model import TpoModel


def touched(present: list[str], *, everything: bool) -> tuple[str, ...]:
    """Return the parts whose parameters must get a gradient in every micro-batch of a step.

    A head that any rank or micro-batch uses gets at least a zero gradient on all, so that
    collectives match and the optimizer does the same however the step was split; a head nobody uses
    gets none.

    Args:
        present: Terms with items in this step, anywhere.
        everything: Whether other ranks exist, so that the backbone's parts matter too.
    """
    tasks = tuple(dict.fromkeys(name.partition("/")[0] for name in present if "/" in name))
    if not everything:
        return tasks
    return tasks + tuple(name for name in (LM_TERM, "media") if name in present)


def term_weights(model: TpoModel, by_stage: Mapping[str, float]) -> dict[str, float]:
    """Multiply the heads' own weights with a stage's, given by term or by task.

    Raises:
        UnknownName: A key is neither a term nor a task of the model.
    """
    weights = model.loss_weights()
    known = {*weights, *(name.partition("/")[0] for name in weights)}
    for key in by_stage:
        if key not in known:
            raise UnknownName("loss term", key, known)
    return {
        name: weight * by_stage.get(name, by_stage.get(name.partition("/")[0], 1.0))
        for name, weight in weights.items()
    }


def weightless(weights: Mapping[str, float]) -> set[str]:
    """Return the tasks none of whose terms weighs anything: running their heads would be waste."""
    terms = {name.partition("/")[0] for name in weights if "/" in name}
    return terms - {name.partition("/")[0] for name, weight in weights.items() if weight}
