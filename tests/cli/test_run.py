"""`farthing run`: what goes to stdout, what to stderr, and how an answer ends."""

import io
import json
import re
import sys

import pytest
from parrot import parrot

from farthing import cli
from farthing.cli.choice import Choice, recommended
from farthing.cli.local import Ask, Local
from farthing.cli.run import encode
from farthing.errors import ContextTooLong, FormatError, InputError
from farthing.meter.attribution import Clock
from farthing.tokenizer import Tokenizer

BLUE = "The sky is blue – 天空是蓝色的."
LINE = re.compile(
    r"\d+ tokens in, \d+ out, [\d.]+ tokens/s, \$[\d.]+ at assumed 0\.0144 USD an hour"
)


@pytest.fixture
def says(smollm2_home, monkeypatch):
    """Let the model say this, whatever it is asked."""

    def stand_in(*texts: str) -> None:
        monkeypatch.setattr(Local, "open", lambda folder, config: parrot(folder, list(texts)))

    return stand_in


def pipe(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_the_answer_is_all_of_stdout_and_the_bill_one_line_of_stderr(says, capsys):
    says(BLUE)
    assert cli.main(["run", "smollm2-135m", "Why is the sky blue?"]) == 0
    out, err = capsys.readouterr()
    assert out == BLUE + "\n"
    assert LINE.fullmatch(err.strip()), err


def test_json_is_one_object_that_adds_up(says, capsys):
    says(BLUE)
    assert cli.main(["run", "smollm2-135m", "Why?", "--json", "--seed", "5"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (err, told["text"], told["finish_reason"], told["seed"]) == ("", BLUE, "stop", 5)
    assert sum(told["usage"]["nanoseconds"].values()) > 0
    assert told["cost_nanodollars"] >= 0


def test_a_prompt_can_be_piped_in(says, capsys, monkeypatch):
    says(BLUE)
    pipe(monkeypatch, "天".encode())
    assert cli.main(["run", "smollm2-135m", "--raw", "--json"]) == 0
    ids = Tokenizer.open(cli.models.folder("smollm2-135m")).encode("天", add_special=True)
    assert json.loads(capsys.readouterr().out)["usage"]["prompt_tokens"] == len(ids)


def test_a_pipe_that_is_not_text_is_refused(says, capsys, monkeypatch):
    pipe(monkeypatch, b"ab\xff")
    assert cli.main(["run", "smollm2-135m"]) == 2
    assert "stdin is not UTF-8 text at byte 2" in capsys.readouterr().err


def test_a_model_that_is_not_here_meets_those_that_are(smollm2_home, capsys):
    assert cli.main(["run", "smollm3", "hello"]) == 2
    told = capsys.readouterr().err
    assert "smollm2-135m" in told and "farthing pull" in told


def test_an_answer_cut_short_says_so(says, capsys):
    says(BLUE)
    assert cli.main(["run", "smollm2-135m", "Why?", "--max-tokens", "3"]) == 0
    assert "3 out" in (err := capsys.readouterr().err) and "cut at --max-tokens" in err


def test_a_stop_text_ends_the_answer_before_it(smollm2):
    local = parrot(smollm2, [BLUE])
    answer = local.answer([1, 2], Ask(stop=("blue",)))
    assert "".join(answer) == "The sky is "
    assert answer.reason == "stop"
    local.engine.check()


def test_an_answer_that_is_stopped_is_still_billed_and_leaves_nothing(smollm2):
    local = parrot(smollm2, [BLUE])
    answer = local.answer([1, 2], Ask())
    next(iter(answer))
    answer.stop()
    assert (answer.reason, answer.usage.completion_tokens > 0) == ("cancelled", True)
    assert local.engine.idle
    local.engine.check()


def test_an_interrupt_ends_the_answer_and_still_prints_its_bill(says, capsys, monkeypatch):
    says(BLUE)
    shown: list[str] = []

    def interrupt(piece="", **how):
        if len(shown) == 2:
            shown.append("^C")
            raise KeyboardInterrupt
        shown.append(piece)

    monkeypatch.setattr("builtins.print", interrupt)
    assert cli.main(["run", "smollm2-135m", "Why?"]) == 130
    assert LINE.match(shown[-1])


def test_a_prompt_that_does_not_fit_is_refused_with_both_counts(smollm2):
    with pytest.raises(ContextTooLong, match=r"2000 tokens .* 1023"):
        parrot(smollm2, []).answer([1] * 2000, Ask())


def test_instructions_need_the_template(smollm2):
    tokenizer = Tokenizer.open(smollm2)
    with pytest.raises(InputError, match="--system"):
        encode(tokenizer, "a", system="b", raw=True)
    with_system = encode(tokenizer, "a", system="Be brief.", raw=False)
    assert "Be brief." in tokenizer.decode(with_system)


def test_flags_stand_over_what_the_checkpoint_recommends(tmp_path):
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.6, "top_k": 20}')
    ask = Choice(top_k=3, seed=1).ask(recommended(tmp_path))
    assert (ask.sampling.temperature, ask.sampling.top_k, ask.sampling.seed) == (0.6, 3, 1)
    assert Choice().ask({"do_sample": False, "temperature": 0.6}).sampling.temperature == 0
    assert Choice().ask({}).sampling.temperature == 0


def test_a_recommendation_that_is_no_number_is_refused(tmp_path):
    (tmp_path / "generation_config.json").write_text('{"top_p": "most"}')
    with pytest.raises(FormatError, match="top_p is 'most'"):
        recommended(tmp_path)


def test_the_time_a_person_takes_is_on_no_bill(smollm2, monkeypatch):
    time = 0
    monkeypatch.setattr("farthing.engine.engine.Clock", lambda: Clock(lambda: time, lambda: time))
    local = parrot(smollm2, ["one", "two"])
    for _ in range(2):
        time += 10**12
        answer = local.answer([1, 2, 3], Ask())
        time += 7
        "".join(answer)
        assert sum(answer.usage.nanoseconds) == 7
    assert local.engine.clock.read().idle == 2 * 10**12
    assert local.engine.clock.check() == 0


def test_the_real_model_gives_the_same_answer_to_the_same_seed(smollm2_home, capsys):
    command = ["run", "smollm2-135m", "Hello", "--temperature", "1", "--seed", "7", "--json"]
    texts = []
    for _ in range(2):
        assert cli.main([*command, "--max-tokens", "6"]) == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts[0] == texts[1] and texts[0]
