"""What is written once and is small says so too when the disk is full, and leaves nothing half."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from taught import chat

from farthing.errors import DiskFull
from farthing.learn import adapter_write, card, documents
from farthing.learn import tokenizer as ours
from farthing.learn.lora import Adapter
from learn.toy_run import DENSE


@contextmanager
def no_room() -> Iterator[None]:
    """No file grows beyond ten bytes: for no longer than a call, since pytest writes files too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def made_card(folder: Path) -> card.Card:
    documents.write(folder, [chat(1)], lambda folder, shards: None)
    tally = card.Tally()
    list(tally.over(documents.read(folder)))
    return tally.card(name="set", made_by="a test", files=[])


def test_a_card(tmp_path: Path) -> None:
    """A sampling that a full disk ends writes one last: its own word was lost in a traceback."""
    made = made_card(tmp_path / "set")
    with no_room(), pytest.raises(DiskFull, match="set can't be written: File too large"):
        card.write(tmp_path / "set", made)


def test_a_tokenizer(tmp_path: Path) -> None:
    made = ours.train(["abcabc abcabc"] * 9, size=ours.LEAST + 2)
    with no_room(), pytest.raises(DiskFull, match="the disk is full"):
        ours.write(made, tmp_path / "tok", context=64, about={})
    assert not list(tmp_path.iterdir())


def test_an_adapter(tmp_path: Path) -> None:
    made = Adapter.fresh(DENSE, ("q_proj",), rank=1, alpha=1.0, seed=0)
    with no_room(), pytest.raises(DiskFull, match=r"adapter_config\.json can't be written"):
        adapter_write.write(tmp_path, made, base="none")
    assert not list(tmp_path.iterdir())
