"""The ledger: a row a request and a row a stretch of the clock, added and never changed.

SQLite by default, any database that SQLAlchemy speaks to when shared.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from farthing.errors import Busy, FarthingError, FormatError, InputError
from farthing.meter.attribution import Reading
from farthing.meter.rate import HOUR, nearest
from farthing.meter.rows import ClockRow, ClockTotal, Line, RequestRow
from farthing.meter.schema import CLOCK, REQUEST, migrate
from farthing.usage import CLASSES

By = Literal["key", "model", "day"]
DAY = 24 * HOUR


class Ledger:
    """Opens (and makes, and brings up to date) the ledger at a path or an SQLAlchemy URL.

    Safe to use from several threads and processes. Raises InputError for a place that cannot be
    used, FormatError for a file that is no ledger, Busy where the database does not answer.
    """

    def __init__(self, where: Path | str) -> None:
        url = _url(where)
        self.name = str(url.database) if url.drivername == "sqlite" else url.render_as_string()
        self._engine = _engine(url)
        self._writing = self._engine.execution_options(farthing_writes=True)
        try:
            with self._open("opened", self._writing) as connection:
                migrate(connection)
        except FarthingError:
            self.close()
            raise

    def append(self, requests: Sequence[RequestRow] = (), clocks: Sequence[ClockRow] = ()) -> int:
        """Add rows in one transaction: all or none. Those already there are left as they are.

        Returns how many were new.
        """
        with self._open("written", self._writing) as connection:
            new = _insert(connection, REQUEST, [_request(row) for row in requests])
            return new + _insert(connection, CLOCK, [_clock(row) for row in clocks])

    def total(self, since: int = 0) -> Line:
        """All requests from a moment on (nanoseconds since 1970)."""
        lines = self._lines(literal("all"), since)
        return lines[0] if lines else Line(name="all")

    def by(self, what: By, since: int = 0) -> list[Line]:
        """Requests by key or model, dearest first, or by day (UTC), earliest first."""
        if what == "day":
            lines = self._lines(REQUEST.c.at_ns // literal(DAY, BigInteger), since)
            return sorted(lines, key=lambda line: line.name)
        lines = self._lines({"key": REQUEST.c.key_name, "model": REQUEST.c.model}[what], since)
        return sorted(lines, key=lambda line: (-line.nanodollars, line.name))

    def clock(self, since: int = 0) -> ClockTotal:
        """The engine's time, and its price as reserved: idle and loading included."""
        c = CLOCK.c
        sums = [func.sum(c[name]) for name in ("busy_ns", "idle_ns", "load_ns")]
        query = select(c.hour_nanodollars, *sums).where(c.from_ns >= since)
        with self._open("read", self._engine) as connection:
            rows = connection.execute(query.group_by(c.hour_nanodollars)).all()
        busy, idle, load = (sum(int(row[i]) for row in rows) for i in (1, 2, 3))
        price = sum((Fraction(int(sum(row[1:])) * row[0], HOUR) for row in rows), Fraction(0))
        return ClockTotal(spent=Reading(busy, idle, load), nanodollars=nearest(price))

    def close(self) -> None:
        self._engine.dispose()

    def _lines(self, group: ColumnElement[Any], since: int) -> list[Line]:
        c = REQUEST.c
        columns = [c[f"{n}_tokens"] for n in CLASSES] + [c[f"{n}_ns"] for n in CLASSES]
        sums = [func.sum(column) for column in (*columns, c.nanodollars)]
        query = select(group.label("name"), func.count(), *sums).where(c.at_ns >= since)
        with self._open("read", self._engine) as connection:
            return [_line(row) for row in connection.execute(query.group_by("name"))]

    @contextmanager
    def _open(self, done: str, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            text = f"the ledger at {self.name} cannot be {done}: {str(cause).strip()}"
            if "not a database" in text or "malformed" in text:
                raise FormatError(f"{text}; move it away and a new one is made") from None
            raise Busy(f"{text}; see that it exists, has room and is reachable") from None


def _url(where: Path | str) -> URL:
    if "://" not in str(where):
        try:
            Path(where).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"no ledger can be made at {where}: {error.strerror}; FARTHING_LEDGER names another"
                " file or database"
            ) from None
        return URL.create("sqlite", database=str(where))
    try:
        url = make_url(str(where))
    except ArgumentError:
        raise InputError(
            "the ledger's address is no URL; like postgresql://user@host/database was expected"
        ) from None
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError:
        raise InputError(
            f"the ledger's address begins with {url.drivername!r}, which SQLAlchemy does not know;"
            " sqlite or postgresql was expected"
        ) from None
    except ModuleNotFoundError as error:
        raise InputError(
            f"a ledger at {url.drivername} needs {error.name}: pip install 'farthing[postgresql]'"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begins)
    return engine


def _sqlite_connected(connection: sqlite3.Connection, _: object) -> None:
    # The driver's own transactions leave out CREATE TABLE: we begin them ourselves.
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    # A commit each half second: waiting for the disk costs little, and power cuts lose no more.
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begins(connection: Connection) -> None:
    # A writer that starts as a reader can fail half-way, where no waiting helps.
    writes = connection.get_execution_options().get("farthing_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    if not rows:
        return 0
    statement = _insert_or_ignore(connection.dialect.name, table)
    if statement is None:
        return _insert_elsewhere(connection, table, rows)
    # What is returned is what was new: drivers count rows in ways of their own.
    return len(connection.execute(statement.returning(*table.primary_key), rows).all())


def _insert_or_ignore(dialect: str, table: Table) -> Insert | None:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return None


def _insert_elsewhere(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    """Without ON CONFLICT: look first. Two writers of one row at once fail, and try again."""
    names = [column.name for column in table.primary_key]
    fresh = {tuple(row[name] for name in names): row for row in reversed(rows)}
    keys = tuple_(*table.primary_key)
    known = connection.execute(select(*table.primary_key).where(keys.in_(list(fresh))))
    for key in known:
        del fresh[tuple(key)]
    if fresh:
        connection.execute(table.insert(), list(fresh.values()))
    return len(fresh)


def _request(row: RequestRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at_ns": row.at,
        "key_name": row.key,
        "model": row.model,
        "finish_reason": row.finish,
        **{f"{name}_tokens": n for name, n in zip(CLASSES, row.tokens, strict=True)},
        **{f"{name}_ns": n for name, n in zip(CLASSES, row.usage.nanoseconds, strict=True)},
        "nanodollars": row.nanodollars,
        "hour_nanodollars": row.hour_nanodollars,
    }


def _clock(row: ClockRow) -> dict[str, Any]:
    return {
        "run": row.run,
        "from_ns": row.begin,
        "to_ns": row.end,
        "busy_ns": row.spent.busy,
        "idle_ns": row.spent.idle,
        "load_ns": row.spent.load,
        "hour_nanodollars": row.hour_nanodollars,
    }


def _line(row: Sequence[Any]) -> Line:
    name, requests, *sums = row
    if isinstance(name, int):
        name = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=name)).date().isoformat()
    whole = [int(value or 0) for value in sums]
    return Line(
        name=name,
        requests=requests,
        tokens=(whole[0], whole[1], whole[2], whole[3]),
        nanoseconds=(whole[4], whole[5], whole[6], whole[7]),
        nanodollars=whole[8],
    )
