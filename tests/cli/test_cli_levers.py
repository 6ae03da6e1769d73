"""What show tells of measured losses, and what run, chat and serve refuse by them."""

import json

import pytest

from farthing import cli
from farthing.cli.awake import awake
from farthing.config import KV_BITS, EngineConfig
from farthing.engine.runner import PAGE, NativeRunner
from farthing.formats import packed, quality
from farthing.formats.quality import Interval
from farthing.ops import key_fit
from lossy import BASE, EIGHT, FOUR, keep, linked, row

WEIGHTS = {"weights": "gptq 4-f16-min g32"}
RECIPE = '[default]\nmethod = "gptq"\nbits = 4\ngroup = 32\nminimum = true\n'


@pytest.fixture
def folder(home, smollm2):
    return linked(home / "models" / "lossy", smollm2)


@pytest.fixture
def said(capsys, monkeypatch):
    """The code and the complaint of a command that never gets as far as loading."""
    import farthing.engine.runner
    import farthing.server.launch

    def loaded(*_args, **_more):
        raise RuntimeError("loaded")

    monkeypatch.setattr(farthing.engine.runner, "NativeRunner", loaded)
    monkeypatch.setattr(farthing.server.launch, "serve", loaded)

    def run(*words: str) -> tuple[int, str]:
        try:
            code = cli.main(words)
        except RuntimeError:
            code = 0
        return code, capsys.readouterr().err

    return run


def test_a_cache_that_was_fitted_since_is_another(folder, said):
    keep(folder, row(FOUR))
    assert said("run", "lossy", "hi", "--kv-bits", "4")[0] == 0
    (folder / key_fit.FILE).touch()
    code, told = said("run", "lossy", "hi", "--kv-bits", "4")
    assert code == 2
    assert "kv int4 fitted " in told
    assert "`farthing eval lossy --kv-bits 4` measures it" in told


@pytest.mark.parametrize("verb", ["run", "chat", "serve"])
def test_bits_of_cache_that_nobody_measured_are_off(verb, folder, said):
    words = [verb, "lossy", *(["hi"] if verb == "run" else [])]
    code, told = said(*words, "--kv-bits", "4")
    assert code == 2
    assert told.startswith("farthing: kv int4 was never measured on lossy, and a lever without")
    assert "`farthing eval lossy --kv-bits 4` measures it, --unmeasured runs" in told
    assert said(*words, "--kv-bits", "4", "--unmeasured")[0] == 0
    keep(folder, row(EIGHT))
    assert said(*words, "--kv-bits", "4")[0] == 2
    assert said(*words, "--kv-bits", "8")[0] == 0
    assert said(*words)[0] == 0
    assert said(*words, "--kv-bits", "5")[0] == 2


def test_what_counts_no_longer_is_said_to(folder, said):
    keep(folder, row(FOUR), weights="c" * 64)
    told = said("run", "lossy", "hi", "--kv-bits", "4")[1]
    assert "(activations int8 and kv int4 was, but measured on other weights)" in told


def test_an_answer_says_what_the_cache_loses(folder, said):
    assert said("run", "lossy", "hi", "--kv-bits", "4", "--unmeasured")[1].splitlines()[-1] == (
        "farthing: kv int4: not measured"
    )
    keep(folder, row(FOUR, 0.0042))
    told = said("run", "lossy", "hi", "--kv-bits", "4")[1]
    assert "kv int4: KL 0.0042 (0.00378 to 0.00462), same top 97.0%, perplexity x 1.01" in told
    assert told.rstrip().endswith("with activations int8")
    keep(folder, row(FOUR, 0.0042, added=Interval(0.0012, 0.001, 0.0014)))
    told = said("run", "lossy", "hi", "--kv-bits", "4")[1]
    assert "kv int4: adds KL 0.0012 (0.001 to 0.0014) to activations int8" in told


def test_a_budget_refuses_what_is_above_it_and_says_what_passes(folder, said):
    keep(folder, row(BASE, 0.003), row(FOUR, 0.03))
    assert said("serve", "lossy", "--loss-budget", "kl=0.02")[0] == 0
    code, told = said("serve", "lossy", "--kv-bits", "4", "--loss-budget", "kl=0.02")
    assert code == 2
    first, sixteen, eight, four, last = told.splitlines()
    assert first == "farthing: --loss-budget kl=0.02 keeps lossy from starting:"
    assert sixteen.startswith("  --kv-bits 16: passes, KL 0.003 (")
    assert eight == (
        "  --kv-bits 8: kv int8: never measured; `farthing eval lossy --kv-bits 8` measures it"
    )
    assert four == ("  --kv-bits 4 (as asked): activations int8 and kv int4: KL 0.03 is above 0.02")
    assert last == "as asked it starts with --loss-budget kl=0.0302"
    assert said("serve", "lossy", "--kv-bits", "4", "--loss-budget", last.split()[-1])[0] == 0


