"""A trace holds every token of every prompt once, and a file of it is read with care."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from farthing.errors import FormatError, InputError, NotFound
from farthing.evaluate import routing_file
from farthing.evaluate.routing_record import record
from hand_router import HandRouter

LAYERS = (1, 2, 3)


def recorded(prompts, tokens: int = 100):
    return record(HandRouter(), prompts, experts=8, layers=LAYERS, tokens=tokens)


def test_prompts_lie_end_to_end_whatever_the_chunks():
    whole = recorded([[0, 1, 2, 3, 4, 5, 6], [7, 0]])
    assert whole.ids[0].tolist() == [*([i, i + 1] for i in range(7)), [0, 7], [0, 1]]
    assert (whole.tokens, whole.top_k, whole.layers) == (9, 2, LAYERS)


def test_a_trace_ends_where_it_was_told_to():
    heard: list[int] = []
    runner = HandRouter()
    whole = record(runner, [[0, 1, 2]] * 9, experts=8, layers=LAYERS, tokens=7, told=heard.append)
    assert (whole.tokens, heard[-1], len(runner.steps)) == (7, 7, 3)


def test_every_prompt_starts_anew_on_pages_that_are_its_own():
    runner = HandRouter()
    record(runner, [list(range(70)), [1, 2]], experts=8, layers=LAYERS, tokens=100)
    starts = [step for step in runner.steps if step.positions[0] == 0]
    assert [step.fresh.tolist() for step in starts] == [[0], [0]]
    assert [page for step in runner.steps for page in step.fresh.tolist()] == [0, 1, 0]
    assert runner.steps[13].tables.tolist() == [[0, 1]]


def test_a_saved_trace_comes_back(tmp_path):
    whole = recorded([[0, 1, 2, 3]])
    routing_file.save(tmp_path / "a.npz", whole)
    back = routing_file.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.ids, whole.ids)
    assert (back.experts, back.layers) == (8, LAYERS)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a.npz can't be written"):
        routing_file.save(tmp_path / "none" / "a.npz", recorded([[0, 1]]))


@pytest.fixture
def damaged(tmp_path):
    """A saved trace with these fields changed, or left out where None."""

    def save(**changed):
        good = {"layout": 1, "experts": 8, "layers": [0], "ids": [[[0, 1], [2, 3]]]}
        fields = {k: np.array(v) for k, v in (good | changed).items() if v is not None}
        np.savez(tmp_path / "bad.npz", **fields)
        return tmp_path / "bad.npz"

    return save


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ids": None}, "no ids"),
        ({"layout": 2}, "layout 2"),
        ({"layout": [1, 1]}, "single numbers"),
        ({"experts": 0}, "0 experts"),
        ({"experts": 1 << 40}, "experts; expected"),
        ({"experts": 3}, "from 0 to 2"),
        ({"ids": [[[1, 1]]]}, "must ascend"),
        ({"ids": [[[-1, 1]]]}, "must ascend"),
        ({"ids": [[0, 1]]}, r"expected \[L, T, k\]"),
        ({"ids": [[[0.5, 1.0]]]}, "ids is float64"),
        ({"layers": [0, 1]}, r"expected \[L, T, k\]"),
    ],
)
def test_a_damaged_trace_is_refused_by_field(damaged, changed, says):
    path = damaged(**changed)
    with pytest.raises(FormatError, match=says):
        routing_file.load(path)


def test_nothing_is_unpickled(tmp_path):
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([{}], object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for name in routing_file.FIELDS:
            file.writestr(f"{name}.npy", array.getvalue())
    with pytest.raises(FormatError, match="not a trace"):
        routing_file.load(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps([1]))
    with pytest.raises(FormatError, match="not a trace"):
        routing_file.load(tmp_path / "b.npz")


def test_a_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(routing_file, "LARGEST", 1000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ids.npy", bytes(2000))
    with pytest.raises(FormatError, match="unpacks to 2000 bytes"):
        routing_file.load(tmp_path / "a.npz")


def test_an_array_larger_than_memory_is_refused(tmp_path):
    head = io.BytesIO()
    shape = {"descr": "<i2", "fortran_order": False, "shape": (1 << 50,)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for name in routing_file.FIELDS:
            file.writestr(f"{name}.npy", head.getvalue())
    with pytest.raises(FormatError, match="not a trace"):
        routing_file.load(tmp_path / "a.npz")


def test_an_absent_trace_says_what_makes_one(tmp_path):
    with pytest.raises(NotFound, match="farthing experts"):
        routing_file.load(tmp_path / "none.npz")
