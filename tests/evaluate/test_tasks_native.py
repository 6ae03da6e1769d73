"""Our engine's likelihoods, against logits of whole sequences; and its texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farthing.config import EngineConfig
from farthing.engine.types import Step
from farthing.errors import ContextTooLong
from farthing.evaluate import readings
from farthing.evaluate.tasks import native, runs
from farthing.evaluate.tasks.native import Native
from farthing.evaluate.tasks.types import Likelihood, Pair, Sample

SMALL = EngineConfig(cache_bytes=32 << 20, max_step_tokens=128, max_context=512)
TEXT = "The capital of France is a city that many people visit every year. " * 12


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Native:
    return native.open(smollm2, SMALL)


def deaf(done: int) -> None:
    pass


def pairs(model: Native) -> list[Pair]:
    """Contexts shorter than a page, as long as one, and of several; alone and with branches."""
    ids = model.tokenizer.encode(TEXT)
    ends = [" Paris", " Rome", " a city of light", " London, the city on the river Thames"]
    made = []
    for length in (1, 63, 64, 65, 128, 150):
        for end in ends:
            made.append(Pair(ids[:length], model.tokenizer.encode(end)))
    made += [Pair([start], ids[:2]) for start in range(1000, 1010)]
    return made


def by_whole_sequences(reading: readings.Reading, asked: Pair) -> Likelihood:
    """Slow and obvious: every token's logits, log-softmax, the entries summed."""
    ids = np.array([*asked.context, *asked.continuation], np.int32)
    logits = reading.logits(ids[:-1])[len(asked.context) - 1 :].astype(np.float64)
    every = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = list(asked.continuation)
    return Likelihood(
        pytest.approx(float(every[np.arange(len(targets)), targets].sum()), abs=1e-9),
        logits.argmax(-1).tolist() == targets,
    )


def test_branches_have_the_likelihoods_of_whole_sequences(model: Native, smollm2: Path):
    asked = pairs(model)
    reading = readings.engine_reading(smollm2)
    heard: list[int] = []
    found = model.loglikelihoods(asked, heard.append)
    for one, pair in zip(found, asked, strict=True):
        true = by_whole_sequences(reading, pair)
        assert one == true
    assert heard[-1] == len(asked)


def test_few_pages_and_few_rows_change_nothing(model: Native, monkeypatch):
    asked = pairs(model)
    plenty = model.loglikelihoods(asked, deaf)
    inner, seen = model.runner.logits, []

    def logits(step: Step) -> NDArray[np.float32]:
        seen.append((int(step.tables.max()), len(step.rows)))
        return inner(step)

    monkeypatch.setattr(model.runner, "logits", logits)
    monkeypatch.setattr(model.runner, "pages", 4)
    monkeypatch.setattr(runs, "LOGITS_BYTES", 3 * 4 * model.runner.vocabulary)
    assert model.loglikelihoods(asked, deaf) == plenty
    assert max(seen)[0] == 3 and max(rows for _, rows in seen) == 3


def test_a_shared_context_is_read_once(model: Native, monkeypatch):
    read = []
    inner = model.runner.logits
    monkeypatch.setattr(
        model.runner, "logits", lambda step: (read.append(len(step.tokens)), inner(step))[1]
    )
    context = model.tokenizer.encode(TEXT)[:130]
    model.loglikelihoods([Pair(context, [end, 1000]) for end in range(1000, 1010)], deaf)
    assert sum(read) == 128 + 10 * 3
    read.clear()
    model.loglikelihoods([Pair(context, [1000, end]) for end in range(1000, 1010)], deaf)
    assert sum(read) == 131  # the last token is told by what came before, for all of them


def test_what_does_not_fit_is_named_before_anything_runs(model: Native, monkeypatch):
    monkeypatch.setattr(model.runner, "logits", lambda step: pytest.fail("nothing may run"))
    ids = (model.tokenizer.encode(TEXT) * 5)[:514]
    with pytest.raises(ContextTooLong, match="513 tokens and at most 512"):
        model.loglikelihoods([Pair([1], [2]), Pair(ids[:1], ids[1:])], deaf)


def test_a_greedy_text_is_what_its_own_likelihood_calls_greedy(model: Native):
    prompt = model.tokenizer.encode("The capital of France is")
    (written,) = model.generate([prompt], Sample(max_tokens=8), deaf)
    end = model.tokenizer.encode(written.text)
    assert written.tokens == 8 and "Paris" in written.text
    (found,) = model.loglikelihoods([Pair(prompt, end)], deaf)
    assert found.greedy


def test_texts_end_before_a_stop_and_do_not_depend_on_their_neighbours(model: Native):
    prompts = [
        model.tokenizer.encode(text) for text in ("One, two, three,", "A B C D", "Once upon")
    ]
    sample = Sample(max_tokens=24, stop=("\n", " five"))
    together = model.generate(prompts, sample, deaf)
    assert together == [model.generate([prompt], sample, deaf)[0] for prompt in prompts]
    assert together[0].text == " four,"
    assert all("\n" not in written.text for written in together)


def test_a_stop_token_is_counted_and_not_shown(model: Native, monkeypatch):
    monkeypatch.setattr(model.tokenizer, "stop_ids", model.tokenizer.encode(" five"))
    prompt = model.tokenizer.encode("One, two, three,")
    (written,) = model.generate([prompt], Sample(max_tokens=24), deaf)
    assert written == (" four,", 3)


def test_choices_differ_and_come_again(model: Native):
    prompt = [model.tokenizer.encode("Once upon a time")]
    first = Sample(max_tokens=12, temperature=1.0, seed=3)
    second = Sample(max_tokens=12, temperature=1.0, seed=3, choice=1)
    a, b, again = (model.generate(prompt, sample, deaf) for sample in (first, second, first))
    assert a == again != b


def test_more_prompts_than_may_wait_are_taken_in_parts(model: Native, monkeypatch):
    monkeypatch.setattr(native, "MAX_WAITING", 2)
    prompts = [model.tokenizer.encode(f"{n},") for n in range(5)]
    heard: list[int] = []
    found = model.generate(prompts, Sample(max_tokens=2), heard.append)
    assert len(found) == 5 and heard[-1] == 5
    assert found == native.Native(
        model.runner, model.tokenizer, replace(SMALL, max_sequences=1)
    ).generate(prompts, Sample(max_tokens=2), deaf)
