"""Parquet is read and written as JSONL is: the same documents, the same refusals by row."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farthing.errors import InputError
from farthing.learn import card, documents
from farthing.learn.documents import LONGEST, Document, Message
from farthing.learn.filtering import Filtering

MANY = [
    Document(text="a text 的\n", id="1", language="zh"),
    Document(messages=(Message("user", "1 + 1?"), Message("assistant", "2")), answer="2"),
    *(Document(text=f"text {i}") for i in range(2500)),
]


def nothing(folder, shards):
    pass


def test_what_is_written_as_parquet_is_read_again(tmp_path):
    made = documents.write(tmp_path / "set", MANY, nothing, size=1 << 15, as_parquet=True)
    assert list(documents.read(tmp_path / "set")) == MANY
    assert len(made) > 1 and sum(one.documents for one in made) == len(MANY)
    assert [path.name for path in documents.files(tmp_path / "set")] == [one.name for one in made]
    assert not list((tmp_path / "set").glob("*.jsonl"))


def test_another_programs_parquet_is_read(tmp_path):
    table = pa.table({"text": ["one", "two", None], "messages": [None, None, [dict_of("hi")]]})
    pq.write_table(table, tmp_path / "data.parquet")
    found = list(documents.read(tmp_path / "data.parquet"))
    assert found == [*map(text, ("one", "two")), Document(messages=(Message("user", "hi"),))]


def dict_of(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def text(written: str) -> Document:
    return Document(text=written)


BAD = {
    "an unknown column": ({"text": ["a", "b"], "txet": [None, "x"]}, "line 2: .*`txet`"),
    "a number": ({"text": [1, 2]}, "line 1: .*got `int`"),
    "nothing": ({"text": ["a", None]}, "line 2: either"),
    "a giant": ({"text": ["a", "b" * (LONGEST + 1)]}, "line 2: over"),
    "bytes": ({"text": ["a"], "id": [b"\xff"]}, None),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named(tmp_path, case):
    columns, says = BAD[case]
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    if says is None:  # bytes become base64 in JSON: a string, which is what was asked for
        assert [one.id for one in documents.read(tmp_path)] == ["/w=="]
        return
    with pytest.raises(InputError, match=says):
        list(documents.read(tmp_path))


def test_damage_is_named(tmp_path):
    documents.write(tmp_path / "set", MANY, nothing, as_parquet=True)
    path = tmp_path / "set" / "part-00000.parquet"
    held = path.read_bytes()
    for wrong in (b"", b"PAR1", held[:-7], held[: len(held) // 2] + held[len(held) // 2 + 9 :]):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match="can't be read as Parquet"):
            list(documents.read(tmp_path / "set"))


def test_filters_read_and_write_it_with_a_card(tmp_path):
    documents.write(tmp_path / "set", MANY, nothing, as_parquet=True)
    job = Filtering(sources=[tmp_path / "set"], output=tmp_path / "o", filters=[], as_parquet=True)
    made = job.run()
    assert card.check(tmp_path / "o") == made and made.documents == len(MANY)
    assert made.parents[0].documents == len(MANY)
    assert "part-*.parquet" in (tmp_path / "o" / "README.md").read_text()
    assert list(documents.read(tmp_path / "o")) == MANY
