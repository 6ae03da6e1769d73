"""Brings rows to the ledger in batches, from a thread of its own: nobody waits for the disk."""

import threading
from types import TracebackType

from farthing.errors import Busy, FarthingError
from farthing.meter.ledger import Ledger
from farthing.meter.rows import ClockRow, RequestRow

EVERY = 0.5
"""Seconds between batches. A killed process loses what came since the last one."""

MOST = 100_000
"""Rows kept while the ledger cannot be written; then new work is refused rather than given away."""


class Writer:
    """`add` from any thread; rows are on the ledger half a second later, or at `close`."""

    def __init__(self, ledger: Ledger, *, every: float = EVERY, most: int = MOST) -> None:
        self.ledger, self.every, self.most = ledger, every, most
        self.fault: str | None = None
        """Why the last batch could not be written; its rows are kept and tried again."""
        self.written = 0
        self._requests: list[RequestRow] = []
        self._clocks: list[ClockRow] = []
        self._adding, self._flushing = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def add(self, row: RequestRow | ClockRow) -> None:
        """Raises nothing: work that was done is billed, whatever the ledger's state."""
        with self._adding:
            if isinstance(row, RequestRow):
                self._requests.append(row)
            else:
                self._clocks.append(row)

    def check(self) -> None:
        """To be asked before work is taken on. Raises Busy where bills pile up unwritten."""
        if len(self._requests) + len(self._clocks) >= self.most:
            raise Busy(f"{self.most} bills wait for the ledger: {self.fault or 'it is slow'}")

    def flush(self) -> None:
        """Write what has been added. Raises FarthingError where that fails; rows are kept."""
        with self._flushing:
            with self._adding:
                requests, clocks = self._requests, self._clocks
                self._requests, self._clocks = [], []
            if not requests and not clocks:
                return
            try:
                self.written += self.ledger.append(requests, clocks)
            except FarthingError as error:
                self.fault = str(error)
                with self._adding:
                    self._requests = requests + self._requests
                    self._clocks = clocks + self._clocks
                raise
            self.fault = None

    def close(self) -> None:
        """Write the rest and stop. Raises FarthingError where the rest could not be written."""
        self._closing.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.wait(self.every):
            try:
                self.flush()
            except FarthingError:
                # Told in `fault`, and tried again.
                continue

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
