"""The folder of a quantization: sections are there whole or not at all, and are one's own."""

from contextlib import closing
from pathlib import Path

import pytest

from farthing.errors import FormatError, InputError
from farthing.quantize.work import Work, Writer


def finished(folder: Path, count: int = 1) -> None:
    with closing(Work(folder, "key")) as work:
        for number in range(count):
            with work.write(number) as writer:
                stream(writer)


def stream(writer: Writer) -> None:
    writer.stream.write_bytes(b"rows")
    (writer.scratch / "0").write_bytes(b"more")


def test_what_is_unfinished_goes(tmp_path: Path) -> None:
    finished(tmp_path)
    with closing(Work(tmp_path, "key")) as work:
        with pytest.raises(KeyboardInterrupt), work.write(1) as writer:
            stream(writer)
            raise KeyboardInterrupt
        assert sorted(p.name for p in tmp_path.iterdir()) == ["key", "section-0000"]
        assert work.done == 1 and work.stream(0).read_bytes() == b"rows"
    (tmp_path / "partial" / "scratch").mkdir(parents=True)  # as a power cut leaves it
    finished(tmp_path, 0)
    assert not (tmp_path / "partial").exists()


def test_only_the_last_stream_stays(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    assert [p.parent.name for p in tmp_path.glob("*/stream")] == ["section-0002"]
    assert not list(tmp_path.glob("*/scratch"))


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="another process works")
    with closing(Work(tmp_path, "key")), refused:
        Work(tmp_path, "key")
    Work(tmp_path, "key").close()


def test_sections_belong_to_their_key(tmp_path: Path) -> None:
    Work(tmp_path, "nothing came of this one").close()
    finished(tmp_path)
    for other in ("other", "ke", "key2", ""):
        with pytest.raises(InputError, match="another quantization"):
            Work(tmp_path, other)
    finished(tmp_path, 0)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    finished(tmp_path)
    for damage in (b"", b"\x00", b"\x82"):
        (tmp_path / "section-0000" / "index").write_bytes(damage)
        refused = pytest.raises(FormatError, match="section-0000/index")
        with closing(Work(tmp_path, "key")) as work, refused:
            work.index(0)
