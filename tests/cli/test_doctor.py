"""`farthing doctor`: what it reports of this machine, and what it calls amiss."""

import json
from fractions import Fraction

import pytest

from farthing import cli, machine
from farthing.cli import doctor
from farthing.ops import isa

SPEED = doctor.Speed(
    read_bytes=40e9,
    int8_operations=2e12,
    int8_instruction="a",
    bf16_operations=1e12,
    bf16_instruction="b",
)
HEALTHY = machine.Memory(total=8 << 30, available=4 << 30, limit=None)
TWO = machine.Cores(present=2, allowed=2, quota=None)


@pytest.fixture
def quick(monkeypatch):
    """Nothing is measured: the figures of another day do."""
    monkeypatch.setattr(doctor, "measure", lambda threads, size: SPEED)


def amiss(cores=TWO, memory=HEALTHY, disk=1 << 40) -> str:
    return "\n".join(doctor.machine_amiss(cores, memory, disk))


def test_every_compiled_instruction_set_is_listed_with_its_reason(quick, capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name, missing in isa.compiled().items():
        assert f"{name:12}" + (f"not here: the processor lacks {missing}" if missing else "") in out
    assert "40.0 GB/s" in out and "tokens/s at int4" in out


def test_json_holds_what_the_page_shows(quick, capsys, home):
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cores"]["usable"] == machine.cores().usable
    assert told["speed"]["read_bytes"] == 40e9
    assert (told["home"], told["models"], told["problems"]) == (str(home), 0, [])


def test_a_forced_instruction_set_is_amiss_if_a_better_one_runs(quick, capsys, monkeypatch):
    monkeypatch.setenv("FARTHING_ISA", "portable")
    assert cli.main(["doctor"]) == 1
    assert "FARTHING_ISA forces portable" in capsys.readouterr().out


def test_a_healthy_machine_has_nothing_amiss():
    assert amiss() == ""


def test_too_many_threads_for_the_cgroup_are_amiss():
    boxed = machine.Cores(present=8, allowed=8, quota=Fraction(5, 2))
    assert "allows 2.5 of 8 cores" in (told := amiss(cores=boxed)) and "--threads 2" in told


def test_little_memory_and_little_disk_are_amiss(home):
    small = machine.Memory(total=1 << 30, available=1 << 29, limit=None)
    assert "536.9 MB of memory are free" in amiss(memory=small)
    assert f"are free in {home}; set FARTHING_HOME" in amiss(disk=1 << 20)


def test_a_damaged_model_is_amiss(quick, capsys, home):
    (home / "models" / "broken").mkdir(parents=True)
    assert cli.main(["doctor"]) == 1
    assert "broken is damaged" in capsys.readouterr().out


def test_what_is_measured_is_a_speed():
    found = doctor.measure(1, 1 << 24)
    assert found.read_bytes > 1e6 and found.int8_operations > 1e6
    assert found.int8_instruction and found.bf16_instruction
