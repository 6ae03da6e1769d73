"""Word problems in English: two numbers in a story, one step."""

from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.types import Family, Fields
from farthing.learn.tasks.words import names_en as names
from farthing.learn.tasks.words import things_en as things

_family = partial(Family, kind="problems", language="en", reserved="problem")


def cast(rng: Random, a: int, b: int, sign: str) -> dict[str, object]:
    """Two people, something they count, and where it is kept."""
    name, other = several(rng, names.FIRST, 2)
    thing = things.plural(pick(rng, things.COUNTABLE))
    box = pick(rng, ("box", "bag", "basket", "crate", "jar", "drawer", "tray"))
    shown = {"name": name, "other": other, "things": thing, "box": box}
    return shown | {"boxes": things.plural(box), "a": a, "b": b, "problem": f"{a}{sign}{b}"}


def more(rng: Random) -> tuple[Fields, str]:
    a, b = whole(rng, 2, 99), whole(rng, 2, 99)
    return cast(rng, a, b, "+"), str(a + b)


def fewer(rng: Random) -> tuple[Fields, str]:
    a = whole(rng, 5, 120)
    b = whole(rng, 2, a - 2)
    return cast(rng, a, b, "-"), str(a - b)


def groups(rng: Random) -> tuple[Fields, str]:
    a, b = whole(rng, 2, 12), whole(rng, 2, 25)
    return cast(rng, a, b, "×"), str(a * b)


def shares(rng: Random) -> tuple[Fields, str]:
    b, each = whole(rng, 2, 9), whole(rng, 2, 25)
    return cast(rng, b * each, b, "÷"), str(each)


def twice(rng: Random) -> tuple[Fields, str]:
    """Two steps: gains and then losses."""
    a, b = whole(rng, 5, 60), whole(rng, 2, 40)
    c = whole(rng, 2, a + b - 1)
    shown = cast(rng, a, b, "+") | {"c": c, "problem": f"{a}+{b}-{c}"}
    return shown, f"{a}+{b}={a + b}, {a + b}-{c}={a + b - c}: {a + b - c}"


