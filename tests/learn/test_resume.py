"""A run that was stopped, however it was, ends with the weights of one that was not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from farthing.cli import main
from farthing.learn import checkpoint, journal
from learn import toy_run

STEPS = 12
PROGRAM = [sys.executable, "-c", "import sys; from farthing.cli import main; sys.exit(main())"]
ASKED = ("--threads", "1", "--json")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    toy_run.data(folder / "more", seed=2)
    train = [{"path": "train"}, {"path": "more", "share": 0.5}]
    return toy_run.recipe(folder, STEPS, next_token={}, data={"train": train})


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory) -> checkpoint.Checkpoint:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(["learn", "pretrain", str(recipe), "-o", str(out), *ASKED]) == 0
    return checkpoint.load(checkpoint.newest(out))


def command(recipe: Path, out: Path) -> list[str]:
    return [*PROGRAM, "learn", "pretrain", str(recipe), "-o", str(out), *ASKED]


def stop_after(step: int, sent: int, recipe: Path, out: Path) -> int:
    """Runs until the log's line of a step is told, sends the signal; returns the exit code."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(recipe, out), stdout=subprocess.PIPE, env=environ)
    assert process.stdout is not None
    for _ in range(step):
        process.stdout.readline()
    time.sleep(random.Random(sent).random() / 50)  # within the next step, or its checkpoint
    process.send_signal(sent)
    process.communicate(timeout=60)
    return process.returncode


@pytest.fixture(autouse=True)
def torch_as_it_was():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_and_resumed_is_the_same_to_the_bit(sent, recipe, undisturbed, tmp_path):
    out = tmp_path / "run"
    code = stop_after(random.Random(int(sent)).randint(2, STEPS - 3), sent, recipe, out)
    assert code == (-sent if sent == signal.SIGKILL else 128 + sent)
    done = checkpoint.load(checkpoint.newest(out)).step
    assert 0 < done < STEPS
    assert subprocess.run([*command(recipe, out), "--resume"], check=False).returncode == 0

    found = checkpoint.load(checkpoint.newest(out))
    assert found.step == undisturbed.step == STEPS
    assert found.tensors.keys() == undisturbed.tensors.keys()
    different = [n for n, t in found.tensors.items() if not torch.equal(t, undisturbed.tensors[n])]
    assert not different
    steps = [line["step"] for line in journal.lines(out / "log.jsonl")]
    assert steps == list(range(1, STEPS + 1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_random_moments_it_is_the_same_to_the_bit(seed, recipe, undisturbed, tmp_path):
    out, drawn = tmp_path / "run", random.Random(seed)
    while not (found := checkpoint.saved(out)) or checkpoint.load(found[-1]).step < STEPS:
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        asked = [*command(recipe, out), "--resume"]
        process = subprocess.Popen(asked, stdout=subprocess.PIPE, env=environ)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(drawn.random() / 2)
        process.kill()
        process.communicate(timeout=60)
    last = checkpoint.load(found[-1])
    assert all(torch.equal(t, undisturbed.tensors[n]) for n, t in last.tensors.items())
    steps = [line["step"] for line in journal.lines(out / "log.jsonl")]
    assert steps == list(range(1, STEPS + 1))


def test_work_that_a_kill_undid_is_still_counted(tmp_path):
    out, recipe = tmp_path / "run", toy_run.recipe(tmp_path, 4)
    assert main(["learn", "pretrain", str(recipe), "-o", str(out), *ASKED]) == 0
    before = [line["elapsed"] for line in journal.lines(out / "log.jsonl")]
    for path in checkpoint.saved(out):
        shutil.rmtree(path)
    assert main(["learn", "pretrain", str(recipe), "-o", str(out), "--resume", *ASKED]) == 0
    after = [line["elapsed"] for line in journal.lines(out / "log.jsonl")]
    assert len(after) == 4 and after[0] > before[-1]
