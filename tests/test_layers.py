"""Who may import whom: a module only from layers below its own, and each door has its owners."""

import ast
from collections.abc import Iterator
from pathlib import Path

import farthing.errors

LAYERS = [
    {"__version__", "errors", "machine", "usage"},
    {"weight", "_native"},
    {"config", "formats", "tokenizer", "ops", "meter"},
    {"models", "store"},
    {"engine"},
    {"quantize", "evaluate", "learn", "convert", "plan", "bench", "cluster"},
    {"server"},
    {"cli"},
]
DOORS = {
    "_native": {"ops", "engine"},
    "torch": {"learn"},
    "sqlalchemy": {"meter"},
    "fastapi": {"server"},
    "cyclopts": {"cli"},
}
ROOT = Path(farthing.errors.__file__).parent
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(room: str, source: str) -> Iterator[str]:
    for name in imports(source):
        first, *rest = name.split(".")
        there = rest[0] if first == "farthing" and rest else first
        if there in DOORS and room not in DOORS[there]:
            yield f"imports {there}, whose doors are {sorted(DOORS[there])}"
        if first == "farthing" and there != room and LEVEL.get(there, 99) >= LEVEL.get(room, 99):
            yield f"({room}) imports {there}, which is not below it"


def test_imports_point_down():
    wrong = [
        f"{path.relative_to(ROOT)} {fault}"
        for path in sorted(ROOT.rglob("*.py"))
        for fault in faults(path.relative_to(ROOT).parts[0].removesuffix(".py"), path.read_text())
    ]
    assert not wrong, "\n".join(wrong)


def test_an_import_that_points_up_is_seen():
    assert list(faults("engine", "from farthing.server import app"))
    assert list(faults("engine", "import sqlalchemy"))
    assert not list(faults("server", "from farthing.engine import types"))
