"""Reports as HTML and Markdown: whole, self-contained, and safe whatever the text holds."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from farthing.cli import pages
from farthing.cli.pages import Code, Heading, Picture, Table, Text
from farthing.errors import InputError

EVIL = "</td><script>alert(1)</script> a|b `c` [x](javascript:1) <img src=x> # *é* &amp; 1_2"
PNG = b"\x89PNG not really"
PARTS = [
    Text(EVIL),
    Heading(EVIL),
    Table(["a", EVIL], [["1", EVIL], ["2", "x"]], frozenset({0})),
    Code("farthing eval 'a b'\nagain"),
    Picture(PNG, EVIL),
]


def test_html_holds_everything_and_runs_nothing(tmp_path: Path) -> None:
    pages.write(tmp_path / "r.html", EVIL, PARTS)
    made = (tmp_path / "r.html").read_text()
    assert "<script" not in made and "<img src" not in made
    assert "&lt;script&gt;" in made and "data:image/png;base64," in made
    assert "http" not in made
    assert list(tmp_path.iterdir()) == [tmp_path / "r.html"]


def test_markdown_shows_text_as_it_is(tmp_path: Path) -> None:
    pages.write(tmp_path / "r.md", EVIL, PARTS)
    shown = MarkdownIt("commonmark").enable("table").render((tmp_path / "r.md").read_text())
    assert "<script" not in shown and "<img src=x" not in shown and "javascript:1)" in shown
    assert "href" not in shown and "<em>" not in shown
    assert shown.count("<tr>") == 3 and shown.count("<td") == 4
    assert "<pre><code>farthing eval 'a b'\nagain" in shown
    assert '<img src="r.png"' in shown and (tmp_path / "r.png").read_bytes() == PNG


@pytest.mark.parametrize("name", ["r.pdf", "r"])
def test_what_a_report_is_called(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="called"):
        pages.check(tmp_path / name)


def test_a_folder_that_is_not_there_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        pages.check(tmp_path / "nowhere" / "r.html")


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.html").mkdir()
    with pytest.raises(InputError, match=r"r\.html can't be written: Is a directory"):
        pages.write(tmp_path / "r.html", "x", PARTS)
