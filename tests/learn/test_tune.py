"""Tuning: it learns, it resumes to the bit, it leaves an adapter, and a merge serves it."""

import json
import subprocess
import sys

import msgspec
import pytest
import torch
from tuned_models import source

from farthing.cli import main
from farthing.errors import InputError
from farthing.learn import adapter, adapter_write, checkpoint
from farthing.learn.base import read
from farthing.learn.journal import lines
from farthing.learn.tune import Settings
from farthing.learn.tuning import Tuning

SETTINGS = Settings(rank=2, rows=2, together=1, length=96, epochs=2, rate=1e-2, dtype="fp32")


def chats(path, count=24):
    path.mkdir(parents=True, exist_ok=True)
    with (path / "part-00000.jsonl").open("w") as file:
        for i in range(count):
            told = [("user", f"{i} twice?"), ("assistant", f"{2 * i}")]
            messages = [{"role": role, "content": content} for role, content in told]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


@pytest.fixture(params=["llama", "qwen3_moe"])
def model(request, tmp_path):
    source(tmp_path / "model", request.param)
    chats(tmp_path / "data")
    return tmp_path / "model"


def opened(model, out, settings=SETTINGS, *, resume=False, data="data"):
    return Tuning(model, [model.parent / data], out, settings, resume=resume, threads=1)


def quiet(*words):
    pass


def to_the_end(tuning):
    assert tuning.go(lambda: False, quiet, quiet)
    return tuning


def test_it_learns_what_the_assistant_says(model, tmp_path):
    tuning = to_the_end(opened(model, tmp_path / "out"))
    told = [line["loss"] for line in lines(tmp_path / "out" / "log.jsonl")]

    assert len(told) == tuning.tune.steps
    assert told[-1] < 0.9 * told[0]


def test_every_row_of_every_epoch_is_seen_once(model, tmp_path, monkeypatch):
    tuning = opened(model, tmp_path / "out")
    taken, take = [], tuning.tune.rows.take
    monkeypatch.setattr(
        tuning.tune.rows, "take", lambda first, count: taken.append(first) or take(first, count)
    )
    to_the_end(tuning)

    rows = len(tuning.tune.rows.rows)
    assert taken == list(range(rows + rows % 2)), "one at a time, and what fills the last step"


def test_rows_that_fill_no_step_have_one_of_their_own(model, tmp_path):
    tune = opened(model, tmp_path / "out", changed(rows=5, together=5)).tune
    count = len(tune.rows.rows)
    assert count % 5, "else this shows nothing"
    assert tune.steps == count // 5 + 1


def test_nothing_of_the_base_moves(model, tmp_path):
    before = read(model, torch.float32).weights
    tuning = to_the_end(opened(model, tmp_path / "out"))

    assert all(torch.equal(w, before[name]) for name, w in tuning.base.weights.items())


def test_other_kernels_than_it_began_with_are_told(model, tmp_path, monkeypatch):
    tuning = opened(model, tmp_path / "out")
    tuning.go(lambda: tuning.tune.done > 0, quiet, quiet)
    tuning.close()
    assert tuning.notes == []
    monkeypatch.setenv("FARTHING_ISA", "portable")
    again = opened(model, tmp_path / "out", resume=True)
    again.close()
    (told,) = again.notes
    assert told.startswith("kernels was") and "portable" in told


def test_stopped_and_resumed_is_never_stopped_to_the_bit(model, tmp_path):
    whole = to_the_end(opened(model, tmp_path / "whole"))
    stop = iter([False, False, False, True])
    part = opened(model, tmp_path / "part")
    assert not part.go(lambda: next(stop), quiet, quiet)
    assert not (tmp_path / "part" / adapter.WEIGHTS).exists()
    part.close()

    again = to_the_end(opened(model, tmp_path / "part", resume=True))

    for name, tensor in whole.tune.parameters.items():
        assert torch.equal(tensor, again.tune.parameters[name]), name
    both = [(tmp_path / at / adapter.WEIGHTS).read_bytes() for at in ("whole", "part")]
    assert both[0] == both[1]
    steps = [line["step"] for line in lines(tmp_path / "part" / "log.jsonl")]
    assert steps == list(range(1, again.tune.steps + 1))


