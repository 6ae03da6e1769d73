"""How a token is chosen from logits: the reference of the native sampler, row by row.

Gumbel-max: the largest of log probability plus noise is a draw from the distribution. The noise of
a token depends on (seed, choice, position, token id) and on nothing else, so a draw is the same
alone or batched, drafted or not. Shapes: R rows, V vocabulary.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Kept = NDArray[np.bool_]

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
COLDEST = np.float32(1e-5)
"""Colder than this is greedy: scores would lose their noise to rounding, or overflow."""


class Rows(Protocol):
    """What `sample` reads of engine.types.RowSampling, where each field is explained."""

    temperature: NDArray[np.float32]
    top_k: NDArray[np.int32]
    top_p: NDArray[np.float32]
    min_p: NDArray[np.float32]
    repetition: NDArray[np.float32]
    presence: NDArray[np.float32]
    frequency: NDArray[np.float32]
    seed: NDArray[np.uint64]
    choice: NDArray[np.uint32]
    position: NDArray[np.int32]
    logprobs: NDArray[np.int32]
    first: NDArray[np.int32]
    ids: NDArray[np.int32]
    bias: NDArray[np.float32]
    counts: NDArray[np.int32]
    seen: NDArray[np.uint8]


class Chosen(NamedTuple):
    """ids, logprobs [R]; top_ids, top_logprobs [R, k], likeliest first, k the most a row asked."""

    ids: NDArray[np.int32]
    logprobs: NDArray[np.float32]
    top_ids: NDArray[np.int32]
    top_logprobs: NDArray[np.float32]


def sample(logits: Logits, rows: Rows) -> Chosen:
    """One token for each row of logits [R, V].

    Logprobs are of the distribution after bias and penalties, before temperature.
    """
    count = min(max(0, int(rows.logprobs.max(initial=0))), logits.shape[1])
    ids, chosen, top = [], [], []
    for r, row in enumerate(logits):
        adjusted = adjust(row, rows, r)
        logprobs = log_softmax(adjusted)
        ids.append(choose(adjusted, rows, r))
        chosen.append(logprobs[ids[-1]])
        top.append(_falling(adjusted)[:count])
        top[-1] = np.stack([top[-1], logprobs[top[-1]]])
    best = np.array(top).reshape(len(logits), 2, count)
    return Chosen(
        np.array(ids, np.int32),
        np.array(chosen, np.float32),
        best[:, 0].astype(np.int32),
        best[:, 1].astype(np.float32),
    )


def adjust(row: Logits, rows: Rows, r: int) -> Logits:
    """The row [V] with bias added, then repetition, presence and frequency penalties taken."""
    mine = slice(rows.first[r], rows.first[r + 1])
    ids, counts = rows.ids[mine], rows.counts[mine]
    logits = row[ids] + rows.bias[mine]
    harsh = rows.repetition[r]
    repeated = np.where(logits > 0, logits / harsh, logits * harsh)
    logits = np.where(rows.seen[mine] > 0, repeated, logits)
    taken = rows.presence[r] + rows.frequency[r] * counts.astype(np.float32)
    logits = logits - np.where(counts > 0, taken, 0)
    out = row.copy()
    out[ids] = logits
    return out


def choose(adjusted: Logits, rows: Rows, r: int) -> int:
    """The id drawn from adjusted logits [V]; the likeliest when the temperature is 0 or close."""
    temperature = rows.temperature[r]
    if temperature < COLDEST:
        return int(adjusted.argmax())
    seen = kept(adjusted, temperature, rows.top_k[r], rows.top_p[r], rows.min_p[r])
    noisy = adjusted / temperature + noise(
        int(rows.seed[r]), int(rows.choice[r]), int(rows.position[r]), len(adjusted)
    )
    return int(np.where(seen, noisy, -np.inf).argmax())


def kept(adjusted: Logits, temperature: np.float32, top_k: int, top_p: float, min_p: float) -> Kept:
    """[V] which tokens top_k, then top_p, then min_p leave. 0, 1 and 0 leave all."""
    order = _falling(adjusted)
    if top_k > 0:
        order = order[:top_k]
    scaled = (adjusted[order].astype(np.float64) - adjusted[order[0]]) / temperature
    # probability over that of the likeliest
    relative = np.exp(scaled)
    if top_p < 1:
        reached = np.cumsum(relative / relative.sum()) >= top_p
        order = order[: 1 + int(reached.argmax()) if reached.any() else None]
    order = order[relative[: len(order)] >= min_p]
    out = np.zeros(len(adjusted), np.bool_)
    out[order] = True
    return out


def noise(seed: int, choice: int, position: int, vocabulary: int) -> NDArray[np.float32]:
    """Gumbel noise [V] of each token, from 24 bits; worked out in fp64, then rounded."""
    key = mix(np.array([seed ^ (choice * GOLDEN & MASK)], np.uint64))
    tokens = np.uint64(position << 32) | np.arange(vocabulary, dtype=np.uint64)
    u = ((mix(key ^ tokens) >> np.uint64(40)).astype(np.float64) + 0.5) * 2.0**-24
    return (-np.log(-np.log(u))).astype(np.float32)


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The step and finaliser of splitmix64 (Steele, Lea and Flood, 2014), modulo 2^64."""
    z = x + np.uint64(GOLDEN)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    out: NDArray[np.float64] = logits.astype(np.float64) - logits.max()
    out -= np.log(np.exp(out).sum())
    return out


def _falling(logits: Logits) -> NDArray[np.intp]:
    """Ids, likeliest first; ties lowest id first."""
    return np.argsort(-logits, kind="stable")
