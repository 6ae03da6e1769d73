"""What the package promises to a program that imports it."""

import ast
import subprocess
import sys
from pathlib import Path

import farthing
from farthing import _native


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


def test_the_native_stub_names_what_the_module_has():
    stub = ast.parse(Path(farthing.__file__).with_name("_native.pyi").read_text())
    told = {n.name for n in stub.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert told | {"NUMERICS"} == public(_native)
    (program,) = (n for n in stub.body if isinstance(n, ast.ClassDef))
    methods = {n.name for n in program.body if isinstance(n, ast.FunctionDef)}
    assert methods - {"__init__"} == public(_native.Program)


def public(of: object) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}
