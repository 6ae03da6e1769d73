"""What the last line promises to programs is there, and is JSON."""

import json

from rich.console import Console

from farthing.bench import tell
from farthing.bench.machine import Limits
from farthing.bench.overhead import Overhead
from farthing.bench.series import Series
from farthing.bench.suite import Rate, Result

RESULT = Result(
    model="toy",
    isa="portable",
    threads=2,
    weight_bytes=10,
    rates=[Rate("prefill 512", Series((90.0, 100.0, 110.0)), 200.0)],
    first_token=Series((0.5,)),
    overhead=Overhead(steps=10, step_seconds=0.010, native_seconds=0.0098),
    private_bytes=50_000_000,
    file_bytes=97_000_000,
    served=Series((1000.0,)),
    limits=Limits(
        threads=2,
        read={1 << 20: 4e11},
        peaks={"int8": 2e12, "bf16": 9e11, "fp32": 5e11},
        instructions={"int8": "a", "bf16": "b", "fp32": "c"},
    ),
    read_file=5e10,
)


def test_the_record_is_json_and_holds_rates_shares_and_limits():
    record = json.loads(json.dumps(tell.record(RESULT)))
    assert record["rates"]["prefill 512"]["median"] == 100.0
    assert record["rates"]["prefill 512"]["share"] == 0.5
    assert record["limits"]["operations_per_second"]["int8"] == 2e12
    assert record["limits"]["read_bytes_per_second"] == {"1048576": 4e11}
    assert abs(record["beside_native"]["share"] - 0.02) < 1e-9


def test_people_see_the_share_of_the_limit():
    console = Console(width=120, record=True)
    console.print(tell.table(RESULT))
    text = console.export_text()
    assert "prefill 512" in text and "50%" in text and "portable" in text
