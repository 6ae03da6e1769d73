"""`farthing quantize` stopped in the middle: nothing looks whole, and it goes on from there."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farthing.cli import main, quantize_job, quantize_write
from farthing.errors import Busy, NotFound
from farthing.quantize import text
from farthing.store import shelf, space
from quantize import walk_toys as toys

LAYERS = 4
ASKED = ("--samples", "6", "--length", "96", "--threads", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    toys.dense(folder, num_hidden_layers=LAYERS)
    return folder


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory) -> dict[str, bytes]:
    """What comes out when nobody stops it."""
    out = tmp_path_factory.mktemp("whole") / "tiny-4"
    assert main(["quantize", str(model), "-o", str(out), *ASKED]) == 0
    return files(out)


@pytest.fixture(autouse=True)
def same_threads(monkeypatch):
    """The verb sets these for its process."""
    for name in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM"):
        monkeypatch.setenv(f"{name}_NUM_THREADS".replace("MAXIMUM_NUM", "MAXIMUM"), "1")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def nothing_looks_whole(out: Path) -> None:
    assert not out.exists()
    found = {path.name for path in out.parent.iterdir()}
    assert found == {f".{out.name}.partial"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_process_ended_from_outside_leaves_work_to_go_on_with(sent, model, whole, tmp_path):
    out = tmp_path / "tiny-4"
    code = "import sys; from farthing.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "quantize", str(model), "-o", str(out), *ASKED]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    begun = tmp_path / ".tiny-4.partial" / "sections" / "section-0001"
    while not begun.exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(sent)
    _, said = process.communicate()
    interrupted = sent == signal.SIGINT
    assert process.returncode == (130 if interrupted else -sent), "it was done before" + said
    assert ("stopped; what is finished lies in" in said) == interrupted
    assert "Traceback" not in said
    nothing_looks_whole(out)
    assert main(["quantize", str(model), "-o", str(out), *ASKED]) == 0
    assert files(out) == whole
    assert list(tmp_path.iterdir()) == [out]


def interrupt(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGINT)


class Moments:
    """Ways to be interrupted, each at another moment."""

    @staticmethod
    def writing_texts(patch: pytest.MonkeyPatch) -> None:
        real = text.written_by
        patch.setattr(
            quantize_job.text, "written_by", lambda *a, **b: real(*a, **b | {"told": interrupt})
        )

    @staticmethod
    def keeping_texts(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("numpy.save", interrupt)

    @staticmethod
    def quantizing(patch: pytest.MonkeyPatch) -> None:
        real = quantize_job.section

        def section(tell, progress):
            real(tell, progress)
            if progress.section == LAYERS:
                interrupt()

        patch.setattr(quantize_job, "section", section)

    @staticmethod
    def writing_the_model(patch: pytest.MonkeyPatch) -> None:
        real = quantize_write.packed.write

        def write(folder, *rest, progress, **named):
            stop = interrupt if folder.name == "whole" else progress
            real(folder, *rest, progress=stop, **named)

        patch.setattr(quantize_write.packed, "write", write)

    @staticmethod
    def before_it_appears(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("farthing.cli.quantize_place.Place.appear", interrupt)


@pytest.mark.parametrize("moment", [name for name in vars(Moments) if not name.startswith("_")])
def test_whenever_it_is_stopped_the_same_command_makes_the_same(
    moment, model, whole, tmp_path, capsys
):
    out = tmp_path / "tiny-4"
    command = ["quantize", str(model), "-o", str(out), *ASKED]
    with pytest.MonkeyPatch.context() as patch:
        getattr(Moments, moment)(patch)
        assert main(command) == 130
    assert "farthing: stopped; " in (said := capsys.readouterr().err)
    assert not out.exists()
    assert ("what is finished lies in" in said) == bool(list(tmp_path.iterdir()))
    assert main(command) == 0
    assert files(out) == whole


def test_texts_and_sections_are_not_made_twice(model, tmp_path, monkeypatch, capsys):
    command = ["quantize", str(model), "-o", str(tmp_path / "out"), *ASKED]
    with pytest.MonkeyPatch.context() as patch:
        Moments.quantizing(patch)
        assert main(command) == 130
    heard = []
    real = quantize_job.section
    monkeypatch.setattr(
        quantize_job, "section", lambda tell, p: (heard.append(p.section), real(tell, p))
    )
    monkeypatch.setattr(quantize_job.text, "written_by", None)
    assert main(command) == 0
    assert min(heard) == LAYERS


def test_another_command_does_not_go_on_with_what_is_there(model, tmp_path, capsys):
    command = ["quantize", str(model), "-o", str(tmp_path / "out"), *ASKED]
    with pytest.MonkeyPatch.context() as patch:
        Moments.quantizing(patch)
        assert main(command) == 130
    for other, told in ((("--bits", "8"), "recipe"), (("--seed", "3"), "text")):
        capsys.readouterr()
        assert main([*command, *other]) == 2
        assert f"a command with another {told};" in capsys.readouterr().err
    (tmp_path / ".out.partial" / "asked.json").write_text("[")
    assert main(command) == 2
    assert "remove the folder" in capsys.readouterr().err


def test_a_damaged_store_of_samples_is_named(model, tmp_path, capsys):
    command = ["quantize", str(model), "-o", str(tmp_path / "out"), *ASKED]
    with pytest.MonkeyPatch.context() as patch:
        Moments.quantizing(patch)
        assert main(command) == 130
    kept = tmp_path / ".out.partial" / "samples.npy"
    kept.write_bytes(kept.read_bytes()[:200])
    assert main(command) == 3
    assert "samples.npy" in capsys.readouterr().err


def test_a_full_disk_is_said_and_what_is_finished_stays(model, whole, tmp_path, capsys):
    out = tmp_path / "tiny-4"
    command = ["quantize", str(model), "-o", str(out), *ASKED]

    real = quantize_write.packed.write

    def write(folder, *rest, **named):
        real(folder, *rest, **named)
        if folder.name == "whole":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize_write.packed, "write", write)
        assert main(command) == 1
    said = capsys.readouterr().err
    assert "the disk is full" in said and "goes on from there" in said
    nothing_looks_whole(out)
    assert main(command) == 0
    assert files(out) == whole


def test_too_little_room_is_known_before_any_work(model, tmp_path, capsys, monkeypatch):
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: real._replace(free=space.RESERVE))
    monkeypatch.setattr(quantize_job.text, "written_by", None)
    assert main(["quantize", str(model), "-o", str(tmp_path / "out"), *ASKED]) == 1
    assert "the new model, with the work on it, takes" in capsys.readouterr().err


def test_an_output_that_appeared_meanwhile_is_not_overwritten(model, tmp_path, capsys):
    out = tmp_path / "out"
    real = quantize_write.write

    def write(*rest, **named):
        real(*rest, **named)
        out.mkdir()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize_write, "write", write)
        assert main(["quantize", str(model), "-o", str(out), "--method", "rtn"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_unfinished_work_is_listed_and_removed(model, monkeypatch, capsys, home):
    """`home` is empty but for it."""
    with monkeypatch.context() as patched:
        patched.setattr(quantize_write, "write", interrupt)
        assert main(["quantize", str(model), "-o", "tiny-4", *ASKED]) == 130
    capsys.readouterr()
    assert main(["ls"]) == 0
    said = capsys.readouterr().out
    assert "unfinished" in said
    assert "`farthing rm tiny-4`" in said
    assert main(["ls", "--json"]) == 0
    assert capsys.readouterr().out.strip() == "[]"
    partial = shelf.partial_of("tiny-4")
    handle = os.open(partial, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert main(["rm", "tiny-4"]) == Busy.exit_code
    assert "at work" in capsys.readouterr().err
    assert partial.exists()
    os.close(handle)
    assert main(["rm", "tiny-4"]) == 0
    assert "removed tiny-4" in capsys.readouterr().out
    assert not partial.exists()
    assert main(["rm", "tiny-4"]) == NotFound.exit_code


def test_a_model_and_what_was_begun_in_its_name_go_together(home, tmp_path):
    folder, partial = shelf.root() / "both", shelf.partial_of("both")
    folder.mkdir(parents=True)
    partial.mkdir()
    (partial / "asked.json").write_text("{}")
    assert main(["rm", "both"]) == 0
    assert not folder.exists()
    assert not partial.exists()
