"""What the package promises to a program that imports it."""

import subprocess
import sys

import farthing


def test_every_promised_name_is_there_and_they_are_sorted():
    assert farthing.__all__ == sorted(farthing.__all__, key=str.lower)
    for name in farthing.__all__:
        assert getattr(farthing, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(farthing, "Enigne")


def test_neither_the_package_nor_the_command_line_imports_numpy():
    program = "import sys, farthing.cli; print('numpy' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert out.stdout == "False\n"
