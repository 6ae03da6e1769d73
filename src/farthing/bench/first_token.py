"""From the start of a process to the first token of an answer, in a process made for it.

`python -m farthing.bench.first_token FOLDER KV_BITS` answers once and says when it had a token.
"""

import subprocess
import sys
import time
from pathlib import Path

from farthing.errors import FarthingError

QUESTION = "Why is the sky blue?"


def seconds(folder: Path, kv_bits: int = 16) -> float:
    """Wall time, the interpreter's start and all imports included."""
    command = [sys.executable, "-P", "-m", "farthing.bench.first_token"]
    command += [str(folder), str(kv_bits)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FarthingError(f"the process that answers once failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout) - start


def main() -> None:
    from farthing.config import EngineConfig
    from farthing.engine.engine import Engine
    from farthing.engine.runner import NativeRunner
    from farthing.engine.types import Request, Sampling
    from farthing.tokenizer import Tokenizer

    folder, config = Path(sys.argv[1]), EngineConfig(kv_bits=int(sys.argv[2]))
    tokens = Tokenizer.open(folder).chat([{"role": "user", "content": QUESTION}])
    engine = Engine(NativeRunner(folder, config), config)
    engine.submit(
        Request(id="first", tokens=tokens, max_tokens=1, sampling=Sampling(temperature=0.0))
    )
    while not engine.step().tokens:
        pass
    print(time.monotonic())


if __name__ == "__main__":
    main()
