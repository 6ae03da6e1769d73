"""What is kept of a teacher: its expectation is the teacher, which the likeliest alone are not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from farthing.errors import FormatError, InputError, NotFound
from farthing.learn import divergence
from farthing.learn.cross_entropy import Logits
from farthing.learn.kept_logits import ABOUT, VERSION, Kept, begin, drawn

V, TOKENS = 60, 5
TEACHER = 1.5 * torch.randn(TOKENS, V, generator=torch.Generator().manual_seed(3))
P = torch.softmax(TEACHER, -1)


def kept(path, seed=0, *, top=4, draws=6, temperature=1.0):
    """A folder of one draw; every token is asked."""
    path.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    found = drawn(TEACHER, top=top, draws=draws, temperature=temperature, generator=generator)
    arrays = begin(path, TOKENS, V, top=top, draws=draws)
    for name, values in zip(("top_ids", "top", "drawn"), found, strict=True):
        arrays[name][:] = values.numpy()
        arrays[name].flush()
    about = {"version": VERSION, "corpus": "abc", "vocabulary": V, "temperature": temperature}
    (path / ABOUT).write_text(json.dumps(about))
    return Kept.open(path)


def held(seed, *, top=4, draws=6):
    """The same, that was never on disk."""
    generator = torch.Generator().manual_seed(seed)
    found = drawn(TEACHER, top=top, draws=draws, temperature=1.0, generator=generator)
    return Kept(Path(), *(values.numpy() for values in found), {})


def estimate(one):
    """[TOKENS, V]: the shares where their tokens are."""
    ids, shares = one.shares(np.arange(TOKENS))
    return torch.zeros(TOKENS, V).scatter_add_(1, ids, shares)


def test_shares_sum_to_one(tmp_path):
    for top, draws in ((4, 6), (V - 1, 1), (1, 1), (3, 0)):
        one = kept(tmp_path / f"{top}-{draws}", top=top, draws=draws)
        torch.testing.assert_close(estimate(one).sum(1), torch.ones(TOKENS))


def test_the_likeliest_are_kept_as_they_are_and_never_drawn(tmp_path):
    one = kept(tmp_path)
    likeliest, ids = P.topk(4, -1)

    assert one.top_ids.tolist() == ids.tolist()
    stored = torch.from_numpy(one.top.astype(np.float32))
    assert (stored <= likeliest).all()
    torch.testing.assert_close(stored, likeliest, rtol=1e-3, atol=0)
    for row, mine in zip(one.drawn, one.top_ids, strict=True):
        assert not set(row) & set(mine)


def gradients(draws, count):
    """The student's gradient from each of `count` estimates [count, TOKENS, V]."""
    student = torch.randn(TOKENS, V, generator=torch.Generator().manual_seed(4))
    found = []
    for seed in range(count):
        ids, shares = held(seed, draws=draws).shares(np.arange(TOKENS))
        logits = Logits(student.clone().requires_grad_(), torch.eye(V))
        divergence.over(logits, divergence.kept(ids, shares)).backward()
        found.append(logits.x.grad)
    return torch.stack(found), torch.softmax(student, -1) - P


def test_the_expected_gradient_is_the_full_one():
    """Within 5 standard errors everywhere: that of 6 draws from the tail, 1,000 times. Tokens that
    are drawn less than once in all are left out: theirs is no normal error."""
    found, full = gradients(6, 1000)
    tail = P.clone().scatter_(1, P.topk(4, -1).indices, 0.0)
    left = tail.sum(1, keepdim=True)
    error = left * (tail / left * (1 - tail / left) / 6000).sqrt()
    off = (found.mean(0) - full).abs()
    often = (tail == 0) | (tail / left > 1 / 6000)

    assert often.float().mean() > 0.95
    assert (off < 5 * error + 1e-3 * P + 1e-6)[often].all()  # fp16 rounds the likeliest


def test_that_of_the_likeliest_alone_is_not():
    found, full = gradients(0, 2)
    tail = (P - estimate(held(0, draws=0))).abs().sum(1)

    assert torch.equal(found[0], found[1])
    assert ((found[0] - full).abs().sum(1) > 0.9 * tail).all()
    assert (tail > 0.3).all()


def test_more_draws_vary_less():
    few, many = (gradients(draws, 60)[0].var(0).sum() for draws in (4, 32))
    assert many < few / 4


def test_a_temperature_is_the_teachers_own(tmp_path):
    one = kept(tmp_path, temperature=3.0)
    stored = torch.from_numpy(one.top.astype(np.float32))
    torch.testing.assert_close(
        stored, torch.softmax(TEACHER / 3, -1).topk(4).values, rtol=1e-3, atol=0
    )


def test_a_teacher_that_is_sure_leaves_nothing_and_that_is_no_error():
    logits = torch.full((2, 9), -1e4)
    logits[:, 5] = 0
    ids, top, rest = drawn(logits, top=2, draws=3, temperature=1.0, generator=torch.Generator())

    assert ids[:, 0].tolist() == [5, 5] and top[:, 0].tolist() == [1, 1]
    assert rest.shape == (2, 3)


@pytest.mark.parametrize(
    "wrong, said",
    [
        (("other", V, 1.0), "made for corpus 'abc', and this run has 'other'"),
        (("abc", 9, 1.0), "made for vocabulary 60"),
        (("abc", V, 2.0), "made for temperature 1.0"),
    ],
)
def test_what_is_of_something_else_is_refused_by_name(wrong, said, tmp_path):
    one = kept(tmp_path)
    one.fits("abc", V, 1.0)
    with pytest.raises(InputError, match=said):
        one.fits(*wrong)


def test_logits_made_again_are_the_same_teacher(tmp_path):
    one, again = kept(tmp_path / "one"), kept(tmp_path / "again")
    other = dataclasses.replace(one, about=one.about | {"seed": 9})
    timed = dataclasses.replace(again, about=again.about | {"seconds": 9.5, "command": "x"})
    assert timed.identity == one.identity
    assert other.identity != one.identity


def test_damage_is_named(tmp_path):
    with pytest.raises(NotFound, match="farthing learn data logits"):
        Kept.open(tmp_path)
    kept(tmp_path)
    np.save(tmp_path / "top.npy", np.zeros((TOKENS, 3), np.float16))
    with pytest.raises(FormatError, match="arrays of"):
        Kept.open(tmp_path)
    np.save(tmp_path / "top.npy", np.zeros((TOKENS, 4)))
    with pytest.raises(FormatError, match="float64"):
        Kept.open(tmp_path)
    (tmp_path / "drawn.npy").write_bytes(b"\x80\x04pickle")
    with pytest.raises(FormatError, match=r"drawn\.npy can't be read"):
        Kept.open(tmp_path)
    (tmp_path / ABOUT).write_text("{}")
    with pytest.raises(FormatError, match="is of no version"):
        Kept.open(tmp_path)
