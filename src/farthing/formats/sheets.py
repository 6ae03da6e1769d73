"""A file written in large equal pieces. Knows nothing of what is in them."""

from typing import IO

SHEET = 1 << 21


class Sheets:
    """Writes a new file SHEET bytes at a time, on multiples of that.

    The kernel then keeps it in pages that large, which the processor finds faster: a product that
    reads gigabytes of mapped weights gains some percent.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.held, self.written = file, bytearray(), 0

    def tell(self) -> int:
        return self.written + len(self.held)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        while view:
            taken = view[: SHEET - len(self.held)]
            self.held += taken
            view = view[len(taken) :]
            if len(self.held) == SHEET:
                self._turn()

    def pad(self, to: int) -> None:
        """Zeros up to that place, which is not behind."""
        while self.tell() < to:
            self.write(bytes(min(SHEET, to - self.tell())))

    def end(self) -> None:
        """Writes the last piece."""
        self._turn()

    def _turn(self) -> None:
        self.file.write(self.held)
        self.written += len(self.held)
        self.held.clear()
