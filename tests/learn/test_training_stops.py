"""What makes a run stop is named, and what it had is kept."""

import json
import resource
import shutil
from contextlib import contextmanager

import pytest
import torch

from farthing.cli import main
from farthing.learn import checkpoint, journal
from farthing.learn.batches import Rows
from farthing.learn.blame import pieces
from farthing.learn.corpus import Corpus
from farthing.learn.place import claimed
from farthing.learn.training import opened
from learn import toy_run

ASKED = ("--json",)


@pytest.fixture(autouse=True)
def torch_as_it_was():
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_LEARN_PRETRAIN_THREADS", "1")
        patch.setattr("farthing.learn.work.peak", lambda **_: 1e11)
        patch.setattr("farthing.cli.learn_job.write_report", str)
        yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def pretrain(recipe, out, *more: str) -> int:
    return main(["learn", "pretrain", str(recipe), "-o", str(out), *ASKED, *more])


@contextmanager
def room_for_files_of(size: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_loss_that_is_no_number_stops_at_the_last_good_checkpoint(tmp_path, capsys):
    out = tmp_path / "run"
    recipe = toy_run.recipe(tmp_path, 40, optimizer={"rate": 1e6, "clip": 0.0})
    assert pretrain(recipe, out) == 2
    told = capsys.readouterr().err
    blame = json.loads((out / "not-finite.json").read_text())
    last = checkpoint.load(checkpoint.newest(out))
    assert last.step == blame["step"] - 1
    assert f"step {blame['step']} is no number" in told and f"step-{last.step:08}" in told
    assert blame["pieces"][0]["corpus"] == "train" and "train:" in told
    steps = [line["step"] for line in journal.lines(out / "log.jsonl")]
    assert steps == list(range(1, last.step + 1))


def test_a_run_that_went_astray_goes_on_with_another_recipe(tmp_path, capsys):
    out, again = tmp_path / "run", tmp_path / "again"
    assert pretrain(toy_run.recipe(tmp_path, 6), out) == 0
    calmer = toy_run.recipe(tmp_path, 9, optimizer={"rate": 0.001})
    assert pretrain(calmer, out, "--resume") == 2
    assert "another recipe" in capsys.readouterr().err
    assert "0.001" not in (out / "recipe.toml").read_text(), "a refusal changes nothing"
    start = str(checkpoint.newest(out))
    assert pretrain(calmer, again, "--start", start) == 0
    assert [line["step"] for line in journal.lines(again / "log.jsonl")] == [7, 8, 9]
    assert pretrain(calmer, again, "--resume", "--start", start) == 2
    assert "leave out --start" in capsys.readouterr().err
    assert pretrain(toy_run.recipe(tmp_path, 6), tmp_path / "third", "--start", start) == 2
    assert "ends at step 6" in capsys.readouterr().err


def test_a_run_killed_before_its_first_checkpoint_still_began_where_it_began(tmp_path):
    out, again = tmp_path / "run", tmp_path / "again"
    assert pretrain(toy_run.recipe(tmp_path, 6), out) == 0
    calmer = toy_run.recipe(tmp_path, 9, optimizer={"rate": 0.001})
    with opened(calmer, again, start=checkpoint.newest(out)):
        pass  # no step was made
    assert pretrain(calmer, again, "--resume") == 0
    assert [line["step"] for line in journal.lines(again / "log.jsonl")] == [7, 8, 9]
    assert json.loads((again / "facts.json").read_bytes())["started"]["step"] == 6


@pytest.mark.parametrize("matrices", ["muon", "adamw"])
def test_moments_of_another_optimizer_are_refused(matrices, tmp_path, capsys):
    other = {"muon": "adamw", "adamw": "muon"}[matrices]
    out = tmp_path / "run"
    assert pretrain(toy_run.recipe(tmp_path, 2, optimizer={"matrices": matrices}), out) == 0
    recipe = toy_run.recipe(tmp_path, 4, optimizer={"matrices": other})
    start = str(checkpoint.newest(out))
    assert pretrain(recipe, tmp_path / "again", "--start", start) == 3
    assert "optimizer.matrices has to be" in capsys.readouterr().err
    assert not (tmp_path / "again" / "recipe.toml").exists()


def test_the_pieces_of_a_row_are_its_tokens(tmp_path):
    for seed, name in enumerate(("a", "b")):
        toy_run.data(tmp_path / name, seed=seed)
    corpora = [Corpus.open(tmp_path / name) for name in ("a", "b")]
    rows = Rows(corpora, [2.0, 1.0], length=32, rows=200, seed=5)
    for row in (0, 7, 100, 199):
        found = list(pieces(rows, row))
        tokens = rows.take(row, 1).tokens[0].tolist()
        assert len({piece.corpus for piece in found}) == 1
        at = 0
        for place, piece in enumerate(found):
            corpus = corpora[piece.corpus]
            start, stop = corpus.starts[piece.document : piece.document + 2]
            text = corpus.tokens[start:stop].tolist()
            if place == 0:  # it may have begun in the row before
                while tokens[: len(text)] != text[:32]:
                    text = text[1:]
            assert tokens[at : at + len(text)] == text[: 32 - at]
            at += len(text)
        assert at >= 32


def test_a_full_disk_at_a_checkpoint_leaves_the_one_before(tmp_path, capsys):
    out, recipe = tmp_path / "run", toy_run.recipe(tmp_path, 12)
    assert pretrain(recipe, out) == 0
    shutil.rmtree(checkpoint.newest(out))  # so that the last step is to be made again
    before = checkpoint.newest(out)
    capsys.readouterr()
    with room_for_files_of(100_000):
        assert pretrain(recipe, out, "--resume") == 1
    told = capsys.readouterr().err
    assert f"{before.name} is whole and stays" in told
    assert checkpoint.saved(out) == [before] and not list(out.glob(".step*"))
    assert pretrain(recipe, out, "--resume") == 0
    assert checkpoint.newest(out).name == "step-00000012"


def test_a_full_disk_in_the_middle_stops_nothing(tmp_path, capsys, monkeypatch):
    out, recipe = tmp_path / "run", toy_run.recipe(tmp_path, 6)
    monkeypatch.setattr("farthing.learn.training.RETRY", 0.0)
    save, tried = checkpoint.save_file, []

    def full_at_first(*arguments):
        tried.append(None)
        with room_for_files_of(1000 if len(tried) < 4 else 1 << 30):
            save(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", full_at_first)
    assert pretrain(recipe, out) == 0
    assert capsys.readouterr().err.count("the run goes on and tries again") == 3
    assert checkpoint.load(checkpoint.newest(out)).step == 6


def test_a_log_that_finds_no_room_is_written_later(tmp_path):
    log, _ = journal.Journal.open(tmp_path / "log.jsonl", 0)
    lines = [{"step": step, "elapsed": 0.5 * step, "more": "x" * 100} for step in range(1, 5)]
    assert log.write(lines[0]) is None
    with room_for_files_of(200):
        assert log.write(lines[1]) is not None
        assert log.write(lines[2]) is not None
    assert log.write(lines[3]) is None
    assert list(journal.lines(tmp_path / "log.jsonl")) == lines


@pytest.mark.parametrize("done", [0, 2, 3])
def test_lines_of_steps_that_are_made_again_go(done, tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [{"step": step, "elapsed": float(step)} for step in (1, 2, 3)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "ela')
    _, elapsed = journal.Journal.open(path, done)
    assert elapsed == 3.0
    assert list(journal.lines(path)) == lines[:done]


def test_a_folder_is_for_one_run_and_one_process(tmp_path, capsys):
    recipe, out = toy_run.recipe(tmp_path, 4), tmp_path / "run"
    assert pretrain(recipe, out) == 0
    assert pretrain(recipe, out) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert pretrain(recipe, tmp_path / "train") == 2
    assert "holds no run" in capsys.readouterr().err
    with claimed(tmp_path / "new", resume=False):
        assert pretrain(recipe, tmp_path / "new") == 2
    assert "another process" in capsys.readouterr().err
    assert pretrain(recipe, tmp_path / "new") == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    recipe = toy_run.recipe(tmp_path, 4)
    assert pretrain(recipe, recipe / "run") == 2
    assert "can't be a run's folder: Not a directory" in capsys.readouterr().err


def test_no_room_at_all_is_told(tmp_path, capsys):
    recipe = toy_run.recipe(tmp_path, 4)
    with room_for_files_of(10):
        assert pretrain(recipe, tmp_path / "run") == 1
    assert "recipe.toml can't be written: File too large" in capsys.readouterr().err
    assert pretrain(recipe, tmp_path / "run") == 0


def test_other_data_is_refused_and_other_threads_are_told(tmp_path, capsys):
    recipe, out = toy_run.recipe(tmp_path, 6), tmp_path / "run"
    assert pretrain(recipe, out) == 0
    assert (
        main(["learn", "pretrain", str(recipe), "-o", str(out), "--resume", "--threads", "2"]) == 0
    )
    assert "threads was 1 and is 2" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "train")
    toy_run.data(tmp_path / "train", seed=9)
    assert pretrain(recipe, out, "--resume") == 2
    assert "the data is not what the run began with" in capsys.readouterr().err


def test_tokens_beyond_the_vocabulary_are_refused(tmp_path, capsys):
    small = toy_run.SPARSE | {"vocab_size": 100}
    assert pretrain(toy_run.recipe(tmp_path, model=small), tmp_path / "run") == 2
    assert "has token 127" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_model_beyond_the_memory_is_refused(tmp_path, capsys):
    giant = toy_run.DENSE | {"vocab_size": 1 << 24, "hidden_size": 1 << 16}
    assert pretrain(toy_run.recipe(tmp_path, model=giant), tmp_path / "run") == 2
    assert "choose a smaller [model]" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["state.safetensors", "run.json"])
def test_a_damaged_checkpoint_is_named(file, tmp_path, capsys):
    recipe, out = toy_run.recipe(tmp_path, 4), tmp_path / "run"
    assert pretrain(recipe, out) == 0
    path = checkpoint.newest(out) / file
    path.write_bytes(path.read_bytes()[:50])
    assert pretrain(recipe, out, "--resume") == 3
    assert "is no whole checkpoint" in capsys.readouterr().err
