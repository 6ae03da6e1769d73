"""The verbs of training: each there, each explained, none of them costing torch to look at."""

import os
import subprocess
import sys

import pytest

from farthing import cli
from farthing.cli import learn


@pytest.mark.parametrize("words", learn.VERBS)
def test_every_verb_of_training_explains_itself(words, capsys):
    assert cli.main(["learn", *words.split(), "--help"]) == 0
    assert f"farthing learn {words}" in capsys.readouterr().out


@pytest.mark.parametrize("words", learn.VERBS)
def test_a_verb_of_training_without_what_it_needs_says_so(words, capsys):
    assert cli.main(["learn", *words.split(), "--no-such-flag"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("farthing: ") and "--" in told


def test_the_table_shows_what_each_verb_does(capsys):
    assert cli.main(["learn", "--help"]) == 0
    assert "Train a model from random weights" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_verb_of_training_is_named(capsys):
    assert cli.main(["learn", "pretain"]) == 2
    assert "pretain" in capsys.readouterr().err


def test_looking_at_the_verbs_imports_no_torch():
    code = (
        "import sys; from farthing import cli; cli.main(['learn', '--help']);"
        " sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_torchs_threads_sleep_while_they_wait():
    """Set before torch is there, which reads it once; what the user set stays."""
    code = "import os, sys; from farthing.cli import learn; assert 'torch' not in sys.modules"
    ask = f"{code}; print(os.environ.get('GOMP_SPINCOUNT'))"
    for given, expected in (({}, learn.SPINS), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")):
        environ = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | given
        done = subprocess.run([sys.executable, "-c", ask], env=environ, capture_output=True)
        assert done.stdout.decode().strip() == expected
