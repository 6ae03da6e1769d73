"""Documents in Parquet: the same rows as in JSONL, for those who keep their data so.

Columns are the fields of a document; `messages` is a list of {role, content}. Wants pyarrow:
`pip install 'farthing[parquet]'`.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from farthing.errors import InputError

SUFFIX = ".parquet"
TOGETHER = 1024
"""Rows that are decoded at once."""
COMPRESSION = "zstd"


def rows(file: Path, longest: int) -> Iterator[tuple[int, bytes]]:
    """Row numbers from 1, and each row as a line of JSONL. Raises InputError naming the file and
    row, for a file that is no Parquet and for a row over `longest` bytes."""
    number = 0
    for batch in _batches(file):
        for row in batch.to_pylist():
            number += 1
            given = {name: value for name, value in row.items() if value is not None}
            line = _encoded(given, f"{file}, line {number}")
            if len(line) > longest:
                raise InputError(f"{file}, line {number}: over {longest} bytes; split the document")
            yield number, line


def count(file: Path) -> int:
    arrow = _arrow()
    try:
        return int(_parquet().read_metadata(file).num_rows)
    except (OSError, arrow.ArrowException) as error:
        raise _damaged(file, error) from None


def converted(file: Path, fields: tuple[str, ...]) -> Path:
    """A JSONL file of documents written again as Parquet beside it; the JSONL goes."""
    arrow = _arrow()
    message = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    kinds = {"messages": arrow.list_(message)}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in fields])
    target = file.with_suffix(SUFFIX)
    with (
        file.open("rb") as lines,
        _parquet().ParquetWriter(target, schema, compression=COMPRESSION) as writer,
    ):
        while some := [line for _, line in zip(range(TOGETHER), lines, strict=False)]:
            found = [msgspec.json.decode(line) for line in some]
            writer.write_table(arrow.Table.from_pylist(found, schema=schema))
    file.unlink()
    return target


def _batches(file: Path) -> Iterator[Any]:
    arrow = _arrow()
    try:
        with _parquet().ParquetFile(file) as opened:
            yield from opened.iter_batches(batch_size=TOGETHER)
    except (OSError, arrow.ArrowException) as error:
        raise _damaged(file, error) from None


def _encoded(row: dict[str, Any], where: str) -> bytes:
    try:
        return msgspec.json.encode(row)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{where}: {error}") from None


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(f"{file} can't be read as Parquet: {str(error)[:200]}")


def _arrow() -> Any:
    try:
        return import_module("pyarrow")
    except ModuleNotFoundError:
        raise InputError(
            "Parquet needs pyarrow, which is not installed: `pip install 'farthing[parquet]'`"
        ) from None


def _parquet() -> Any:
    _arrow()
    return import_module("pyarrow.parquet")
