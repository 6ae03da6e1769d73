"""Our side of the training comparison: `farthing learn`'s own steps, on tensors in this process.

Usage: farthing_learn.py TASK_FOLDER THREADS search|first MATRICES
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from learn_task import LENGTH, OPTIMIZER, SHAPE, VOCABULARY, WARMUP, Task
from side import serve

from farthing import __version__
from farthing.learn import corpus, recipe, run, work

STEPS = 10_000


class Farthing:
    def __init__(self, folder: Path, threads: int, matrices: str) -> None:
        run.prepare(threads)
        task = Task.read(folder)
        at = folder / f"corpus-{matrices}"
        documents = ((row, None) for row in task.rows())
        data = corpus.write(at, documents, vocabulary=VOCABULARY, about={})
        asked = {
            "name": "bench",
            "model": SHAPE,
            "tokens": task.tokens * STEPS,
            "data": {"tokenizer": "none", "length": LENGTH, "train": [{"path": str(at)}]},
            "batch": {"tokens": task.tokens, "together": task.tokens // threads},
            "schedule": {"warmup": 0, "decay": 0.0},
            "optimizer": OPTIMIZER | {"matrices": matrices},
        }
        self.task, self.matrices = task, matrices
        self.run = run.Run(recipe.parse(asked), [data])
        self.work = work.count(SHAPE, next_token=False)

    def about(self) -> dict[str, Any]:
        return {
            "version": f"farthing {__version__}, torch {torch.__version__}",
            "settings": f"bf16, fp32 master weights; {self.matrices}"
            f"{' for matrices, adamw for the rest' if self.matrices == 'muon' else ''}; a pass of"
            f" a part of the rows on each of {torch.get_num_threads()} threads; experts balanced"
            " by bias and the sequence-wise loss",
            "parameters": self.work.parameters,
            "active": self.work.active,
            "flops_a_token": self.work.training(torch.arange(LENGTH)),
        }

    def train(self, steps: int) -> dict[str, Any]:
        for _ in range(WARMUP):
            self.run.step()
        began = perf_counter()
        told = [self.run.step() for _ in range(steps)]
        rate = steps * self.task.tokens / (perf_counter() - began)
        return {"rate": rate, "loss": told[-1].loss}

    def peak(self) -> dict[str, Any]:
        """Operations a second of a product of 2048 x 2048 matrices in bf16, at best."""
        return {"flops": work.peak()}


def main() -> None:
    side = Farthing(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4])
    serve({name: getattr(side, name) for name in ("about", "train", "peak")})


if __name__ == "__main__":
    main()
