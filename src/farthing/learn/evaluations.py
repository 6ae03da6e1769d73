"""What `farthing eval --json` printed, read again for a model's card, and told in its tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from farthing.errors import FormatError, NotFound
from farthing.formats.quality import Interval, Row

LARGEST = 64 << 20


class Score(msgspec.Struct, frozen=True):
    task: str
    metric: str
    share: Interval
    chance: float
    count: int


class Evaluation(msgspec.Struct, frozen=True):
    """Of what `farthing eval --json` prints, that which a card tells."""

    model: str
    tasks: list[Score] = []
    rows: list[Row] = []


def read(path: Path) -> Evaluation:
    """Raises NotFound, or FormatError if it isn't what `farthing eval --json` prints."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=Evaluation)
    except FileNotFoundError:
        raise NotFound(f"{path} is not there; `farthing eval MODEL --json > {path}`") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(
            f"{path} is not what `farthing eval --json` prints: {error}; measure again"
        ) from None


def answers(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """Markdown; nothing if no task was asked."""
    scores = [score for one in evaluations for score in one.tasks]
    if not scores:
        return
    yield "## Right answers\n\nIn brackets: 95 % intervals.\n"
    yield from row("task", "counted by", "right", "by chance", "questions")
    for score in scores:
        share = span(score.share, 100, ".1f")
        cells = (score.task, score.metric, f"{share} %", f"{score.chance:.0%}")
        yield "| " + " | ".join((*cells, f"{score.count:,}")) + " |"
    yield ""


def losses(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """Markdown; nothing if no lever was measured."""
    rows = [row for one in evaluations for row in one.rows]
    if not rows:
        return
    yield "## What serving it loses\n\nAgainst these weights in fp32; KL in nats a token.\n"
    yield from row("lossy", "KL", "same likeliest token", "perplexity", "measured on")
    for one in rows:
        levers = " + ".join(f"{name} {how}" for name, how in one.levers.items())
        cells = (levers, span(one.loss.kl, 1, ".2g"), f"{span(one.loss.same_top, 100, '.2f')} %")
        perplexity, seen = span(one.loss.perplexity, 1, ".2f"), f"{one.text.tokens:,} tokens"
        yield "| " + " | ".join((*cells, perplexity, f"{seen} ({one.text.what})")) + " |"
    yield ""


def row(*names: str) -> Iterator[str]:
    """A table's heading; all but the first column are right-aligned."""
    yield "| " + " | ".join(names) + " |"
    yield "|---|" + "--:|" * (len(names) - 1)


def span(of: Interval, times: float, form: str) -> str:
    mean, low, high = (format(times * value, form) for value in (of.mean, of.low, of.high))
    return f"{mean} ({low} to {high})"
