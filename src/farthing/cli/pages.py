"""A report of a few parts, as Markdown or as one HTML file that needs nothing beside it."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from farthing.errors import InputError

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2833; background: #fff;
  max-width: 74rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .6rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p { margin: .5rem 0; max-width: 48rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #909497; white-space: nowrap; }
td { border-bottom: 1px solid #e5e8e8; overflow-wrap: break-word; }
td:first-child:not(.number) { min-width: 9rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
pre { background: #f4f6f7; padding: .7rem 1rem; overflow-x: auto; border-radius: 4px; }
img { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True, slots=True)
class Text:
    words: str


@dataclass(frozen=True, slots=True)
class Heading:
    words: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """`numbers` are the columns that stand to the right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    png: bytes
    says: str


Part = Text | Heading | Code | Table | Picture


def write(path: Path, title: str, parts: Sequence[Part]) -> None:
    """By the name's end, .html or .md; a picture of Markdown lies beside it, as .png."""
    pictures = [part for part in parts if isinstance(part, Picture)]
    if path.suffix == ".html":
        files = {path: html(title, parts).encode()}
    else:
        assert path.suffix == ".md" and len(pictures) < 2, "checked before the work"
        beside = path.with_suffix(".png")
        files = {path: markdown(title, parts, beside.name).encode()}
        files.update((beside, picture.png) for picture in pictures)
    try:
        for file, content in files.items():
            file.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error


def check(path: Path) -> None:
    """Before any work: InputError if a report could not be written there."""
    if path.suffix not in (".html", ".md"):
        raise InputError(f"{path}: a report is called *.html or *.md")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.absolute().parent}; make it first")


def html(title: str, parts: Sequence[Part]) -> str:
    body = "\n".join(_html(part) for part in parts)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )


def markdown(title: str, parts: Sequence[Part], picture: str) -> str:
    return "\n\n".join([f"# {plain(title)}", *(_markdown(part, picture) for part in parts)]) + "\n"


def _html(part: Part) -> str:
    match part:
        case Text(words):
            return f"<p>{escape(words)}</p>"
        case Heading(words):
            return f"<h2>{escape(words)}</h2>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Picture(png, says):
            return (
                f'<img alt="{escape(says)}" src="data:image/png;base64,{b64encode(png).decode()}">'
            )
        case Table(headings, rows, numbers):
            kinds = [' class="number"' if i in numbers else "" for i in range(len(headings))]
            head = _cells("th", kinds, headings)
            lines = "\n".join(f"<tr>{_cells('td', kinds, row)}</tr>" for row in rows)
            return f'<div class="wide"><table>\n<tr>{head}</tr>\n{lines}\n</table></div>'


def _cells(tag: str, kinds: Sequence[str], row: Sequence[str]) -> str:
    return "".join(
        f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True)
    )


def _markdown(part: Part, picture: str) -> str:
    match part:
        case Text(words):
            return plain(words)
        case Heading(words):
            return f"## {plain(words)}"
        case Code(text):
            return "\n".join(f"    {line}" for line in text.splitlines())
        case Picture(_, says):
            return f"![{plain(says)}]({picture.replace(' ', '%20')})"
        case Table(headings, rows, numbers):
            under = ["---:" if i in numbers else "---" for i in range(len(headings))]
            lines = [[plain(cell) for cell in row] for row in (headings, *rows)]
            lines.insert(1, under)
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: what it would read as marks is escaped."""
    return "".join("\\" + letter if letter in "\\`*_{}[]<>#|~$&!" else letter for letter in text)
