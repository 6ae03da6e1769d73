"""A run in a line: where it is, how fast, how even its experts are, and what is left to pay."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from farthing.learn.journal import Line
from farthing.meter import rate

LATELY = 20
"""Steps that a speed is the mean of."""
SETTLED = 0.1
"""Of the steps; how even experts are before these says little."""


class Live:
    """`facts` as training.py measures them; an hour of the machine costs `hour` nano-dollars."""

    def __init__(self, facts: Mapping[str, Any], hour: int) -> None:
        self.facts, self.hour = facts, hour
        self.lines: deque[Line] = deque(maxlen=LATELY)
        self.held_out: dict[str, Any] = {}

    def told(self, line: Line) -> None:
        self.lines.append(line)
        self.held_out = line.get("held_out", self.held_out)

    def text(self) -> str:
        """Raises IndexError before the first step."""
        last, steps = self.lines[-1], int(self.facts["steps"])
        parts = [f"step {last['step']}/{steps}", f"loss {last['loss']:.3f}", *self._held_out()]
        parts += [f"{self.speed():,.0f} tokens/s", f"{self.share():.1%} of peak"]
        if worst := self.worst():
            parts.append(f"balance {worst:.2f}")
        spent = rate.cost(int(last["elapsed"] * rate.NANO), self.hour)
        left = self.left()
        more = rate.cost(int(left * rate.NANO), self.hour)
        parts.append(f"{rate.dollars(spent)} spent, {rate.dollars(more)} and {duration(left)} left")
        return "  ".join(parts)

    def speed(self) -> float:
        """Tokens a second of the last steps, without what is done between them."""
        tokens = float(self.lines[-1]["tokens"]) / int(self.lines[-1]["step"])
        return tokens * len(self.lines) / sum(float(line["seconds"]) for line in self.lines)

    def share(self) -> float:
        """Of the machine's measured bf16 product."""
        return share(self.facts, self.speed())

    def left(self) -> float:
        """Seconds, by the time that the last steps took with all that was between them."""
        first, last = self.lines[0], self.lines[-1]
        took = last["elapsed"] - first["elapsed"]
        made = last["step"] - first["step"]
        if not made:
            took, made = last["seconds"], 1
        return float(took) / int(made) * (int(self.facts["steps"]) - int(last["step"]))

    def worst(self) -> float | None:
        """The largest load of an expert over the mean, in the layer where it is largest."""
        found: dict[str, float] = self.lines[-1]["imbalance"]
        return max(found.values(), default=None)

    def _held_out(self) -> list[str]:
        """The mean over corpora."""
        losses = [one["loss"] for one in self.held_out.values()]
        return [f"held out {sum(losses) / len(losses):.3f}"] if losses else []


def share(facts: Mapping[str, Any], tokens_a_second: float) -> float:
    """Of the measured bf16 products of all processes."""
    peak = float(facts["peak"]) * int(facts.get("processes", 1))
    return tokens_a_second * float(facts["flops_a_token"]) / peak


def uneven(lines: Sequence[Mapping[str, Any]], after: float) -> tuple[str, float] | None:
    """The layer whose busiest expert's load over the mean is largest, meaned over later steps."""
    later = [line["imbalance"] for line in lines if line["step"] > after]
    if not later or not later[0]:
        return None
    means = {layer: sum(one[layer] for one in later) / len(later) for layer in later[0]}
    return max(means.items(), key=lambda pair: pair[1])


def layer(name: str) -> str:
    """A key of a line's `imbalance`, for people."""
    return f"layer {name}" if name.isdigit() else name


def duration(seconds: float) -> str:
    """For people: 4 h 05 m, 12 m 30 s, 8 s."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {whole % 60:02} s" if minutes else f"{whole} s"


def counted(count: int, noun: str) -> str:
    """For people: 1 thread, 2 threads."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
