"""The ledger adds up, holds every row once, and refuses what is no ledger of ours."""

import sqlite3
import threading
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect

from farthing.errors import Busy, FarthingError, FormatError, InputError
from farthing.meter import schema
from farthing.meter.attribution import Reading
from farthing.meter.ledger import Ledger, _insert_elsewhere, _request
from farthing.meter.rate import HOUR, NANO
from farthing.meter.rows import ClockRow, Line, RequestRow
from farthing.usage import Usage

DAY = 24 * HOUR
PRICE = 14_407_712


def usage(prompt=10, cached=4, completion=5, rejected=1, nanoseconds=(100, 20, 300, 4)):
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        rejected_tokens=rejected,
        nanoseconds=nanoseconds,
    )


def row(id, *, at=0, key="team", model="smollm2", used=None, hour=PRICE):
    return RequestRow.billed(
        id=str(id),
        key=key,
        model=model,
        finish="stop",
        usage=used or usage(),
        hour_nanodollars=hour,
        at=at,
    )


def clock(run="a", begin=0, spent=None, hour=PRICE):
    spent = spent or Reading(busy=NANO, idle=2 * NANO)
    return ClockRow(run=run, begin=begin, end=begin + 9, spent=spent, hour_nanodollars=hour)


def test_an_empty_ledger_answers_with_nothing(ledger):
    assert ledger.total() == Line(name="all")
    assert ledger.by("key") == ledger.by("model") == ledger.by("day") == []
    assert ledger.clock().time == ledger.clock().nanodollars == 0


def test_a_row_comes_back_by_class(ledger):
    assert ledger.append([row(1)]) == 1
    total = ledger.total()
    assert total.requests == 1
    assert total.tokens == (6, 4, 5, 1)
    assert total.nanoseconds == (100, 20, 300, 4)
    assert total.nanodollars == row(1).nanodollars


def test_a_repeated_row_is_never_doubled(ledger):
    assert ledger.append([row(1), row(2), row(1)], [clock(), clock()]) == 3
    assert ledger.append([row(2), row(3)], [clock(), clock(begin=9)]) == 2
    assert ledger.total().requests == 3
    assert ledger.clock().spent == Reading(busy=2 * NANO, idle=4 * NANO)


def test_a_database_without_on_conflict_holds_a_row_once_too(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    for ids, new in (([1, 2, 1], 2), ([2, 3], 1), ([3], 0)):
        with ledger._writing.begin() as connection:
            rows = [_request(row(id)) for id in ids]
            assert _insert_elsewhere(connection, schema.REQUEST, rows) == new
    assert ledger.total().requests == 3
    ledger.close()


def test_sums_by_key_model_and_day(ledger):
    ledger.append(
        [
            row(1, key="a", at=DAY - 1),
            row(2, key="b", model="qwen3", at=DAY, hour=10**12),
            row(3, key="a", at=20_000 * DAY),
        ]
    )
    assert [(line.name, line.requests) for line in ledger.by("key")] == [("b", 1), ("a", 2)]
    assert [line.name for line in ledger.by("model")] == ["qwen3", "smollm2"]
    days = [line.name for line in ledger.by("day")]
    assert days == ["1970-01-01", "1970-01-02", "2024-10-04"]
    assert [line.name for line in ledger.by("day", since=DAY)] == days[1:]
    assert ledger.total(since=DAY).requests == 2


def test_reserved_is_all_the_time_at_the_price_it_had(ledger):
    ledger.append(
        clocks=[
            clock(spent=Reading(busy=HOUR, idle=2 * HOUR, load=HOUR), hour=1000),
            clock(begin=10, spent=Reading(idle=HOUR), hour=7),
        ]
    )
    total = ledger.clock()
    assert total.nanodollars == 4 * 1000 + 7
    assert total.time == 5 * HOUR
    assert ledger.clock(since=10).nanodollars == 7


def test_a_batch_is_on_the_ledger_whole_or_not_at_all(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON farthing_request WHEN NEW.id = '7'"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    db.close()
    with pytest.raises(Busy, match="no room"):
        ledger.append([row(i) for i in range(10)], [clock()])
    assert ledger.total().requests == 0
    assert ledger.clock().time == 0
    ledger.close()


times = st.tuples(*[st.integers(0, 10**13)] * 4)
requests = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["m", "n"]),
        st.integers(0, 5 * DAY),
        times,
        st.sampled_from([0, 1, PRICE, 10**10]),
    ),
    max_size=25,
)


