"""Experts' load, evened out without a loss (Wang et al., 2408.15664; DeepSeek-V3, 2412.19437).

An expert's correction, which takes part in the choice alone, goes down after a step in which the
expert got more than the mean of the whole batch, and up after one with less: by a fixed rate, or by
as much more as its load is further off. Beside it a sequence-wise loss, too small to matter to what
is learned, keeps single sequences from extremes.
"""

import torch
from torch import Tensor


def corrected(correction: Tensor, load: Tensor, rate: float, *, proportional: bool = False) -> None:
    """Moves correction [E], in place, by the load [E] of a step's whole batch.

    Proportional: by rate * (1 - load / mean), and by the whole rate at most.
    """
    load = load.to(torch.float64)
    mean = load.mean()
    off = (
        ((mean - load) / mean.clamp_min(1e-9)).clamp(-1, 1)
        if proportional
        else torch.sign(mean - load)
    )
    correction += (rate * off).to(correction.dtype)


def imbalance(load: Tensor) -> float:
    """Of a load [E]: the largest over the mean; 1 is even."""
    total = float(load.sum())
    return float(load.max()) * len(load) / total if total else 1.0


def sequence_loss(scores: Tensor, chosen: Tensor, sequences: int, top_k: int) -> Tensor:
    """sum over experts of f * P, meaned over sequences (2412.19437, equations 17 to 20).

    scores [T, E] before any correction, chosen [T, E] whether an expert was; sequences of one
    length lie end to end. f is the share of a sequence's choices times E, P the mean of scores
    that are divided by their sum. Even loads give 1.
    """
    experts = scores.shape[1]
    share = chosen.to(scores.dtype).reshape(sequences, -1, experts).mean(1) * (experts / top_k)
    scores = scores / (scores.sum(-1, keepdim=True) + 1e-20)
    mean = scores.reshape(sequences, -1, experts).mean(1)
    return (share * mean).sum(-1).mean()
