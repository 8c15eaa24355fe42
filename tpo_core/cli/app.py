"""The typer application, built for the command that was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from tpo_core.cli import COMMANDS, command_of


def build_app(words: Sequence[str]) -> typer.Typer:
    """Return an application that lists every command and can run one.

    Args:
        words: The command line; only the file of the command it names is imported.
    """
    app = typer.Typer(
        help="Task Preference Optimization: boxes, moments and masks from a multimodal LLM.",
        epilog="Example: tpo quickstart",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_options)
    wanted = command_of(words) or command_of(_words_to_complete())
    for name, command in COMMANDS.items():
        if name == wanted:
            app.command(name)(import_module(command.module or f"tpo_core.cli.{name}").run)
        else:
            app.command(name, help=command.summary)(_other_command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        import tpo_core

        typer.echo(f"tpo {tpo_core.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    """Declare the options of `tpo` itself; `main` has acted on them by now."""


def _other_command() -> None:
    raise AssertionError("only the command that the words name is run")


def _words_to_complete() -> list[str]:
    """Return the words after `tpo` that a shell wants completed; they come by the environment."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
    return line.split()[1:]
