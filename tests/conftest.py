"""What every test gets: a home of its own, the real model if it asks, and honest omissions.

A test that needs something pip cannot bring says `@pytest.mark.needs("chromium")`. Where that is
missing the test is left out, and the end of the run names what to install.
"""

import signal
from collections import Counter
from pathlib import Path

import pytest

from farthing import store
from needed import NEEDED
from shipped import shipped_gguf

LEFT_OUT = pytest.StashKey[Counter[str]]()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FARTHING_HOME of this test alone: no test reads or writes the user's models and ledger."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FARTHING_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real SmolLM2-135M-Instruct, packed once a session: a folder that no test changes."""
    gguf = shipped_gguf()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HOME", str(tmp_path_factory.mktemp("packed")))
        return store.pull(str(gguf), name="smollm2-135m").model.folder


@pytest.fixture
def smollm2_home(home: Path, smollm2: Path) -> Path:
    """A home that holds the real model under its name: for verbs and servers."""
    (home / "models").mkdir()
    (home / "models" / smollm2.name).symlink_to(smollm2)
    return home


def pytest_configure() -> None:
    """A shell starts background jobs deaf to ^C, and their children too: tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    for what, count in sorted(config.stash.get(LEFT_OUT, Counter()).items()):
        terminalreporter.write_line(
            f"left out: {count} that need {what}; to run them: {NEEDED[what].install}"
        )
