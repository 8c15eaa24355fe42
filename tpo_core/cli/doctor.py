"""`tpo doctor`: what a bug report needs, and what slows a run down."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tpo_core.cli.plugins import installed_plugins, print_plugins
from tpo_core.errors import MissingDependency
from tpo_core.versions import versions_of

_PACKAGES = (
    "tpo",
    "torch",
    "torchvision",
    "transformers",
    "peft",
    "accelerate",
    "sam2",
    "timm",
    "safetensors",
    "pydantic",
    "pluggy",
    "av",
    "pycocotools",
    "typer",
    "flash-attn",
)


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show versions, devices, threads, bf16, the attention kernel and why, and failed plugins.

    Exits with 1 if torch cannot be imported.

    Example: tpo doctor --json
    """
    failed = [row for row in installed_plugins() if row.failed]
    versions, devices, attention = _versions(), _devices(), _attention()
    if as_json:
        report = {
            "versions": versions,
            "devices": devices,
            "attention": [
                {"case": case, "kernel": kernel, "reason": reason}
                for case, kernel, reason in attention
            ],
            "failed_plugins": [{"name": row.name, "error": row.error} for row in failed],
        }
        typer.echo(json.dumps(report, indent=2))
        return
    console = Console()
    console.print(_table(("package", "version"), versions.items()))
    console.print(_table(("device", ""), devices.items()))
    console.print(_table(("attention", "kernel", "reason"), attention))
    if failed:
        print_plugins(failed)
    else:
        console.print("all plugins load")


def _versions() -> dict[str, str]:
    found = versions_of(_PACKAGES)
    return found | {"python": f"{found['python']} ({platform.platform()})"}


def _devices() -> dict[str, str]:
    """Return devices, threads and where bf16 runs in hardware."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            f"torch cannot be imported ({error}); reinstall with: pip install torch"
        ) from error
    capabilities = torch.cpu.get_capabilities()
    instructions = [name for name, has in capabilities.items() if has and name.endswith("bf16")]
    found = {
        "cpu": f"{capabilities.get('cpu_name', platform.processor())}, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
        "bf16 on cpu": ", ".join(instructions) or "emulated: slower than fp32",
    }
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if device.major >= 8 else "no bf16"
        found[f"cuda:{index}"] = f"{device.name}, {device.total_memory / 2**30:.0f} GiB, {bf16}"
    if torch.backends.mps.is_available():
        found["mps"] = "available"
    return found


def _attention() -> list[tuple[str, str, str]]:
    from tpo_core.attention import describe

    return describe()


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
