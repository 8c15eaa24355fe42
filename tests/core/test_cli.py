"""The command line: exit codes, one-sentence errors, help with an example for every command."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

import tpo_core
from tpo_core import cli
from tpo_core.errors import InputError


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes `tpo plugins` raise an error."""

    def install(error):
        def run() -> None:
            raise error

        monkeypatch.setattr(import_module("tpo_core.cli.plugins"), "run", run)

    return install


def test_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tpo {tpo_core.__version__}\n"


def test_help_lists_every_command_with_its_summary(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert name in text
        assert command.summary.split()[0] in text


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_a_command_shows_an_example(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert f"tpo {command}" in capsys.readouterr().out.partition("Example")[2]


@pytest.mark.parametrize("words", [[], ["plugin"], ["plugins", "--nope"], ["--nope"]])
def test_bad_usage_exits_with_2(words, capsys):
    assert cli.main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_command_gets_a_suggestion(capsys):
    cli.main(["plugin"])
    assert "Did you mean 'plugins'?" in capsys.readouterr().err


def test_an_error_of_ours_is_one_sentence_and_exit_1(failing, capsys):
    failing(InputError("got 3,\nexpected 4; count again"))
    assert cli.main(["plugins"]) == 1
    assert capsys.readouterr().err == "tpo: got 3, expected 4; count again\n"


def test_an_unexpected_error_names_its_type_and_says_how_to_see_more(failing, capsys):
    failing(PermissionError(13, "Permission denied", "/model"))
    assert cli.main(["plugins"]) == 1
    assert capsys.readouterr().err == (
        "tpo: unexpected PermissionError: [Errno 13] Permission denied: '/model' "
        "(run with --debug to see where)\n"
    )


@pytest.mark.parametrize("words", [["--debug", "plugins"], ["plugins", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(failing, capsys, words):
    failing(InputError("got 3"))
    assert cli.main(words) == 1
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.endswith("tpo: got 3\n")


def test_debug_after_a_double_dash_is_an_argument(capsys):
    assert cli.main(["plugins", "--", "--debug"]) == 2
    assert "--debug" in capsys.readouterr().err


def test_an_interrupt_exits_with_130_and_says_how_to_go_on(failing, capsys, monkeypatch):
    command = cli.Command("List.", resume="add --resume to go on")
    monkeypatch.setattr(cli, "COMMANDS", {"plugins": command})
    failing(KeyboardInterrupt())
    assert cli.main(["plugins"]) == 130
    assert capsys.readouterr().err == "tpo: interrupted; add --resume to go on\n"


def test_a_command_that_cannot_be_imported_is_an_error_without_traceback(monkeypatch, capsys):
    monkeypatch.setattr(cli, "COMMANDS", {"nowhere": cli.Command("Nothing.")})
    monkeypatch.setattr("tpo_core.cli.app.COMMANDS", cli.COMMANDS)
    assert cli.main(["nowhere"]) == 1
    assert "unexpected ModuleNotFoundError" in capsys.readouterr().err


def test_plugins_as_json(capsys):
    assert cli.main(["plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["builtin"]["status"] == "ok"
    assert "head region" in rows["builtin"]["provides"]


def test_doctor_as_json_tells_versions_devices_and_attention(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["versions"]["tpo"] == tpo_core.__version__
    assert int(report["devices"]["threads"]) >= 1
    assert {"case", "kernel", "reason"} == set(report["attention"][0])
    assert report["failed_plugins"] == []


def test_doctor_prints_tables(capsys):
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "transformers" in text
    assert "sdpa" in text or "flash" in text
