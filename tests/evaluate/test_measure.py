"""Both readings of small packed models, and what they say of each lever."""

from pathlib import Path

import numpy as np
import pytest
from toys import VOCABULARY, ids, toy

from farthing import machine
from farthing.errors import InputError
from farthing.evaluate import kv, measure, texts
from farthing.evaluate.interval import interval, starts
from farthing.evaluate.opened import open as open_checkpoint
from farthing.evaluate.opened import weights_lever
from farthing.evaluate.readings import STEP, engine_reading, reference_reading
from farthing.evaluate.texts import Texts
from native.toy_native import FORMS

INT4, INT8 = FORMS["int4"], FORMS["int8"]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy(tmp_path_factory.mktemp("full") / "full")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy(tmp_path_factory.mktemp("small") / "small", INT4)


@pytest.fixture(scope="module")
def text() -> Texts:
    return Texts("random", [ids(97, seed) for seed in range(8)])


def test_a_model_does_not_differ_from_itself_in_either_reading(full: Path, text: Texts) -> None:
    for make in (reference_reading, engine_reading):
        (tokens,) = measure.compare(make(full), [make(full)], text.sequences)
        assert not tokens.kl.any() and tokens.same.all()
        np.testing.assert_array_equal(tokens.surprise, tokens.reference_surprise)


def test_a_model_with_its_words_in_another_order_is_far_off(full: Path, text: Texts) -> None:
    permuted = reference_reading(full)
    order = np.random.default_rng(0).permutation(VOCABULARY)

    class Permuted:
        name, shape = "permuted", permuted.shape

        def logits(self, tokens):
            return permuted.logits(tokens)[:, order]

    (tokens,) = measure.compare(reference_reading(full), [Permuted()], text.sequences)
    assert tokens.kl.mean() > 1 and tokens.same.mean() < 0.1


def test_the_native_reading_of_many_steps_is_that_of_one(full: Path) -> None:
    """A text longer than a step, and another after it on the same pages."""
    reading = engine_reading(full)
    long, short = ids(STEP + 100), ids(70, 1)
    first, then = reading.logits(long), reading.logits(short)
    assert first.shape == (STEP + 100, VOCABULARY)
    np.testing.assert_array_equal(first[:70], reading.logits(long[:70]))
    np.testing.assert_array_equal(then, engine_reading(full).logits(short))


def test_rows_of_weights_and_engine_against_the_original(
    full: Path, small: Path, text: Texts
) -> None:
    rows = measure.measure(open_checkpoint(small), open_checkpoint(full), text)
    weights, engine = rows
    assert weights.levers == {"weights": "4-f16 g32"} and weights.isa is None
    assert engine.levers == {"weights": "4-f16 g32", "activations": "int8"} and engine.isa
    assert weights.loss.kl.mean > 0.01
    assert weights.loss.added is None
    assert engine.loss.added is not None
    expected = engine.loss.kl.mean - weights.loss.kl.mean
    assert engine.loss.added.mean == pytest.approx(expected)
    assert abs(expected) < 0.1 * weights.loss.kl.mean


def test_what_a_lever_adds_is_paired_token_by_token(full: Path, small: Path, text: Texts) -> None:
    _, engine = measure.measure(open_checkpoint(small), open_checkpoint(full), text)
    assert engine.loss.added is not None
    alone = engine.loss.kl
    assert engine.loss.added.high - engine.loss.added.low < alone.high - alone.low


def test_without_an_original_the_model_is_its_own_reference(
    full: Path, small: Path, text: Texts
) -> None:
    """Whose activations are rounded as its weights want it."""
    for folder, activations in ((small, "int8"), (full, "bf16")):
        (row,) = measure.measure(open_checkpoint(folder), None, text)
        assert row.levers == {"activations": activations}
        assert 0 < row.loss.kl.mean < 0.1 and row.loss.added is None


def test_bits_of_the_cache_are_a_row_of_their_own(small: Path, text: Texts) -> None:
    rows = [measure.measure(open_checkpoint(small), None, text, kv_bits=bits) for bits in (8, 4)]
    (plain, eight), (_, four) = rows
    assert plain.levers == {"activations": "int8"}
    assert eight.levers == {"activations": "int8", "kv": "int8"}
    assert four.levers == {"activations": "int8", "kv": kv.lever(small, 4)}
    assert four.levers["kv"].startswith("int4 fitted ")
    assert eight.loss.added is not None and four.loss.added is not None
    assert eight.loss.added.high < four.loss.added.low


def test_weights_alone_run_no_engine(full: Path, small: Path, text: Texts) -> None:
    (row,) = measure.measure(open_checkpoint(small), open_checkpoint(full), text, weights_only=True)
    assert row.isa is None and list(row.levers) == ["weights"]


def test_eight_bits_of_weight_lose_less_than_four(full: Path, tmp_path: Path, text: Texts) -> None:
    original = reference_reading(full)
    kinds = [reference_reading(toy(tmp_path / str(form.bits), form)) for form in (INT4, INT8)]
    four, eight = measure.compare(original, kinds, text.sequences)
    assert eight.kl.mean() * 20 < four.kl.mean()


