"""Tasks made by a program, for models too small for those that others publish.

Every item is text to go on with, and four ways to do so. Which words stand in it is drawn with a
seed, so that no list of answers lies anywhere; a model of 135 M parameters is far above chance, and
below all.
"""

from collections.abc import Callable, Sequence
from random import Random

from farthing.errors import InputError
from farthing.evaluate.tasks.choice import Choice, Item
from farthing.evaluate.tasks.exact import Exact
from farthing.evaluate.tasks.exact import Item as Open
from farthing.evaluate.tasks.words import CAPITALS, KINDS, NAMES, OPPOSITES, THINGS, USES

CHOICES = 4
MOST = 300
"""Items of one seed, so that no question comes twice."""
Question = tuple[str, str, Sequence[str]]
"""Text to go on with, the right word, and words of which others are drawn."""


def choices(seed: int = 0, count: int = 200) -> Choice:
    """Multiple choice of every kind in turn; chance is a quarter."""
    rng = Random(f"choices {seed}")
    items = [_item(rng, question) for question in questions(seed, count)]
    return Choice(name=f"made choices, seed {seed}", items=items, form="{question}")


def answers(seed: int = 0, count: int = 200) -> Exact:
    """The same questions, the first word of the answer to be written; chance is about none."""
    items = [Open(text, right.split()[0]) for text, right, _ in questions(seed, count)]
    return Exact(name=f"made answers, seed {seed}", items=items, extract=r"^\s*(\w+)", max_tokens=8)


def questions(seed: int, count: int) -> list[Question]:
    """All different. Raises InputError for more than MOST."""
    if not 1 <= count <= MOST:
        raise InputError(f"{count} items of one seed; from 1 to {MOST} are made")
    rng = Random(f"questions {seed}")
    made: dict[str, Question] = {}
    while len(made) < count:
        text, right, others = MAKERS[len(made) % len(MAKERS)](rng)
        made.setdefault(text, (text, right, others))
    return list(made.values())


def _item(rng: Random, question: Question) -> Item:
    text, right, others = question
    wrong = rng.sample(sorted(set(others) - {right}), CHOICES - 1)
    held = [right, *wrong]
    rng.shuffle(held)
    return Item(text, held, held.index(right))


def _capital(rng: Random) -> Question:
    country = rng.choice(sorted(CAPITALS))
    return f"The capital of {country} is", CAPITALS[country], list(CAPITALS.values())


def _opposite(rng: Random) -> Question:
    word = rng.choice(sorted(OPPOSITES))
    return f"The opposite of {word} is", OPPOSITES[word], list(OPPOSITES.values())


def _kind(rng: Random) -> Question:
    kind = rng.choice(sorted(KINDS))
    a, b, c = rng.sample(KINDS[kind], 3)
    return f"{a.capitalize()}, {b} and {c} are all kinds of", kind, list(KINDS)


def _use(rng: Random) -> Question:
    start = rng.choice(sorted(USES))
    return start, USES[start], list(USES.values())


def _counting(rng: Random) -> Question:
    begin, step = rng.randint(1, 60), rng.choice((1, 1, 2, 5, 10))
    row = [begin + step * i for i in range(6)]
    near = [str(row[-1] + offset) for offset in range(-9, 10) if offset]
    return ", ".join(map(str, row[:-1])) + ",", str(row[-1]), near


def _whose(rng: Random) -> Question:
    """Four people's things, one of them asked for: found again in the text before."""
    names, things = rng.sample(NAMES, 4), rng.sample(THINGS, 4)
    told = "".join(f"{name}: {thing}\n" for name, thing in zip(names, things, strict=True))
    asked = rng.randrange(4)
    return f"{told}{names[asked]}:", things[asked], things


MAKERS: tuple[Callable[[Random], Question], ...] = (
    _capital,
    _opposite,
    _kind,
    _use,
    _counting,
    _whose,
)
