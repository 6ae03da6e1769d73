"""Made tasks: the same with a seed, sound, and clear of chance on a small real model."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from farthing.config import EngineConfig
from farthing.errors import ContextTooLong, InputError
from farthing.evaluate.readings import reference_reading
from farthing.evaluate.tasks import asking, made, native, page, run
from farthing.evaluate.tasks.kept import ABOVE_CHANCE, kept
from farthing.evaluate.tasks.page import Page
from farthing.evaluate.tasks.reference import Reference
from farthing.evaluate.tasks.types import Pair, Sample
from farthing.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def reference(smollm2: Path) -> Reference:
    return Reference(reference_reading(smollm2), Tokenizer.open(smollm2))


def deaf(done: int) -> None:
    pass


def test_a_seed_makes_the_same_items_and_another_others():
    assert made.choices(3, 60) == made.choices(3, 60)
    assert made.choices(3, 60).items != made.choices(4, 60).items
    assert made.answers(3, 60) == made.answers(3, 60)


def test_one_choice_alone_is_right_and_stands_anywhere():
    items = [item for seed in (0, 1) for item in made.choices(seed, made.MOST).items]
    assert all(len(set(item.choices)) == 4 for item in items)
    places = Counter(item.answer for item in items)
    assert min(places.values()) > 100
    with pytest.raises(InputError, match="301 items"):
        made.answers(0, 301)


def test_no_question_comes_twice_and_both_tasks_ask_the_same():
    asked = [item.question for item in made.choices(5, made.MOST).items]
    assert len(set(asked)) == made.MOST
    assert asked == [item.text for item in made.answers(5, made.MOST).items]


def test_a_small_model_is_far_above_chance(smollm2: Path):
    model = native.open(smollm2, EngineConfig(cache_bytes=64 << 20, max_context=2048))
    scores = run(model, [made.choices(0, 60), made.answers(0, 60)])
    assert [score.chance for score in scores] == [0.25, 0.25, 0]
    for score in scores:
        assert score.share.low - score.chance > ABOVE_CHANCE
    assert scores[2].share.mean < 0.8  # it is not so easy that a loss would not show


def test_a_references_likelihoods_are_its_log_softmax_summed(reference: Reference):
    encode = reference.tokenizer.encode
    context = encode("The capital of France is")
    pairs = [Pair(context, encode(end)) for end in (" Paris", " Rome", " Paris, the")]
    found = reference.loglikelihoods(pairs, deaf)
    for one, (_, end) in zip(found, pairs, strict=True):
        ids = np.array([*context, *end[:-1]], np.int32)
        logits = torch.from_numpy(reference.reading.logits(ids)).double()
        true = torch.log_softmax(logits, -1)[range(len(context) - 1, len(ids)), list(end)]
        assert one.sum == pytest.approx(float(true.sum()), abs=1e-9)
    assert [one.greedy for one in found][:2] == [True, False]


def test_a_reference_reads_a_context_once_for_all_single_tokens(reference: Reference, monkeypatch):
    read = []
    inner = reference.reading.logits
    monkeypatch.setattr(
        reference.reading, "logits", lambda ids: (read.append(len(ids)), inner(ids))[1]
    )
    reference.loglikelihoods([Pair([5, 6], [end]) for end in (7, 8, 9)], deaf)
    reference.loglikelihoods([Pair([5, 6], [7, 8]), Pair([5, 6], [7])], deaf)
    assert read == [2, 3]


def test_the_engine_keeps_what_the_reference_scores(smollm2: Path, reference: Reference):
    tasks = [made.choices(1, 12), made.answers(1, 2)]
    native_model = native.open(smollm2, EngineConfig(cache_bytes=64 << 20, max_context=2048))
    of_reference = run(Page(reference.reading, reference.tokenizer), tasks)
    found = kept(run(native_model, tasks), of_reference)
    assert found.share is not None and found.share.mean == pytest.approx(1, abs=0.2)
    assert found.counted[0] == tasks[0].name


def test_many_sequences_in_a_step_are_answered_as_one_by_one(reference: Reference, monkeypatch):
    monkeypatch.setattr(page, "STEP", 40)
    monkeypatch.setattr(page, "TOGETHER", 3)
    both = Page(reference.reading, reference.tokenizer), reference
    encode = reference.tokenizer.encode
    pairs = [
        asking.pair(reference.tokenizer, item.question, choice, chat=False)
        for item in made.choices(0, 2).items
        for choice in item.choices
    ]
    fast, slow = (model.loglikelihoods(pairs, deaf) for model in both)
    assert [one.greedy for one in fast] == [one.greedy for one in slow]
    assert [one.sum for one in fast] == pytest.approx([one.sum for one in slow], abs=1e-4)
    prompts = [encode(text) for text in ("One, two,", "The sky is", "A", "Once upon a time")]
    sample = Sample(max_tokens=6, stop=(" four", "."))
    fast_texts, slow_texts = (model.generate(prompts, sample, deaf) for model in both)
    assert fast_texts == slow_texts


def test_a_reference_writes_what_its_logits_say(reference: Reference):
    ids = reference.tokenizer.encode("One, two, three,")
    (written,) = reference.generate([ids], Sample(max_tokens=9, stop=("six",)), deaf)
    assert written.text == " four, five, "
    first = int(reference.reading.logits(np.array(ids, np.int32))[-1].argmax())
    assert reference.tokenizer.decode([first]) == " four"


@pytest.mark.parametrize("kind", [Reference, Page])
def test_what_a_reference_cant_do_is_refused(reference: Reference, kind):
    model = kind(reference.reading, reference.tokenizer)
    with pytest.raises(InputError, match="temperature is 1"):
        model.generate([[1]], Sample(max_tokens=1, temperature=1.0), deaf)
    long = [1] * (reference.max_context + 1)
    with pytest.raises(ContextTooLong):
        model.generate([long], Sample(max_tokens=1), deaf)
    with pytest.raises(ContextTooLong):
        model.loglikelihoods([Pair(long, [1])], deaf)
