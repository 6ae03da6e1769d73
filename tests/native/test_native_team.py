"""The team of threads: asleep when there is nothing to do, gone with its program, at home beside
another."""

import gc
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_native import model, valid
from one_op import OneOp
from toy_native import FORMS, config, folder, runner, step, tensors


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def threads_alive() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    c = config()
    return folder(tmp_path_factory.mktemp("team") / "toy", c, tensors(c, FORMS["int4"]))


def test_waiting_threads_use_no_processor() -> None:
    """They spin for 50 us after a step, then sleep in the kernel."""
    program = model(threads=3)
    program.step(*valid().values())
    time.sleep(0.01)
    before = cpu_seconds()
    time.sleep(0.5)
    assert cpu_seconds() - before < 0.05


def test_a_program_takes_its_threads_with_it() -> None:
    before = threads_alive()
    for run in (False, True):  # asleep before the first step, and after one
        program: Any = model(threads=4)
        assert threads_alive() == before + 3
        if run:
            program.step(*valid().values())
            time.sleep(0.01)
        del program
        gc.collect()
        assert threads_alive() == before


def test_arrays_of_slots_keep_their_program() -> None:
    op = OneOp("portable")
    out = op.input(np.ones((4, 16), np.float32))
    op.run(range(4))
    view = op.native.slot_rows(out, 4).view(np.float32)
    del op
    gc.collect()
    assert (view == 1).all()


def test_two_programs_side_by_side_disturb_nothing(toy: Path) -> None:
    """Each stepped from a thread of its own, at the same time."""
    tokens = np.random.default_rng(0).integers(0, 211, 60).tolist()
    expected = runner(toy).logits(step([(0, 0, tokens)]))
    faults: list[str] = []

    def work(threads: int) -> None:
        r = runner(toy, threads=threads)
        for _ in range(10):
            if not np.array_equal(r.logits(step([(0, 0, tokens)])), expected):
                faults.append(f"{threads} threads")

    together = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert not faults


def test_one_step_at_a_time(toy: Path) -> None:
    """A second caller is refused while a step runs; the step is not disturbed."""
    tokens = np.random.default_rng(0).integers(0, 211, 500).tolist()
    r = runner(toy, threads=2)
    expected, refused = r.logits(step([(0, 0, tokens)])), 0
    results: list[bool] = []

    def call() -> None:
        nonlocal refused
        for _ in range(20):
            try:
                results.append(np.array_equal(r.logits(step([(0, 0, tokens)])), expected))
            except ValueError:
                refused += 1

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(results) and results and refused
