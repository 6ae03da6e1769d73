"""Which levers are on, and which measurement speaks for them."""

import pytest
from hypothesis import given
from hypothesis.strategies import floats

import checkpoints as toy
from farthing import store
from farthing.config import EngineConfig
from farthing.errors import FormatError, InputError
from farthing.evaluate import budget, levers
from farthing.evaluate.levers import active, counting, nearest, verdicts
from lossy import BASE, EIGHT, FOUR, keep, linked, loss, row

WEIGHTS = {"weights": "gptq 4-f16 g32"}
ALL = WEIGHTS | FOUR


@pytest.fixture
def folder(tmp_path, smollm2):
    return linked(tmp_path / "lossy", smollm2)


def test_a_published_form_is_no_lever_and_what_we_quantized_is(folder):
    assert active(EngineConfig(), folder) == BASE
    assert active(EngineConfig(kv_bits=4), folder) == FOUR
    (folder / "recipe.toml").write_text('[default]\nmethod = "gptq"\nbits = 4\ngroup = 32\n')
    assert active(EngineConfig(), folder) == {"weights": "gptq 4-f16-min g32"} | BASE


def test_weights_that_were_measured_are_a_lever(folder):
    assert list(active(EngineConfig(), folder, [row(WEIGHTS)])) == ["weights", "activations"]


def test_a_model_of_bf16_rounds_to_that(tmp_path):
    model = store.pull(str(toy.toy_gguf(tmp_path / "toy.gguf"))).model
    assert active(EngineConfig(), model.folder) == {"activations": "bf16"}


def test_a_damaged_recipe_is_named(folder):
    for text in (b"\xff", b"[default", b"method = 3", b'[default]\nmethod = ["gptq"]'):
        (folder / "recipe.toml").write_bytes(text)
        with pytest.raises(FormatError, match=r"recipe\.toml"):
            active(EngineConfig(), folder)


def test_a_row_speaks_for_what_it_held_and_the_fewest_others():
    exact, more, most = row(BASE, 0.001), row(FOUR, 0.02), row(ALL, 0.3)
    assert nearest([most, more, exact], BASE, None) is exact
    assert nearest([most, more], BASE, None) is more
    assert nearest([most, more, exact], {"kv": "int4"}, None) is more
    assert nearest([most, more, exact], WEIGHTS, None) is most
    assert nearest([exact, more], ALL, None) is None
    assert nearest([most], {"weights": "as another version calls these weights"}, None) is most


def test_other_bits_of_cache_speak_for_nothing():
    assert nearest([row(EIGHT)], FOUR, None) is None
    assert nearest([row(FOUR)], EIGHT, None) is None


def test_the_worst_text_on_this_instruction_set_counts():
    here, worse = row(BASE, 0.01, isa="avx2"), row(BASE, 0.02, isa="avx2")
    elsewhere = row(BASE, 0.5, isa="portable")
    assert nearest([here, worse, elsewhere], BASE, "avx2") is worse
    assert nearest([here, worse], BASE, "neon") is worse
    assert nearest([elsewhere, here], BASE, "portable") is elsewhere


def test_losses_are_never_added_up():
    found = verdicts([row(WEIGHTS, 0.01), row(FOUR, 0.01)], ALL)
    assert [verdict.row is not None for verdict in found] == [True, True, True, False]
    assert found[-1].levers == ALL
    assert not found[-1].passes


def test_rows_of_other_weights_or_other_sums_count_for_nothing(folder):
    plain = row(WEIGHTS, arithmetic="fp32", isa=None, numerics=0)
    keep(folder, row(BASE), row(EIGHT, numerics=0), plain)
    assert [found.levers for found in counting(folder)] == [BASE, WEIGHTS]
    keep(folder, row(BASE), plain, weights="c" * 64)
    assert counting(folder) == []


def test_a_budget_holds_each_of_its_parts():
    lost = loss(0.02, same_top=0.9, perplexity=21.0)
    assert budget.parse("kl=0.02,same_top=0.9, perplexity=1.05").over(lost) == ()
    assert budget.parse("kl=0.019").over(lost) == ("KL 0.02 is above 0.019",)
    assert budget.parse("same_top=0.91").over(lost) == ("same top 0.9 is below 0.91",)
    assert budget.parse("perplexity=1.04").over(lost) == ("perplexity x 1.0500 is above 1.04",)
    assert len(budget.parse("kl=0,same_top=1,perplexity=1").over(lost)) == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "'' is none of kl=NUMBER, same_top=NUMBER, perplexity=NUMBER"),
        ("0.02", "'0.02' is none of"),
        ("kld=0.02", "'kld=0.02' is none of"),
        ("kl=0.02,", "'' is none of"),
        ("kl=", "kl is '', which is no number"),
        ("kl=2%", "kl is '2%', which is no number"),
        ("kl=nan", "kl is nan; it must be from 0 to"),
        ("kl=-1", "kl is -1; it must be from 0 to"),
        ("same_top=97", "same_top is 97; it must be from 0 to 1"),
        ("perplexity=0.9", "perplexity is 0.9; it must be from 1 to"),
        ("kl=1,kl=2", "kl is given twice"),
    ],
)
def test_a_budget_that_cannot_be_read_is_named(text, found):
    with pytest.raises(InputError, match=r"like kl=0\.02") as error:
        budget.parse(text)
    assert found in str(error.value)


def test_what_a_file_says_moves_no_cursor():
    assert levers.plain("a\x1b[2Jb\n") == "a?[2Jb?"


@given(kl=floats(0, 50), same_top=floats(0, 1), perplexity=floats(1, 9000))
def test_what_would_pass_does_pass_when_it_is_typed(kl, same_top, perplexity):
    lost = [loss(kl, same_top=same_top, perplexity=perplexity), loss(0.001)]
    asked = budget.parse("kl=0,same_top=1,perplexity=1")
    wanted = budget.parse(asked.stretched(lost))
    assert not any(wanted.over(one) for one in lost)
