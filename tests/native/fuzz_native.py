"""Small models' steps, and a program that calls them with arrays near the valid ones.

`python fuzz_native.py 1500 0` makes 1500 calls from seed 0, in turn of a model with keys and values
and of one with latents; both have experts. Prints how many were taken and how many refused;
whatever is not a step or a ValueError ends it.
"""

import sys
from typing import Any

import numpy as np
from one_op import OneOp, up
from toy_native import FORMS, matrix

VOCABULARY, WIDTH = 40, 16
EXPERTS, TOP_K, INNER = 6, 2, 40


def model(threads: int = 2, *, latent: bool = False) -> Any:
    """Embedding, attention, experts, a head: 40 tokens, up to 64 a step and 256 positions."""
    rng = np.random.default_rng(0)
    op = OneOp("portable", max_tokens=64, threads=threads, max_context=256)
    native, x, y = op.native, op.floats(32), op.shared(32)
    native.embed(op.weight(matrix(rng, FORMS["bf16"], VOCABULARY, WIDTH, 1.0)), x)
    if latent:
        native.keep(x, 0, WIDTH)
        project = op.weight(matrix(rng, FORMS["bf16"], WIDTH, WIDTH, 0.3))
        native.linear(x, True, [project], [y], [None], [x])
        native.attend_latent(y, 0, 1, 1, WIDTH, WIDTH, 0.25, y)
    else:
        native.attend(x, x, x, 0, 1, 1, WIDTH, 0.25, 0, None, y)
    y = _experts(op, rng, y)
    wanted = op.slot(4 * WIDTH, wanted=True)
    native.rows(y, WIDTH, wanted)
    rounded = op.slot(2 * up(WIDTH, 32), wanted=True)
    native.quantize(wanted, 1, WIDTH, "bf16", rounded)
    native.logits(rounded, op.weight(matrix(rng, FORMS["bf16"], VOCABULARY, WIDTH, 1.0)))
    native.finish(20 * 64 * 64)
    return native


def _experts(op: OneOp, rng: np.random.Generator, x: int) -> int:
    native, routed, out = op.native, op.floats(2 * TOP_K), op.shared(WIDTH)
    chosen, gate, rounded = op.shared(EXPERTS), op.shared(1), op.slot(32 + 20)
    for to, rows in ((chosen, EXPERTS), (gate, 1)):
        one = op.weight(matrix(rng, FORMS["bf16"], rows, WIDTH, 1.0))
        native.linear(x, True, [one], [to], [None], [None])
    native.route(chosen, EXPERTS, TOP_K, "sigmoid", True, 1.5, 3, 2, True, None, routed)
    native.tap(routed, 2 * TOP_K)
    native.quantize(x, 1, WIDTH, "int8", rounded)

    def bank(count: int) -> tuple[Any, ...]:
        shapes = ((INNER, WIDTH), (INNER, WIDTH), (WIDTH, INNER))
        stacks = ([matrix(rng, FORMS["int4"], *s, 0.3) for _ in range(count)] for s in shapes)
        return (rounded, *(op.stack(stack) for stack in stacks), None, None, None)

    shared = bank(1)
    native.experts(routed, TOP_K, WIDTH, bank(EXPERTS), shared, gate, 1.0, 0.0, 3e38, out)
    return out


def valid() -> dict[str, Any]:
    """The arguments of a step: 2 tokens from position 0, 3 from position 70; 2 rows wanted."""
    return {
        "tokens": np.int32([1, 2, 3, 4, 5]),
        "starts": np.int32([0, 2, 5]),
        "positions": np.int32([0, 70]),
        "tables": np.int32([[3, -1, -1, -1], [4, 5, -1, -1]]),
        "fresh": np.int32([3, 4, 5]),
        "rows": np.int32([1, 4]),
        "limit": VOCABULARY,
        "temperature": np.float32([0.0, 1.0]),
        "top_k": np.int32([0, 5]),
        "top_p": np.float32([1.0, 0.9]),
        "min_p": np.float32([0.0, 0.1]),
        "repetition": np.float32([1.0, 1.1]),
        "presence": np.float32([0.0, 0.5]),
        "frequency": np.float32([0.0, 0.5]),
        "seed": np.uint64([0, 2**64 - 1]),
        "choice": np.uint32([0, 2**32 - 1]),
        "position": np.int32([2, 73]),
        "logprobs": np.int32([-1, 3]),
        "first": np.int32([0, 0, 2]),
        "ids": np.int32([7, 39]),
        "bias": np.float32([-np.inf, 3.0]),
        "counts": np.int32([0, 2]),
        "seen": np.uint8([1, 1]),
        "out_ids": np.zeros(2, np.int32),
        "out_logprobs": np.zeros(2, np.float32),
        "top_ids": np.zeros((2, 3), np.int32),
        "top_logprobs": np.zeros((2, 3), np.float32),
    }


ARRAYS = [name for name in valid() if name != "limit"]
NUMBERS = [-(2**31), -65, -1, 0, 1, 2, 3, 5, 16, 39, 40, 63, 64, 65, 253, 256, 1023, 2**31 - 1]
REALS = [-np.inf, -1.0, -0.0, 0.0, 1e-45, 1e-6, 0.5, 1.0, 2.0, 1e30, np.inf, np.nan]


def bend(rng: np.random.Generator, array: Any) -> Any:
    """Another entry, another length, or another order."""
    array = np.array(array)
    if rng.random() < 0.25:
        length = int(rng.choice([0, 1, len(array) - 1, len(array) + 1, 70]))
        return np.ascontiguousarray(np.resize(array, (max(length, 0), *array.shape[1:])))
    if not array.size:
        return array
    flat = array.reshape(-1)
    for _ in range(int(rng.integers(1, 4))):
        at = rng.integers(flat.size)
        if array.dtype.kind == "f":
            flat[at] = rng.choice(REALS)
        elif array.dtype.kind == "u":
            flat[at] = rng.integers(0, np.iinfo(array.dtype).max, dtype=array.dtype, endpoint=True)
        else:
            flat[at] = rng.choice(NUMBERS)
    return array


def call(rng: np.random.Generator, native: Any) -> None:
    """A step, or its routes, with up to three arrays bent; sometimes where it is told to go."""
    arguments = valid()
    for name in rng.choice(ARRAYS, int(rng.integers(1, 4)), replace=False):
        arguments[name] = bend(rng, arguments[name])
    routes = np.tile(np.int32([1, EXPERTS - 1]), (1, len(arguments["tokens"]), 1))
    if rng.random() < 0.2:
        native.send(bend(rng, routes) if rng.random() < 0.7 else routes)
    if rng.random() < 0.2:
        taps = np.zeros((1, len(arguments["tokens"]), 2 * TOP_K), np.float32)
        native.tap_rows(*list(arguments.values())[:7], taps)
        ids = taps.view(np.int32)[:, :, :TOP_K]
        assert ((ids >= 0) & (ids < EXPERTS)).all()
        return
    native.step(*arguments.values())
    assert ((arguments["out_ids"] >= 0) & (arguments["out_ids"] < VOCABULARY)).all()


def main(calls: int, seed: int) -> None:
    rng, natives = np.random.default_rng(seed), [model(), model(latent=True)]
    taken = refused = 0
    for at in range(calls):
        native = natives[at % 2]
        try:
            call(rng, native)
            taken += 1
        except ValueError:
            refused += 1
        native.send(None)
    print(taken, refused)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
