"""From the plain mappings of a record to the typed targets and prompts of its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from tpo_core.errors import RecordError, UnknownName
from tpo_core.records.schema import MaskTarget, RegionPrompt, RegionTarget, TemporalTarget

Models = Mapping[str, type[BaseModel]]

CORE_TARGETS: Models = {"region": RegionTarget, "temporal": TemporalTarget, "mask": MaskTarget}
CORE_PROMPTS: Models = {"region": RegionPrompt}


def parse_items(
    items: Sequence[Mapping[str, Any]], *, models: Models, field: str
) -> tuple[BaseModel, ...]:
    """Validate targets or prompts with the model of the task that each names.

    Args:
        items: The mappings as they stand in a record, each with a `"task"`.
        models: The pydantic model of each known task.
        field: Where the items stand, dotted, such as `branches.0.targets`.

    Returns:
        One model instance per item, in order.

    Raises:
        RecordError: If a task is missing or unknown, or an item does not fit its model.
    """
    parsed = []
    for number, item in enumerate(items):
        place = f"{field}.{number}"
        task = item.get("task")
        if not isinstance(task, str):
            raise RecordError(
                f"no task is named; expected one of {', '.join(sorted(models))}",
                field=f"{place}.task",
            )
        if task not in models:
            raise RecordError(str(UnknownName("task", task, models)), field=f"{place}.task")
        try:
            parsed.append(models[task].model_validate(item))
        except ValidationError as error:
            raise record_error(error, field=place) from error
    return tuple(parsed)


def record_error(error: ValidationError, *, field: str = "") -> RecordError:
    """Say what pydantic found as one RecordError, naming the first field that is wrong.

    Args:
        error: What validation raised.
        field: Where the validated part stands in the record, dotted.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    inner = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "this key is not part of the format; remove it or correct its name"
    elif first["type"] not in ("missing", "value_error"):
        reason = f"{reason}, got {_short(first['input'])}"
    if len(problems) > 1:
        reason += f" (and {len(problems) - 1} more)"
    place = ".".join(part for part in (field, inner) if part)
    return RecordError(reason, field=place or None)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
