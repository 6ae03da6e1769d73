"""A server of the toy model as a process: python run_toy.py FOLDER PORT [option=value ...]."""

import os
import sys
from pathlib import Path

from toy_model import write_toy

from farthing.config import EngineConfig
from farthing.server.launch import serve
from farthing.server.options import Options


def main(folder: str, port: str, *settings: str) -> int:
    # The engine's process finds the toy runner by this.
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "engine"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    given = dict(setting.split("=", 1) for setting in settings)
    context = int(given.pop("max_context", 0))
    numbers = {n: float(given.pop(n)) for n in ("grace_seconds", "patience_seconds") if n in given}
    counts = {n: int(v) for n, v in given.items() if n.startswith("max_answers")}
    key_file = {"api_key_file": Path(given["api_key_file"])} if "api_key_file" in given else {}
    model = write_toy(Path(folder) / "toy")
    return serve(
        Options(
            model=model,
            ledger=Path(folder) / "ledger.db",
            port=int(port),
            host=given.get("host", "127.0.0.1"),
            measure="measure" in given,
            engine=EngineConfig(max_context=context),
            factory="server_runner:make",
            **numbers,
            **counts,
            **key_file,
        )
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