@given(st.lists(requests, max_size=3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_view_sums_to_the_same_total(tmp_path_factory, batches):
    ledger = Ledger(tmp_path_factory.mktemp("views") / "ledger.db")
    kept = {}
    for batch in batches:
        rows = [
            row(id, key=key, model=model, at=at, used=usage(nanoseconds=each), hour=hour)
            for id, key, model, at, each, hour in batch
        ]
        fresh = {r.id: r for r in reversed(rows) if r.id not in kept}
        assert ledger.append(rows) == len(fresh)
        kept |= fresh
    total = ledger.total()
    assert total.nanodollars == sum(r.nanodollars for r in kept.values())
    assert total.time == sum(sum(r.usage.nanoseconds) for r in kept.values())
    exact = sum(
        Fraction(sum(r.usage.nanoseconds) * r.hour_nanodollars, HOUR) for r in kept.values()
    )
    assert abs(total.nanodollars - exact) <= Fraction(len(kept), 2)
    for view in ("key", "model", "day"):
        lines = ledger.by(view)
        assert sum(line.nanodollars for line in lines) == total.nanodollars
        assert sum(line.requests for line in lines) == total.requests == len(kept)
        assert [sum(part) for part in zip(*(x.tokens for x in lines), strict=True)] == (
            list(total.tokens) if lines else []
        )
    ledger.close()


def test_the_list_of_changes_makes_the_tables_we_ask(ledger):
    found = inspect(ledger._engine)
    for table in schema.metadata.sorted_tables:
        columns = found.get_columns(table.name)
        assert [c["name"] for c in columns] == [c.name for c in table.columns]
        assert [str(c["type"]) for c in columns] == [
            str(c.type.compile(ledger._engine.dialect)) for c in table.columns
        ]
        assert not any(c["nullable"] for c in columns)
        keys = found.get_pk_constraint(table.name)["constrained_columns"]
        assert keys == [c.name for c in table.primary_key]


def test_opening_again_changes_nothing_and_keeps_all(where):
    for opened in range(3):
        ledger = Ledger(where)
        assert ledger.append([row("first"), row(opened)]) == (1 if opened else 2)
        assert ledger.total().requests == opened + 2
        with ledger._engine.begin() as connection:
            ran = connection.execute(schema.MIGRATION.select()).all()
        assert [number for number, _ in ran] == list(range(len(schema.MIGRATIONS)))
        ledger.close()


def test_a_ledger_begun_by_an_older_farthing_is_brought_up_to_date(where, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        Ledger(where).close()
    ledger = Ledger(where)
    assert ledger.append([row(1)], [clock()]) == 2
    ledger.close()


def test_a_ledger_of_a_newer_farthing_is_left_alone(where, monkeypatch):
    Ledger(where).close()
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        with pytest.raises(FormatError, match="newer"):
            Ledger(where)


def test_many_who_open_and_write_at_once_all_get_in(where):
    faults = []

    def work(who):
        try:
            ledger = Ledger(where)
            for i in range(10):
                ledger.append([row(f"{who}-{i}"), row(f"shared-{i}")], [clock(run=str(who))])
            ledger.close()
        except FarthingError as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = Ledger(where)
    assert not faults
    assert ledger.total().requests == 60 + 10
    assert ledger.clock().spent.busy == 6 * NANO
    ledger.close()


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database, and never was" * 100)
    with pytest.raises(FormatError, match=r"ledger\.db.*not a database"):
        Ledger(path)


@pytest.mark.parametrize("address", ["://", "nosuch://x/y", "postgresql+nosuch://x/y", "a b://"])
def test_an_address_that_means_nothing_is_refused(address):
    with pytest.raises(InputError):
        Ledger(address)


def test_a_password_is_not_told(tmp_path):
    address = f"postgresql://me:secret@/x?host={tmp_path}"
    with pytest.raises(Busy) as told:
        Ledger(address)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("bad", ["", "a\0b", "\ud800", "x" * 256, "two\nlines"])
def test_a_name_no_database_would_take_is_refused_before_it_is_batched(bad):
    with pytest.raises(InputError):
        row(bad)
    with pytest.raises(InputError):
        row(1, key=bad)


def test_numbers_no_database_would_take_are_refused():
    for bad in (-1, 1 << 63):
        with pytest.raises(InputError):
            row(1, used=usage(nanoseconds=(bad, 0, 0, 1)), hour=0)
        with pytest.raises(InputError):
            clock(begin=bad)
    with pytest.raises(InputError):
        row(1, used=usage(prompt=3, cached=4))


def test_a_place_where_no_file_can_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="FARTHING_LEDGER"):
        Ledger(tmp_path / "file" / "deep" / "ledger.db")
