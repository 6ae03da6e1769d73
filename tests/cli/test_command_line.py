"""How a command ends: exit codes, what goes to stderr, and what the door knows of the verbs."""

import subprocess
import sys
from importlib import import_module

import pytest

from farthing import __version__, cli
from farthing.errors import Busy, FormatError, InputError


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(asked: str | None) -> object:
        def app(words: list[str]) -> None:
            raise error

        return app

    monkeypatch.setattr(cli, "make_app", broken)


def test_help_names_every_verb_and_imports_none(capsys):
    before = set(sys.modules)
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in cli.VERBS)
    assert not [name for name in set(sys.modules) - before if name.startswith("farthing.cli.")]


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_an_unknown_verb_meets_its_neighbours(capsys):
    assert cli.main(["srve"]) == 2
    assert "no verb 'srve'; did you mean serve?" in capsys.readouterr().err


def test_a_verb_like_no_other_meets_them_all(capsys):
    assert cli.main(["qqq"]) == 2
    assert ", ".join(cli.VERBS) in capsys.readouterr().err


@pytest.mark.parametrize("error", [InputError("a"), FormatError("b"), Busy("c")])
def test_an_error_is_one_line_and_its_own_exit_code(error, monkeypatch, capsys):
    fail_with(monkeypatch, error)
    assert cli.main(["doctor"]) == error.exit_code
    assert capsys.readouterr().err == f"farthing: {error}\n"


def test_an_interrupt_ends_without_a_traceback(monkeypatch, capsys):
    fail_with(monkeypatch, KeyboardInterrupt())
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "prepare", ["", "cli.make_app = lambda asked: lambda w: print('x' * 99999)"]
)
def test_a_reader_that_leaves_meets_no_traceback(prepare):
    source = f"from farthing import cli\n{prepare}\nraise SystemExit(cli.main(['--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout and program.stderr
        program.stdout.close()
        assert program.stderr.read() == ""
    assert program.returncode == 1


def test_a_bug_is_not_dressed_up_as_a_message(monkeypatch):
    fail_with(monkeypatch, AssertionError("broken"))
    with pytest.raises(AssertionError, match="broken"):
        cli.main(["doctor"])


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb, capsys):
    module = import_module(f"farthing.cli.{verb}")
    assert cli.main([verb, "--help"]) == 0
    found = getattr(module, verb)
    told = getattr(found, "help", None) or found.__doc__  # a table of verbs, or one
    first = (told or "").strip().split("\n")[0].rstrip(".")
    shown = " ".join(capsys.readouterr().out.split())
    assert first[:40] in shown


@pytest.mark.parametrize("verb", cli.VERBS)
def test_an_unknown_flag_is_named(verb, capsys):
    assert cli.main([verb, "--no-such-flag"]) == 2
    assert "--no-such-flag" in capsys.readouterr().err
