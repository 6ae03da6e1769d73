"""How long a packed model takes to load, and what memory its process then keeps, in a process made
for it.

`python -m farthing.bench.loaded FOLDER THREADS KV_BITS` loads, reads a prompt, writes a token and
tells.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from farthing.errors import FarthingError

PROMPT = 512


@dataclass(frozen=True, slots=True)
class Loaded:
    load_seconds: float
    """From the folder to a runner that can take a step; imports are not counted."""
    first_seconds: float
    """Of the first prompt: what it touches for the first time is mapped then."""
    own_bytes: int
    """Its own memory, with the KV pages of that prompt."""
    page_bytes: int
    """Of own_bytes, those KV pages."""
    peak_bytes: int
    """The most it ever had in memory, mapped weights included."""


def measure(folder: Path, threads: int, kv_bits: int = 16) -> Loaded:
    command = [sys.executable, "-P", "-m", "farthing.bench.loaded"]
    command += [str(folder), str(threads), str(kv_bits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FarthingError(f"the process that loads once failed: {done.stderr.strip()[-500:]}")
    return Loaded(**json.loads(done.stdout))


def main() -> None:
    from farthing.bench import memory
    from farthing.bench.rig import PAGE, Rigs, random_tokens
    from farthing.config import EngineConfig
    from farthing.engine.runner import NativeRunner

    start = perf_counter()
    threads, kv_bits = (int(word) for word in sys.argv[2:])
    runner = NativeRunner(Path(sys.argv[1]), EngineConfig(threads=threads, kv_bits=kv_bits))
    loaded = perf_counter()
    tokens = min(PROMPT, runner.max_context)
    rig = Rigs(runner).make(sequences=1, length=tokens)
    prompt = random_tokens(tokens, runner.vocabulary, 0)
    rig.prefill(0, prompt, chunk=runner.max_step_tokens)
    first = perf_counter()
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    told = Loaded(
        load_seconds=loaded - start,
        first_seconds=first - loaded,
        own_bytes=memory.private(os.getpid()).own,
        page_bytes=-(-tokens // PAGE) * runner.page_bytes,
        peak_bytes=int(peak.split()[1]) * 1024,
    )
    print(json.dumps({name: getattr(told, name) for name in Loaded.__slots__}))


if __name__ == "__main__":
    main()
