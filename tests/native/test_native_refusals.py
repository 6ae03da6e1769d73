"""What Python hands the native side is checked there: a bad argument is an error, never a crash."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_native import ARRAYS, model, valid
from one_op import OneOp, aligned
from toy_native import FORMS, matrix

from farthing import _native, weight


@pytest.fixture(scope="module")
def program() -> Any:
    return model()


def changed(name: str, change: Any) -> dict[str, Any]:
    arguments = valid()
    arguments[name] = change(arguments[name]) if callable(change) else change
    return arguments


def with_entry(at: Any, value: Any) -> Any:
    def change(array: Any) -> Any:
        array[at] = value
        return array

    return change


BAD: list[tuple[str, Any]] = [
    ("tokens", with_entry(0, -1)),
    ("tokens", with_entry(0, 40)),
    ("tokens", with_entry(0, 2**31 - 1)),
    ("tokens", lambda a: a[:0]),
    ("tokens", lambda a: a[:-1]),
    ("tokens", lambda a: np.tile(a, 20)),
    ("starts", with_entry(0, 1)),
    ("starts", with_entry(1, 0)),
    ("starts", with_entry(1, -1)),
    ("starts", with_entry(1, 9)),
    ("starts", with_entry(-1, 4)),
    ("starts", with_entry(-1, -5)),
    ("starts", lambda a: a[:-1]),
    ("starts", lambda a: a[:0]),
    ("positions", with_entry(0, -1)),
    ("positions", with_entry(1, 254)),
    ("positions", with_entry(1, 2**31 - 1)),
    ("positions", lambda a: a[:1]),
    ("tables", with_entry((0, 0), -1)),
    ("tables", with_entry((1, 1), 10**6)),
    ("tables", lambda a: np.ascontiguousarray(a[:, :1])),
    ("tables", lambda a: np.ascontiguousarray(a[:1])),
    ("tables", lambda a: np.zeros((2, 0), np.int32)),
    ("fresh", with_entry(0, -1)),
    ("fresh", with_entry(0, 10**6)),
    ("rows", with_entry(0, -1)),
    ("rows", with_entry(0, 5)),
    ("rows", lambda a: np.zeros(65, np.int32)),
    ("rows", lambda a: a[:1]),
    ("top_k", lambda a: a[:1]),
    ("temperature", lambda a: a[:1]),
    ("temperature", with_entry(0, -0.5)),
    ("temperature", with_entry(0, np.nan)),
    ("top_p", with_entry(0, np.nan)),
    ("min_p", with_entry(0, np.nan)),
    ("min_p", with_entry(0, 1.5)),
    ("repetition", with_entry(0, 0)),
    ("repetition", with_entry(0, np.nan)),
    ("presence", with_entry(0, np.inf)),
    ("frequency", with_entry(0, np.nan)),
    ("logprobs", with_entry(0, 4)),
    ("first", with_entry(0, -1)),
    ("first", with_entry(1, 3)),
    ("first", with_entry(-1, 9)),
    ("first", lambda a: a[:-1]),
    ("ids", with_entry(0, -1)),
    ("ids", with_entry(0, 40)),
    ("ids", lambda a: a[:-1]),
    ("bias", with_entry(0, np.nan)),
    ("bias", lambda a: a[:-1]),
    ("counts", lambda a: a[:-1]),
    ("seen", lambda a: a[:-1]),
    ("out_ids", lambda a: a[:-1]),
    ("out_logprobs", lambda a: a[:-1]),
    ("top_ids", lambda a: np.ascontiguousarray(a[:, :1])),
    ("top_logprobs", lambda a: np.ascontiguousarray(a[:1])),
]


@pytest.mark.parametrize(("name", "change"), BAD)
def test_a_value_out_of_range_is_refused(program: Any, name: str, change: Any) -> None:
    program.step(*valid().values())
    with pytest.raises(ValueError, match=r"[a-z]"):
        program.step(*changed(name, change).values())


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_another_kind_are_refused(program: Any, name: str) -> None:
    def strided(a: Any) -> Any:
        return np.repeat(a, 2, axis=-1)[..., ::2]

    wrong = [lambda a: a.astype(np.float64), lambda a: a[None], lambda a: "text", lambda a: None]
    if valid()[name].size > 1:
        wrong.append(strided)
    for change in wrong:
        with pytest.raises(TypeError):
            program.step(*changed(name, change).values())


def test_results_must_be_writable(program: Any) -> None:
    def locked(a: Any) -> Any:
        a.flags.writeable = False
        return a

    for name in ("out_ids", "out_logprobs", "top_ids", "top_logprobs"):
        with pytest.raises(TypeError):
            program.step(*changed(name, locked).values())


def test_a_table_bounds_its_tokens(program: Any) -> None:
    """Whatever vocabulary the caller names."""
    with pytest.raises(ValueError, match="vocabulary"):
        program.step(*(valid() | {"limit": 1 << 40, "tokens": np.full(5, 40, np.int32)}).values())


@pytest.mark.parametrize(
    "arguments",
    [
        ("sse2", 1, 8, 64),
        ("portable", 0, 8, 64),
        ("portable", 1 << 20, 8, 64),
        ("portable", 1, 0, 64),
        ("portable", 1, 8, 0),
        ("portable", 1, 1 << 40, 64),
        ("portable", 1, 8, 1 << 40),
    ],
)
def test_a_program_of_no_size_is_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        _native.Program(*arguments)


def test_weights_of_another_size_form_or_place_are_refused() -> None:
    program = OneOp("portable").native
    m = matrix(np.random.default_rng(0), FORMS["int4"], 20, 64)
    data = aligned(weight.pack(m))
    program.weight("4-f16", 32, 0, 20, 64, data)
    for bad in (
        ("4-f16", 32, 1, 20, 64, data),
        ("4-f16", 32, 1 << 62, 20, 64, data),
        ("5-f16", 32, 0, 20, 64, data),
        ("4-f16", 16, 0, 20, 64, data),
        ("4-f16", 48, 0, 20, 64, data),
        ("4-f16", 0, 0, 20, 64, data),
        ("8-two_level", 32, 0, 20, 64, data),
        ("4-f16", 32, 0, 0, 64, data[:0]),
        ("4-f16", 32, 0, 20, 0, data[:0]),
        ("4-f16", 32, 0, 33, 64, data),
        ("4-f16", 32, 0, 20, 96, data),
        ("4-f16", 32, 0, 1 << 62, 64, data),
        ("4-f16", 32, 0, 20, 1 << 60, data),
        ("4-f16", 32, 0, 20, 64, data[1:]),
        ("4-f16", 32, 0, 20, 64, np.concatenate([data, data])[1 : 1 + data.size]),
    ):
        with pytest.raises(ValueError, match=r"[a-z]"):
            program.weight(*bad)


def test_ops_that_do_not_fit_are_refused() -> None:
    op = OneOp("portable")
    program, narrow, wide = op.native, op.floats(16), op.floats(128)
    w = op.weight(matrix(np.random.default_rng(0), FORMS["int4"], 20, 64))
    ones = np.ones(16, np.float32)
    calls = [
        lambda: program.slot(1 << 62, False, False, True),
        lambda: program.embed(w, narrow),
        lambda: program.embed(w + 1, wide),
        lambda: program.embed(w, wide + 1),
        lambda: program.angles(np.ones(9, np.float32), 1.0, narrow),
        lambda: program.norm(narrow, ones, 2, 1e-5, wide),
        lambda: program.norm(wide, ones, 2, 1e-5, narrow),
        lambda: program.norm(wide, ones, 1 << 60, 1e-5, wide),
        lambda: program.quantize(narrow, 1, 32, "int8", wide),
        lambda: program.quantize(wide, 1, 128, "int8", narrow),
        lambda: program.quantize(9, 1, 16, "int8", wide),
        lambda: program.linear(narrow, False, [w], [wide], [None], [None]),
        lambda: program.linear(wide, False, [w], [narrow], [None], [None]),
        lambda: program.linear(wide, False, [w], [wide], [ones], [None]),
        lambda: program.linear(wide, False, [w], [wide], [None], [narrow]),
        lambda: program.linear(wide, False, [w], [wide, wide], [None], [None]),
        lambda: program.linear(wide, False, [w + 1], [wide], [None], [None]),
        lambda: program.rope(wide, narrow, 1, 64, 65, False, wide),
        lambda: program.rope(wide, narrow, 1, 64, 63, False, wide),
        lambda: program.rope(wide, narrow, 1, 64, 64, False, wide),
        lambda: program.rope(narrow, narrow, 2, 16, 16, False, wide),
        lambda: program.rope(wide, narrow, 1 << 40, 1 << 30, 16, False, wide),
        lambda: program.attend(wide, wide, wide, 0, 3, 2, 16, 1.0, 0, None, wide),
        lambda: program.attend(wide, wide, wide, 0, 0, 1, 16, 1.0, 0, None, wide),
        lambda: program.attend(wide, wide, wide, 0, 1, 0, 16, 1.0, 0, None, wide),
        lambda: program.attend(wide, wide, wide, 0, 1, 1, 12, 1.0, 0, None, wide),
        lambda: program.attend(wide, wide, wide, 0, 1, 1, 520, 1.0, 0, None, wide),
        lambda: program.attend(wide, wide, wide, 0, 1, 1, 16, 1.0, 1 << 40, None, wide),
        lambda: program.attend(wide, narrow, wide, 0, 2, 2, 16, 1.0, 0, None, wide),
        lambda: program.silu_mul(wide, narrow, 64, wide),
        lambda: program.add(narrow, wide, 64, wide),
        lambda: program.rows(wide, 64, narrow),
        lambda: program.logits(narrow, w),
    ]
    for at, call in enumerate(calls):
        with pytest.raises(ValueError, match=r"[a-z]"):
            call()
            pytest.fail(f"call {at} was taken")


def test_a_finished_program_takes_no_more() -> None:
    op = OneOp("portable")
    program, slot = op.native, op.input(np.ones((4, 16), np.float32))
    with pytest.raises(ValueError, match="not finished"):
        op.native.logits_of(*list(valid().values())[:7], np.empty((2, 0), np.float32))
    op.run(range(4))
    for call in (
        lambda: program.add(slot, slot, 16, slot),
        lambda: program.slot(64, False, False, True),
        lambda: op.weight(weight.dense(np.ones((1, 1), np.float32))),
        lambda: program.finish(0),
    ):
        with pytest.raises(ValueError, match="finished"):
            call()


def test_a_cache_without_room_for_a_page_is_refused() -> None:
    op = OneOp("portable")
    slot = op.floats(16)
    op.native.attend(slot, slot, slot, 0, 1, 1, 16, 1.0, 0, None, slot)
    with pytest.raises(ValueError, match="no room"):
        op.native.finish(100)


def test_no_arrays_crash_a_step() -> None:
    """Thousands of steps with arrays near the valid ones, in a process of their own."""
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_native.py")), "1500", "0"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert int(run.stdout.split()[0]) > 100, "next to no step was valid"