def test_a_checkpoint_of_something_else_is_refused(model, tmp_path):
    tuning = opened(model, tmp_path / "out")
    tuning.tune.step()
    tuning.tune.save(tmp_path / "out")
    chats(tmp_path / "other", 25)
    tuning.close()
    with pytest.raises(InputError, match="another model, other data or other settings"):
        opened(model, tmp_path / "out", resume=True, data="other")


def test_the_adapter_is_the_run_as_it_ended(model, tmp_path):
    tuning = to_the_end(opened(model, tmp_path / "out"))
    found = adapter.read(tmp_path / "out", tuning.base.config)

    for name, part in found.parts.items():
        torch.testing.assert_close(part.delta(), tuning.tune.adapter.parts[name].delta())


def changed(**fields):
    return msgspec.structs.replace(SETTINGS, **fields)


def test_blocks_run_again_give_the_same_bits(model, tmp_path):
    plain, again = (opened(model, tmp_path / str(r), changed(recompute=r)) for r in (False, True))
    for _ in range(2):
        plain.tune.step(), again.tune.step()

    for name, parameter in plain.tune.parameters.items():
        assert torch.equal(parameter, again.tune.parameters[name]), name


def test_a_loss_that_is_no_number_changes_nothing_and_is_said(model, tmp_path):
    tuning = opened(model, tmp_path / "out")
    part = next(iter(tuning.tune.adapter.parts.values()))
    with torch.no_grad():
        part.a[..., 0, 0] = float("nan")
    before = {name: p.detach().clone() for name, p in tuning.tune.parameters.items()}

    with pytest.raises(InputError, match="nothing was changed by it"):
        tuning.tune.step()
    for name, parameter in tuning.tune.parameters.items():
        torch.testing.assert_close(parameter, before[name], equal_nan=True, rtol=0, atol=0)


def test_rows_together_change_memory_and_nothing_else(model, tmp_path):
    runs = []
    for together in (1, 2):
        tuning = opened(model, tmp_path / str(together), changed(together=together))
        runs.append(tuning.tune.step())
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-5)
    assert runs[0].norm == pytest.approx(runs[1].norm, rel=1e-3)


def test_a_chat_without_an_assistant_is_named(tmp_path):
    source(tmp_path / "model", "llama")
    (tmp_path / "data.jsonl").write_text('{"messages": [{"role": "user", "content": "alone"}]}\n')
    with pytest.raises(InputError, match=r"no assistant speaks \('alone'"):
        opened(tmp_path / "model", tmp_path / "out", data="data.jsonl")


def test_data_that_is_refused_leaves_the_folder_free(tmp_path):
    """It once held a recipe by then, and the next try was sent to --resume."""
    source(tmp_path / "model", "llama")
    data = tmp_path / "data.jsonl"
    data.write_text('{"messages": [{"role": "user", "content": "alone"}]}\n')
    with pytest.raises(InputError, match="no assistant speaks"):
        opened(tmp_path / "model", tmp_path / "out", data=data.name)
    data.write_text((chats(tmp_path / "data") / "part-00000.jsonl").read_text())

    opened(tmp_path / "model", tmp_path / "out", data=data.name)

    assert (tmp_path / "out" / "tokenizer" / "tokenizer.json").is_file()


def test_settings_that_are_refused_leave_the_recipe_as_it_was(model, tmp_path):
    tuning = opened(model, tmp_path / "out")
    tuning.tune.step()
    tuning.tune.save(tmp_path / "out")
    tuning.close()
    before = (tmp_path / "out" / "recipe.toml").read_bytes()

    with pytest.raises(InputError, match="other settings"):
        opened(model, tmp_path / "out", changed(rank=3), resume=True)

    assert (tmp_path / "out" / "recipe.toml").read_bytes() == before


