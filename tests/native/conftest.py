"""Every test that asks for `isa` runs on each instruction set of this machine."""

from collections.abc import Iterator

import pytest

from farthing.engine.isa import runnable


@pytest.fixture(params=runnable())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("FARTHING_ISA", request.param)
    yield request.param