def test_a_recipe_names_the_method(small: Path, tmp_path: Path) -> None:
    copy = toy(tmp_path / "made", INT4)
    (copy / "recipe.toml").write_text('[default]\nmethod = "gptq"\nbits = 4\ngroup = 32\n')
    assert weights_lever(open_checkpoint(copy)) == "gptq 4-f16 g32"
    assert weights_lever(open_checkpoint(small)) == "4-f16 g32"


def test_vocabularies_must_be_alike(full: Path, tmp_path: Path, text: Texts) -> None:
    other = reference_reading(toy(tmp_path / "other", vocab_size=300))
    with pytest.raises(InputError, match="other has 300 tokens in its vocabulary and full 259"):
        measure.compare(reference_reading(full), [other], text.sequences)


def test_a_token_beyond_the_vocabulary_is_another_models(full: Path) -> None:
    reading = reference_reading(full)
    with pytest.raises(InputError, match="token 259, and full knows 0 to 258"):
        measure.compare(reading, [reading], [np.array([5, 259, 7], np.int32)])


def test_a_sequence_longer_than_the_model_reads(full: Path) -> None:
    reading = reference_reading(full)
    with pytest.raises(InputError, match="513 tokens, and full reads at most 512"):
        measure.compare(reading, [reading], [ids(514)])


def test_a_text_is_cut_into_whole_sequences_that_overlap_by_what_follows() -> None:
    found = texts.cut(range(100), length=20, tokens=60, what="user: x")
    assert [one.tolist() for one in found.sequences] == [
        list(range(at, at + 21)) for at in (0, 20, 40)
    ]
    assert found.tokens == 60
    assert texts.cut(range(100), length=20, tokens=1000, what="x").tokens == 80


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_text_shorter_than_a_sequence_is_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"^x has {count} tokens, and a sequence takes 20"):
        texts.cut(range(count), length=20, tokens=60, what="user: x")


def test_what_the_reference_writes_depends_on_the_seed_alone(full: Path) -> None:
    one, again, other = (texts.written(full, seed=s, length=30, tokens=90) for s in (0, 0, 1))
    assert [ids.tolist() for ids in one.sequences] == [ids.tolist() for ids in again.sequences]
    assert one.record().sha256 == again.record().sha256 != other.record().sha256
    assert one.tokens == 90 and {len(ids) for ids in one.sequences} == {31}
    assert {int(ids[0]) for ids in one.sequences} == {1}
    assert len({tuple(ids) for ids in one.sequences}) == 3


def test_what_the_reference_writes_is_as_likely_as_it_says(full: Path) -> None:
    """Samples at temperature 1: their mean surprise is the entropy of what the model expects."""
    found = texts.written(full, seed=0, length=256, tokens=2048)
    reading = reference_reading(full)
    (tokens,) = measure.compare(reading, [reading], found.sequences)
    logs = [log_probabilities(reading, ids) for ids in found.sequences]
    entropy = np.concatenate([-(np.exp(p) * p).sum(-1) for p in logs])
    apart = interval(tokens.surprise - entropy, starts(found.lengths))
    assert apart.low - 0.02 < 0 < apart.high + 0.02


def log_probabilities(reading, ids):
    from farthing.evaluate.divergence import log_softmax

    return log_softmax(reading.logits(ids[:-1]))


def test_too_few_tokens_for_an_interval(full: Path) -> None:
    with pytest.raises(InputError, match="1 tokens are too few"):
        measure.measure(open_checkpoint(full), None, Texts("x", [ids(2)]))


@pytest.mark.parametrize("name", ["bos_token_id", "eos_token_id"])
def test_where_a_text_begins(name: str) -> None:
    assert texts.start_id({name: 7}, 10) == texts.start_id({name: [7, 9]}, 10) == 7
    with pytest.raises(Exception, match="is 10; tokens are 0 to 9"):
        texts.start_id({name: 10}, 10)
    with pytest.raises(InputError, match="give --text"):
        texts.start_id({}, 10)


def test_a_text_may_begin_with_what_generation_settings_name(tmp_path: Path) -> None:
    """Some models name their ids there alone."""
    model = toy(tmp_path / "toy", bos_token_id=None, eos_token_id=None)
    assert int(texts.written(model, seed=0, length=8, tokens=8).sequences[0][0]) == 2


def test_a_reference_that_memory_does_not_hold_is_refused_with_figures(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = machine.Memory(total=1 << 20, available=1 << 10, limit=None)
    monkeypatch.setattr(machine, "memory", lambda: little)
    with pytest.raises(InputError, match=r"full takes 0\.0 GB of memory as fp32, and 0\.0 GB are"):
        reference_reading(full)


def test_a_model_whose_logits_overflow_is_named(full: Path) -> None:
    reading = reference_reading(full)

    class Overflown:
        name, shape = "overflown", reading.shape

        def logits(self, tokens):
            return reading.logits(tokens) * np.float32(np.inf)

    with pytest.raises(InputError, match="the measured model gives NaN or infinite logits"):
        measure.compare(reading, [Overflown()], [ids(20)])