def test_a_budget_wants_the_base_arithmetic_measured_too(folder, said):
    code, told = said("serve", "lossy", "--loss-budget", "kl=0.02")
    assert code == 2
    assert "activations int8: never measured; `farthing eval lossy` measures it" in told
    keep(folder, row(BASE, 0.003, same_top=0.96))
    assert said("serve", "lossy", "--loss-budget", "kl=0.02")[0] == 0
    told = said("serve", "lossy", "--loss-budget", "kl=0.02,same_top=0.97")[1]
    assert "same top 0.96 is below 0.97" in told


def test_levers_that_are_on_together_are_measured_together(folder, said):
    (folder / "recipe.toml").write_text(RECIPE)
    keep(folder, row(WEIGHTS, 0.01, arithmetic="fp32", isa=None), row(BASE, 0.003))
    code, told = said("serve", "lossy", "--loss-budget", "kl=0.02")
    assert code == 2
    assert "never measured together; `farthing eval lossy --against original` measures it" in told
    keep(folder, row(WEIGHTS | BASE, 0.013))
    assert said("serve", "lossy", "--loss-budget", "kl=0.02")[0] == 0


def test_a_budget_and_its_absence_exclude_each_other(folder, said):
    code, told = said("serve", "lossy", "--loss-budget", "kl=1", "--unmeasured")
    assert (code, "drop one" in told) == (2, True)
    code, told = said("serve", "lossy", "--loss-budget", "kld=0.02")
    assert code == 2
    assert "'kld=0.02' is none of kl=NUMBER" in told


def test_a_damaged_quality_file_is_an_error_where_it_counts(folder, said):
    (folder / quality.FILE).write_text("{")
    for words in (
        ["show", "lossy"],
        ["serve", "lossy", "--loss-budget", "kl=1"],
        ["serve", "lossy", "--kv-bits", "4"],
        ["run", "lossy", "hi", "--kv-bits", "4"],
    ):
        code, told = said(*words)
        assert code == 3, words
        assert "quality.json" in told
    code, told = said("serve", "lossy")
    assert code == 0
    assert told.count("nothing counts as measured") == 1
    assert said("run", "lossy", "hi")[0] == 0


def test_show_tells_what_was_measured_and_of_what_it_was_made(folder, capsys):
    assert cli.main(["show", "lossy"]) == 0
    assert "loss      not measured; `farthing eval lossy` measures it" in capsys.readouterr().out
    (folder / "recipe.toml").write_text(RECIPE)
    assert cli.main(["show", "lossy"]) == 0
    made_from = packed.open(folder).header.source.file
    assert f"`farthing eval lossy --against {made_from}` measures" in capsys.readouterr().out
    keep(
        folder,
        row(WEIGHTS | BASE, 0.0123),
        row(EIGHT, numerics=0, added=Interval(2e-4, 1e-4, 3e-4)),
    )
    assert cli.main(["show", "lossy"]) == 0
    told = capsys.readouterr().out
    assert "weights gptq 4-f16-min g32 and activations int8: KL 0.0123 (0.0111 to 0.0135)" in told
    assert "against original in fp32, 4,096 tokens (samples of the reference, seed 0)\n" in told
    assert "measured on 2026-11-22 by farthing 0.1, portable\n" in told
    assert "kv adds KL 0.0002 (0.0001 to 0.0003) to activations int8\n" in told
    assert told.count("counts for nothing here: measured with sums in order 0") == 1
    assert 'recipe    [default]\n          method = "gptq"' in told
    assert "23,040 bytes of cache each (12,240 at --kv-bits 8, 7,344 at 4)" in told


def test_a_program_reads_the_same(folder, capsys):
    assert cli.main(["show", "lossy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["quality"], told["recipe"]) == ([], None)
    (folder / "recipe.toml").write_text(RECIPE)
    keep(folder, row(FOUR, 0.0123), weights="c" * 64)
    assert cli.main(["show", "lossy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"] == RECIPE
    assert told["context_bytes_by_kv_bits"] == {"16": 23_040, "8": 12_240, "4": 7_344}
    (found,) = told["quality"]
    assert (found["levers"], found["kl"], found["stale"]) == (
        FOUR,
        0.0123,
        "measured on other weights",
    )
    assert found["perplexity_ratio"] == pytest.approx(1.01)


def test_a_page_takes_what_room_and_roofline_count_for_its_tokens(smollm2):
    for bits in KV_BITS:
        runner = NativeRunner(smollm2, EngineConfig(kv_bits=bits, cache_bytes=1 << 26))
        assert runner.page_bytes == PAGE * awake(smollm2, bits).context_bytes
