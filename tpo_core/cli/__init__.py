"""The `tpo` command line.

To add a command: one line in `COMMANDS`, and `tpo_core/cli/<command>.py` with a function `run`
whose parameters are typer's and whose docstring is the help, an example included. Only the file
of the command that was asked for is imported, so that `tpo --help` and `tpo plugins` stay fast.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tpo_core.errors import TpoError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""


class Command(NamedTuple):
    """A row of the command table.

    Args:
        summary: One line for `tpo --help`.
        resume: What to say after Ctrl-C about going on.
        module: The module whose `run` it is; `tpo_core.cli.<command>` if empty. A command of
            another layer is named, never imported, here.
    """

    summary: str
    resume: str = ""
    module: str = ""


COMMANDS: Mapping[str, Command] = {
    "quickstart": Command(
        "Run the main job on the embedded tiny world: train, evaluate, report.",
        resume="go on with: tpo quickstart --resume",
        module="tpo_plugins.quickstart.command",
    ),
    "train": Command(
        "Train as a recipe declares, in stages.", resume="add --resume to the same command to go on"
    ),
    "eval": Command(
        "Evaluate a model on a benchmark, or score a file of predictions.",
        resume="with --out, add --resume to the same command to go on",
    ),
    "report": Command(
        "Write one page about results: tables beside published figures, curves, samples.",
        module="tpo_plugins.evaluation_report.command",
    ),
    "predict": Command("Ask a model about a picture or a video."),
    "convert": Command(
        "Convert a released checkpoint to a model of ours, or back.",
        resume="give the same command again to go on",
        module="tpo_plugins.convert.command",
    ),
    "features": Command(
        "Compute features of videos once, for heads that read them from files.",
        resume="the same command goes on where it was",
        module="tpo_plugins.features.command",
    ),
    "datasets": Command("List the datasets that can be read, and the files each needs."),
    "convert-data": Command(
        "Write any dataset as records, leaving out and listing what is unusable.",
        module="tpo_core.cli.convert_data",
    ),
    "inspect": Command("Count what a dataset holds, list what is unusable, draw samples."),
    "bench": Command("Time a model's answers on this machine."),
    "plugins": Command("List plugins: hooks, what they provide, and why one failed."),
    "doctor": Command("Show versions, devices, the attention kernel, and failed plugins."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Errors become one sentence on stderr; `--debug` adds the traceback.

    Args:
        argv: Words after `tpo`; those of the process if omitted.

    Returns:
        0 for success, 1 for failure, 2 for bad usage, 130 after Ctrl-C.
    """
    words, debug = _without_debug(sys.argv[1:] if argv is None else argv)
    try:
        from tpo_core.cli.app import build_app

        build_app(words)(args=words, prog_name="tpo")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            _say_interrupted(words)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        _say_interrupted(words)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        message = " ".join(str(error).split())
        if not isinstance(error, TpoError):
            hint = "" if debug else " (run with --debug to see where)"
            message = f"unexpected {type(error).__name__}: {message}{hint}"
        print(f"tpo: {message}", file=sys.stderr)
        return 1
    return 0


def command_of(words: Sequence[str]) -> str:
    """Return the command among the words of a command line; empty if there is none."""
    return next((word for word in words if not word.startswith("-")), "")


def _without_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--debug` out, wherever it stands before a `--`."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if word != "--debug"]
    return options + words[end:], len(options) < end


def _say_interrupted(words: Sequence[str]) -> None:
    command = COMMANDS.get(command_of(words))
    resume = command.resume if command else ""
    print(f"tpo: interrupted{f'; {resume}' if resume else ''}", file=sys.stderr)
