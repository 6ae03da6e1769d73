"""What every test gets: a home of its own, the real model if it asks, and honest omissions.

A test that needs something pip cannot bring says `@pytest.mark.needs("chromium")`. Where that is
missing the test is left out, and the end of the run names what to install.
"""

from collections import Counter
from pathlib import Path

import pytest

from needed import NEEDED

LEFT_OUT = pytest.StashKey[Counter[str]]()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FARTHING_HOME of this test alone: no test reads or writes the user's models and ledger."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FARTHING_HOME", str(folder))
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    missing = config.stash.setdefault(LEFT_OUT, Counter())
    for item in items:
        wants = [what for mark in item.iter_markers("needs") for what in mark.args]
        lacking = [what for what in wants if not NEEDED[what].here()]
        missing.update(lacking)
        (dropped if lacking else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for what, count in sorted(config.stash[LEFT_OUT].items()):
        terminalreporter.write_line(
            f"left out: {count} that need {what}; to run them: {NEEDED[what].install}"
        )
