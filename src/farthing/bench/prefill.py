"""How fast prompts are read: from position 0 to the first chosen token."""

from collections.abc import Callable
from itertools import count
from time import perf_counter

from farthing.bench.rig import Rigs, random_tokens
from farthing.bench.roofline import Counts, Roof

SIZES = (128, 512, 2048)


def measure(rigs: Rigs, tokens: int, *, chunk: int = 0) -> Callable[[], float]:
    """Tokens a second of a new random prompt each time, `chunk` tokens a step at most (0: as many
    as the runner takes)."""
    runner, rig = rigs.runner, rigs.make(sequences=1, length=tokens)
    seeds = count()

    def once() -> float:
        prompt = random_tokens(tokens, runner.vocabulary, next(seeds))
        start = perf_counter()
        rig.prefill(0, prompt, chunk=min(chunk or runner.max_step_tokens, runner.max_step_tokens))
        return tokens / (perf_counter() - start)

    return once


def limit(roof: Roof, runner: Counts, tokens: int) -> float:
    """Tokens a second at most, whatever the steps: the work of the prompt as one step."""
    return tokens / roof.seconds(runner.work_of([tokens], [0], 1))
