"""A file written in sheets is the bytes that were written, in whole sheets but the last."""

import io

from hypothesis import given
from hypothesis import strategies as st

from farthing.formats import sheets
from farthing.formats.sheets import Sheets


class Watched(io.BytesIO):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def write(self, data, /):
        self.sizes.append(len(data))
        return super().write(data)


@given(st.lists(st.binary(max_size=30) | st.integers(0, 40), max_size=12))
def test_what_is_written_is_what_came_and_in_whole_sheets(pieces):
    file, whole, before = Watched(), b"", sheets.SHEET
    sheets.SHEET = 8
    try:
        out = Sheets(file)
        for piece in pieces:
            if isinstance(piece, bytes):
                out.write(piece)
                whole += piece
            else:
                whole += bytes(max(0, piece - len(whole)))
                out.pad(piece)
            assert out.tell() == len(whole)
        out.end()
    finally:
        sheets.SHEET = before
    assert file.getvalue() == whole
    assert all(size == 8 for size in file.sizes[:-1])
