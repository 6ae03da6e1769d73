"""For torchrun: steps of runs, told as JSON. [{recipe, steps, from: a checkpoint}, ...]"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from farthing.learn import checkpoint
from farthing.learn.distributed import joined
from farthing.learn.lockstep import together
from farthing.learn.plan import Plan
from farthing.learn.run import Run


def told(run: Run, steps: int) -> list[dict[str, Any]]:
    lines = []
    for _ in range(steps):
        one = run.step()
        line = {n: getattr(one, n) for n in ("step", "loss", "next_token", "sequence", "norm")}
        lines.append(line | {"loads": {n: load.tolist() for n, load in one.loads.items()}})
    return lines


def main() -> None:
    torch.set_num_threads(1)
    with joined() as device:
        for job in json.loads(sys.argv[1]):
            run = together(Plan.read(Path(job["recipe"])), device)
            run.resume(checkpoint.load(Path(job["from"])))
            lines, state = told(run, job["steps"]), run.state()
            assert bool(state.tensors) == (dist.get_rank() == 0)
            if state.tensors:
                checkpoint.save(Path(job["recipe"]).parent / "together", state, keep=1)
                print(json.dumps(lines), flush=True)


if __name__ == "__main__":
    main()