FAMILIES: list[Family] = [
    _family(
        name="more",
        draw=more,
        train=(
            "{name} has {a} {things} and buys {b} more. How many {things} does {name} have now?",
            "There are {a} {things} in the {box}. {name} puts in {b} more. How many are there now?",
            "{name} found {a} {things} on Monday and {b} on Tuesday. How many is that in all?",
            "{name} has {a} {things}. {other} has {b}. How many {things} do they have together?",
            "A shop sold {a} {things} in the morning and {b} in the afternoon. How many in total?",
            "{other} gave {name} {b} {things}. Before that {name} had {a}. How many now?",
            "One {box} holds {a} {things}, another holds {b}. How many {things} are in both?",
            "{name} counted {a} {things}, then {b} more. What is the total?",
            "{name} had {a} {things} and then got {b} from {other}. How many does {name} have?",
            "{a} {things} lie on the table and {b} on the floor. How many {things} are there?",
            "After {name} added {b} {things} to the {a} in the {box}, how many were inside?",
            "{name} needs {a} {things} for school and {b} for home. How many {things} is that?",
        ),
        test=(
            "{name} had {a} {things}. Then {name} found {b} more. How many {things} are there now?",
            "{other} has {a} {things} and {name} has {b}. How many {things} is that in all?",
            "In the {box} are {a} {things}. {name} adds {b}. How many {things} are in the {box}?",
        ),
        share=2,
    ),
    _family(
        name="fewer",
        draw=fewer,
        train=(
            "{name} has {a} {things} and gives {b} to {other}. How many are left?",
            "There were {a} {things} in the {box}. {name} took out {b}. How many remain?",
            "{name} had {a} {things} but lost {b}. How many {things} does {name} still have?",
            "A shop had {a} {things} and sold {b}. How many {things} are left?",
            "{name} has {a} {things}, {other} has {b}. How many more does {name} have?",
            "Of {a} {things}, {b} were broken. How many were not?",
            "{name} wants {a} {things} and already has {b}. How many are missing?",
            "{b} of the {a} {things} belong to {other}, the rest to {name}. How many has {name}?",
            "{name} sold {b} of {a} {things}. How many are still there?",
            "There are {a} {things}. If {other} takes {b} of them away, how many stay?",
            "{name} used {b} of the {a} {things} in the {box}. How many are unused?",
        ),
        test=(
            "{name} had {a} {things} and sold {b}. How many {things} does {name} have now?",
            "The {box} held {a} {things}. {other} took {b} away. How many are left?",
            "{name} has {a} {things} and {other} has {b}. How many fewer does {other} have?",
        ),
        share=2,
    ),
    _family(
        name="groups",
        draw=groups,
        train=(
            "{name} has {a} {boxes} with {b} {things} each. How many {things} is that?",
            "There are {b} {things} in every {box}. How many {things} are in {a} {boxes}?",
            "{name} buys {b} {things} on each of {a} days. How many {things} in all?",
            "{a} friends bring {b} {things} each. How many {things} do they bring together?",
            "A {box} holds {b} {things}. How many do {a} {boxes} hold?",
            "{name} makes {b} {things} a day. How many {things} after {a} days?",
            "{a} rows of {b} {things}: how many {things} are there?",
            "One of the {things} costs {b} dollars. What do {a} cost?",
            "{name} filled {a} {boxes}, {b} {things} in each one. How many {things} were used?",
            "If each of {a} children gets {b} {things}, how many {things} are needed?",
        ),
        test=(
            "Each {box} has {b} {things}. {name} has {a} {boxes}. How many {things} are there?",
            "{a} children have {b} {things} each. How many {things} is that together?",
        ),
        share=2,
    ),
    _family(
        name="shares",
        draw=shares,
        train=(
            "{name} shares {a} {things} among {b} friends. How many does each get?",
            "{a} {things} are put into {b} {boxes}, as many in each. How many are in one {box}?",
            "{name} has {a} {things} and packs {b} into every {box}. How many {boxes} are full?",
            "{b} children share {a} {things} fairly. How many {things} has each child?",
            "{a} {things} last {name} {b} days, the same number a day. How many a day?",
            "{b} of the {things} cost {a} dollars. What does one cost?",
            "Split {a} {things} into {b} equal parts. How many {things} are in a part?",
            "{name} lays {a} {things} in {b} equal rows. How many are in a row?",
            "If {a} {things} fill {b} {boxes} evenly, how many does a {box} hold?",
        ),
        test=(
            "{name} puts {a} {things} into {b} {boxes} evenly. How many are in each {box}?",
            "{a} {things} are shared fairly among {b} children. How many does each one get?",
        ),
        share=2,
    ),
    _family(
        name="twice",
        draw=twice,
        train=(
            "{name} had {a} {things}, got {b}, lost {c}. How many are left? Show the steps.",
            "{name} has {a} {things}, buys {b}, gives {c} to {other}. How many now? Step by step.",
            "A {box} has {a} {things}. {b} go in, {c} come out. How many are inside? Show steps.",
            "Step by step: {a} {things} and {b} {things}, then {name} takes {c} away. How many?",
            "{a} people are on a bus. {b} get on, {c} get off. How many stay? Show each step.",
            "{name} has {a} {things} and {other} {b}. They use {c}. How many remain? Show steps.",
            "Show each step: {name} finds {a} {things}, then {b}, sells {c}. How many are left?",
        ),
        test=(
            "{name} had {a} {things}, bought {b} and sold {c}. How many are left? Show each step.",
            "In a {box} are {a} {things}. {name} adds {b} and takes {c}. How many now? Show steps.",
        ),
        share=3,
    ),
]
