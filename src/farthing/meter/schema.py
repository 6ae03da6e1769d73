"""The ledger's tables, and the list of changes that made them. The list only grows.

Statements are plain SQL that SQLite and PostgreSQL both take. Times are nanoseconds (moments since
1970, UTC), money is nano-dollars.
"""

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, insert, select, text
from sqlalchemy import inspect as look

from farthing.errors import FormatError
from farthing.usage import CLASSES

metadata = MetaData()


def _whole(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=False, primary_key=key, autoincrement=False)


def _name(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, String(255), nullable=False, primary_key=key)


REQUEST = Table(
    "farthing_request",
    metadata,
    _name("id", key=True),
    _whole("at_ns"),
    _name("key_name"),
    _name("model"),
    _name("finish_reason"),
    *(_whole(f"{name}_tokens") for name in CLASSES),
    *(_whole(f"{name}_ns") for name in CLASSES),
    _whole("nanodollars"),
    _whole("hour_nanodollars"),
)
CLOCK = Table(
    "farthing_clock",
    metadata,
    _name("run", key=True),
    _whole("from_ns", key=True),
    _whole("to_ns"),
    _whole("busy_ns"),
    _whole("idle_ns"),
    _whole("load_ns"),
    _whole("hour_nanodollars"),
)
MIGRATION = Table("farthing_migration", metadata, _whole("number", key=True), _name("statement"))

MIGRATIONS: tuple[str, ...] = (
    """CREATE TABLE farthing_request (
        id VARCHAR(255) NOT NULL PRIMARY KEY, at_ns BIGINT NOT NULL,
        key_name VARCHAR(255) NOT NULL, model VARCHAR(255) NOT NULL,
        finish_reason VARCHAR(255) NOT NULL,
        fresh_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL,
        decode_tokens BIGINT NOT NULL, rejected_tokens BIGINT NOT NULL,
        fresh_ns BIGINT NOT NULL, cached_ns BIGINT NOT NULL,
        decode_ns BIGINT NOT NULL, rejected_ns BIGINT NOT NULL,
        nanodollars BIGINT NOT NULL, hour_nanodollars BIGINT NOT NULL)""",
    "CREATE INDEX farthing_request_at ON farthing_request (at_ns)",
    """CREATE TABLE farthing_clock (
        run VARCHAR(255) NOT NULL, from_ns BIGINT NOT NULL, to_ns BIGINT NOT NULL,
        busy_ns BIGINT NOT NULL, idle_ns BIGINT NOT NULL, load_ns BIGINT NOT NULL,
        hour_nanodollars BIGINT NOT NULL, PRIMARY KEY (run, from_ns))""",
)
"""Append a statement, never edit one."""

LOCK = 0x0FA27119
"""PostgreSQL's advisory lock: two servers that start at once migrate one after the other."""


def migrate(connection: Connection) -> None:
    """Run what has not run yet, in the caller's one transaction.

    Raises FormatError where the ledger was written by a newer farthing.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    if not look(connection).has_table(MIGRATION.name):
        MIGRATION.create(connection)
    done = list(connection.scalars(select(MIGRATION.c.number).order_by(MIGRATION.c.number)))
    if done != list(range(len(done))) or len(done) > len(MIGRATIONS):
        raise FormatError(
            f"the ledger has changes {done}; this farthing knows {len(MIGRATIONS)} in a row:"
            " it was written by a newer farthing, so upgrade this one"
        )
    for number in range(len(done), len(MIGRATIONS)):
        connection.execute(text(MIGRATIONS[number]))
        statement = MIGRATIONS[number].split("(")[0].strip()
        connection.execute(insert(MIGRATION).values(number=number, statement=statement))
