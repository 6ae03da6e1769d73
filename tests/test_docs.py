"""The documents do not lie: commands, files, functions and links that they name exist."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from farthing import cli, models

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`((?:src|tests|native|docs)/[\w./-]*)`")
STEP = re.compile(r"`([\w/]+\.(?:py|cpp|h|inl|html)):([\w.]+)`")
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]


def text(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.M | re.S)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every line of every shell block, in words, without comments."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield page, words


FARTHING = [(page, words) for page, words in commands() if words[0] in ("farthing", "./farthing")]
MAKE = [(page, words) for page, words in commands() if words[0] == "make"]


def named(source: str) -> set[str]:
    """Dotted names of all functions, methods and classes in Python text."""
    found: set[str] = set()

    def visit(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(above + child.name)
                visit(child, f"{above}{child.name}.")
            else:
                visit(child, above)

    visit(ast.parse(source), "")
    return found


def is_defined(name: str, path: Path) -> bool:
    source = path.read_text()
    if path.suffix == ".py":
        return name in named(source)
    return re.search(rf"\b{re.escape(name)}\s*\(", source) is not None


def test_documents_show_commands():
    assert FARTHING and MAKE


@pytest.mark.parametrize(("page", "words"), FARTHING, ids=lambda part: str(part)[:60])
def test_a_farthing_command_parses(page, words):
    """Bound to the verb's own types, without running it: a wrong flag or value raises."""
    app = cli.make_app(words[1])
    if words[1:] not in (["--help"], ["--version"]):
        import_module(f"farthing.cli.{words[1]}")
        app.parse_args(words[1:], print_error=False, exit_on_error=False)


@pytest.mark.parametrize(("page", "words"), MAKE, ids=lambda part: str(part)[:60])
def test_a_make_target_is_there(page, words):
    targets = [word for word in words[1:] if "=" not in word]
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", text("Makefile"), re.M), target


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_compile(page):
    for block in blocks(page, "python"):
        compile(block, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)", text(page)) if "://" not in link]
    found = [(ROOT / page).parent / link for link in links]
    found += [ROOT / name for name in NAMED.findall(text(page))]
    missing = [path for path in found if not path.exists()]
    assert not missing


def steps() -> list[tuple[str, str]]:
    return STEP.findall(text("docs/life-of-a-token.md"))


@pytest.mark.parametrize(("file", "name"), steps())
def test_a_token_passes_what_its_life_says(file, name):
    places = [ROOT / "src/farthing" / file, ROOT / file]
    path = next((path for path in places if path.is_file()), None)
    assert path, f"no {file}"
    assert is_defined(name, path), f"{file} has no {name}"


def test_every_family_is_in_the_table_of_models_and_no_other():
    told = re.findall(r"^\| [^|]+ \| `(\w+)` \|", text("docs/models.md"), re.M)
    assert sorted(told) == sorted(models.TABLE)


def test_a_life_is_numbered_without_gaps():
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", text("docs/life-of-a-token.md"), re.M)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 8


def test_a_name_that_is_not_there_is_seen(tmp_path):
    (tmp_path / "a.py").write_text("class Engine:\n    def step(self): ...\n")
    assert is_defined("Engine.step", tmp_path / "a.py")
    assert not is_defined("Engine.stop", tmp_path / "a.py")


@pytest.mark.parametrize("script", [".ci/run", "farthing"])
def test_a_script_is_valid_shell(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)
