"""How the learning rate goes over a run, as a share of the full one."""

from math import cos, pi

from farthing.learn.recipe import Schedule


def rate(schedule: Schedule, step: int, steps: int) -> float:
    """Of step `step` (from 0) of `steps`. Warm-up is linear; wsd then stays, and falls linearly in
    the last part (Hu et al., 2404.06395); cosine falls all the way (1608.03983)."""
    s = schedule
    warm = min(1.0, (step + 1) / s.warmup) if s.warmup else 1.0
    if s.kind == "wsd":
        left = (steps - step) / (s.decay * steps) if s.decay else 1.0
        return warm * (s.least + (1 - s.least) * min(1.0, left))
    done = min(1.0, max(0.0, (step - s.warmup) / max(1, steps - s.warmup)))
    return warm * (s.least + (1 - s.least) * (1 + cos(pi * done)) / 2)


def falling(schedule: Schedule, step: int, steps: int) -> bool:
    """Whether the rate already falls: then the next-token head weighs less."""
    return schedule.kind == "wsd" and step >= steps - schedule.decay * steps
