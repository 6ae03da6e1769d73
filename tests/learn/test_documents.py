"""Documents: what is refused, where it stands, and that a data set is whole or not there."""

import subprocess
import sys

import pytest

from farthing.errors import InputError, NotFound
from farthing.learn import documents
from farthing.learn.documents import LONGEST, Document, Message, Shard

GOOD = b'{"text": "a good line"}\n'
CHAT = Document(
    id="7",
    kind="sum",
    messages=(Message("user", "1 + 1?"), Message("assistant", "2")),
    answer="2",
)

BAD = {
    "empty": (b"\n", "empty"),
    "of spaces": (b"   \n", "empty"),
    "without text": (b'{"text": " "}\n', "without text"),
    "of neither": (b'{"id": "x"}\n', 'either "text" or "messages"'),
    "of both": (b'{"text": "a", "messages": []}\n', 'either "text" or "messages"'),
    "cut short": (b'{"text": "a\n', "truncated"),
    "not UTF-8": (b'{"text": "\xff"}\n', "byte 0xff"),
    "half a surrogate": (b'{"text": "\\ud800"}\n', "truncated"),
    "no object": (b"[" * 100_000 + b"\n", "Expected `object`"),
    "of an unknown field": (b'{"text": "a", "txet": "b"}\n', "`txet`; known are text"),
    "of a number": (b'{"text": 1}\n', "got `int`"),
    "of an unknown role": (b'{"messages": [{"role": "tool", "content": "a"}]}\n', "'tool'"),
    "giant": (b'{"text": "' + b"a" * LONGEST + b'"}\n', f"over {LONGEST} bytes"),
}


def nothing(folder, shards):
    pass


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, case):
    line, says = BAD[case]
    (tmp_path / "part-00000.jsonl").write_bytes(GOOD)
    (tmp_path / "part-00001.jsonl").write_bytes(GOOD + line + GOOD)
    with pytest.raises(InputError, match=r"part-00001.jsonl, line 2: ") as caught:
        list(documents.read(tmp_path))
    assert says in str(caught.value)


def test_a_giant_line_is_never_held(tmp_path):
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(InputError, match="line 1: over"):
        list(documents.read(tmp_path / "a.jsonl"))


def test_what_is_written_is_read_again_in_order_over_shards(tmp_path):
    many = [CHAT, *(Document(text=f"text {i} \u2028 的\n") for i in range(50))]
    shards = documents.write(tmp_path / "set", iter(many), nothing, size=400)
    assert list(documents.read(tmp_path / "set")) == many
    assert len(shards) > 3 and sum(one.documents for one in shards) == 51
    assert shards == [documents.shard_of(file) for file in documents.files(tmp_path / "set")]
    assert all(one.bytes <= 400 for one in shards)


def test_a_last_line_needs_no_end(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD + GOOD[:-1])
    assert len(list(documents.read(tmp_path))) == 2


def test_body_is_all_and_written_is_the_answer():
    assert CHAT.body == "1 + 1?\n2" and CHAT.written == "2"
    assert Document(text="x").body == Document(text="x").written == "x"


def test_a_failure_midway_leaves_nothing(tmp_path):
    def broken():
        yield CHAT
        raise InputError("the source is broken")

    with pytest.raises(InputError, match="the source is broken"):
        documents.write(tmp_path / "set", broken(), nothing)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_and_no_documents_are_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(InputError, match="exists"):
        documents.write(tmp_path / "set", [CHAT], nothing)
    with pytest.raises(InputError, match="no document"):
        documents.write(tmp_path / "other", [], nothing)
    with pytest.raises(NotFound, match="holds no"):
        documents.files(tmp_path / "set")
    with pytest.raises(NotFound, match="neither a file nor a folder"):
        documents.files(tmp_path / "none")


def test_finish_sees_the_files_before_the_folder_is_there(tmp_path):
    seen = []

    def finish(folder, shards):
        assert not (tmp_path / "set").exists()
        assert (folder / shards[0].name).stat().st_size == shards[0].bytes
        (folder / "card.json").write_text("{}")
        seen.append(shards)

    documents.write(tmp_path / "set", [CHAT], finish)
    assert seen and isinstance(seen[0][0], Shard)
    assert (tmp_path / "set" / "card.json").exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from farthing.learn import documents
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
many = (documents.Document(text="x" * 100) for _ in range(1000))
documents.write(Path(sys.argv[1]), many, lambda folder, shards: None)
"""


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "set"], capture_output=True, text=True
    )
    assert "DiskFull" in ran.stderr and "File too large" in ran.stderr
    assert not list(tmp_path.iterdir())