@pytest.mark.parametrize("wrong, said", [({"rank": 0}, "rank is 0"), ({"rows": 3}, "multiple")])
def test_settings_that_make_no_sense_are_named(wrong, said):
    with pytest.raises(InputError, match=said):
        Settings(**{"together": 2, "rows": 4} | wrong)


def test_killed_at_any_moment_it_goes_on_from_a_whole_checkpoint(tmp_path):
    """SIGKILL while it runs; then the same command with --resume reaches the end."""
    source(tmp_path / "model", "llama")
    chats(tmp_path / "data", 200)
    words = ["learn", "tune", str(tmp_path / "model"), "--data", str(tmp_path / "data")]
    words += ["-o", str(tmp_path / "out"), "--rows", "2", "--together", "2", "--length", "96"]
    words += ["--threads", "1", "--json"]
    program = "import sys; from farthing.cli import main; sys.exit(main())"
    run = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE)
    for _ in range(4):
        run.stdout.readline()
    run.kill()
    run.wait()
    run.stdout.close()
    assert main([*words, "--resume"]) == 0
    assert (tmp_path / "out" / adapter.WEIGHTS).exists()
    steps = [line["step"] for line in lines(tmp_path / "out" / "log.jsonl")]
    assert steps == list(range(1, steps[-1] + 1))


def test_from_chats_to_a_model_that_is_served(tmp_path, monkeypatch, capsys):
    """tune, merge, pull: the packed model has the sums, rounded to bf16."""
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))
    source(tmp_path / "model", "qwen3_moe")
    model, out, merged = (str(tmp_path / name) for name in ("model", "out", "merged"))
    data = ["--data", str(chats(tmp_path / "data"))]
    assert main(["learn", "tune", model, *data, "-o", out, "--threads", "1"]) == 0
    assert main(["learn", "merge", model, out, "-o", merged]) == 0
    assert main(["pull", merged]) == 0

    base = read(tmp_path / "model", torch.float32)
    expected = adapter.read(tmp_path / "out", base.config).merged(base.weights)
    served = read(tmp_path / "home" / "models" / "merged", torch.float32).weights
    changed = 0
    for name, tensor in expected.items():
        if tensor.ndim > 1:
            tensor = tensor.bfloat16().float()
        assert torch.equal(served[name], tensor), name
        changed += not torch.equal(tensor, base.weights[name])
    assert changed == len(adapter.read(tmp_path / "out", base.config).parts)
    assert checkpoint.saved(tmp_path / "out")


def test_what_is_for_pretraining_s_runs_says_what_is_for_tuning_s(tmp_path, capsys):
    source(tmp_path / "model", "llama")
    chats(tmp_path / "data")
    to_the_end(opened(tmp_path / "model", tmp_path / "out"))
    out = str(tmp_path / "out")

    assert main(["learn", "publish", out, "-o", str(tmp_path / "published")]) == 2
    assert "`farthing learn merge MODEL" in capsys.readouterr().err
    assert main(["learn", "report", out]) == 2
    assert "log.jsonl" in capsys.readouterr().err


def test_no_steps_change_nothing_to_the_bit(tmp_path):
    source(tmp_path / "model", "llama")
    chats(tmp_path / "data")
    tuning = opened(tmp_path / "model", tmp_path / "out")
    adapter_write.write(tmp_path / "out", tuning.tune.adapter, base="model")
    words = [str(tmp_path / "model"), str(tmp_path / "out"), "-o", str(tmp_path / "merged")]
    assert main(["learn", "merge", *words]) == 0

    before, after = (read(tmp_path / name, torch.float32).weights for name in ("model", "merged"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
