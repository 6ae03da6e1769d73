"""What is to be known by heart: capitals, opposites, signs of elements, what kind a thing is."""

from collections.abc import Sequence
from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import names_en, names_zh, things_en, things_zh
from farthing.learn.tasks.words.pairs import COUNTRIES, OPPOSITES, OPPOSITES_ZH, SEATS, SIGNS

_en = partial(Family, kind="recall", language="en")
_zh = partial(Family, kind="recall", language="zh")
Pair = tuple[str, str]


def known(pairs: Sequence[Pair]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        asked, answer = pick(rng, pairs)
        return {"one": asked}, answer

    return draw


def both(pairs: Sequence[Sequence[str]]) -> list[Pair]:
    return [(a, b) for a, b in pairs] + [(b, a) for a, b in pairs]


def kinds(held: dict[str, list[str]]) -> list[Pair]:
    """Of words that are of one kind alone."""
    every = [word for found in held.values() for word in found]
    return [
        (word, kind) for kind, found in held.items() for word in found if every.count(word) == 1
    ]


def following(row: Sequence[str], step: int) -> list[Pair]:
    return [(one, row[(place + step) % len(row)]) for place, one in enumerate(row)]


CAPITALS = [(one[0], one[1].replace("-", " ")) for one in COUNTRIES]
CAPITALS_ZH = [(one[2], one[3]) for one in COUNTRIES]
MONTHS_ZH = [f"{number}月" for number in range(1, 13)]

FAMILIES: list[Family] = [
    _en(
        name="capital",
        draw=known(CAPITALS),
        train=(
            "What is the capital of {one}?",
            "The capital of {one} is",
            "Name the capital of {one}.",
            "Capital of {one}:",
            "Which city is the capital of {one}?",
        ),
        test=("Which is the capital city of {one}?", "Give the capital of {one}."),
        share=3,
    ),
    _en(
        name="country",
        draw=known([(b, a) for a, b in CAPITALS]),
        train=(
            "Of which country is {one} the capital?",
            "{one} is the capital of",
            "Which country has the capital {one}?",
            "{one} is the capital of which country?",
        ),
        test=("Name the country whose capital is {one}.",),
        share=2,
    ),
    _en(
        name="opposite",
        draw=known(both(OPPOSITES)),
        train=(
            "What is the opposite of {one}?",
            "The opposite of {one} is",
            "Opposite: {one}",
            "Give a word that means the opposite of {one}.",
            "Which word is the opposite of {one}?",
        ),
        test=("Name the opposite of {one}.", "Find the opposite: {one}"),
        share=3,
    ),
    _en(
        name="kind",
        draw=known(kinds(things_en.KINDS)),
        train=(
            "What kind of thing is this? {one}",
            f"{{one}}: which of {', '.join(things_en.KINDS)}?",
            "{one} is a kind of",
            "Name the group that {one} belongs to.",
        ),
        test=("To which group does {one} belong?",),
        share=2,
    ),
    _en(
        name="sign",
        draw=known([(one[0], one[1]) for one in SIGNS]),
        train=(
            "What is the chemical symbol of {one}?",
            "Chemical symbol for {one}:",
            "Give the symbol of the element {one}.",
        ),
        test=("What symbol does the element {one} have?",),
    ),
    _en(
        name="next",
        draw=known(following(names_en.DAYS, 1) + following(names_en.MONTHS, 1)),
        train=("What comes after {one}?", "After {one} comes", "Which comes right after {one}?"),
        test=("Which one comes next after {one}?",),
    ),
    _en(
        name="last",
        draw=known(following(names_en.DAYS, -1) + following(names_en.MONTHS, -1)),
        train=("What comes before {one}?", "Before {one} comes", "Which comes right before {one}?"),
        test=("Which one comes just before {one}?",),
    ),
    _zh(
        name="capital",
        draw=known(CAPITALS_ZH),
        train=(
            "{one}的首都是哪里？",
            "{one}的首都是",
            "请写出{one}的首都。",
            "哪个城市是{one}的首都？",
        ),
        test=("{one}的首都叫什么？", "写一写{one}的首都是哪座城市。"),
        share=3,
    ),
    _zh(
        name="country",
        draw=known([(b, a) for a, b in CAPITALS_ZH]),
        train=("{one}是哪个国家的首都？", "哪个国家的首都是{one}？", "以{one}为首都的国家是"),
        test=("请写出首都是{one}的国家。",),
        share=2,
    ),
    _zh(
        name="seat",
        draw=known([(a, b) for a, b in SEATS]),
        train=("{one}省的省会是哪里？", "{one}的省会是", "请写出{one}省的省会。"),
        test=("哪座城市是{one}省的省会？",),
        share=2,
    ),
    _zh(
        name="province",
        draw=known([(b, a) for a, b in SEATS]),
        train=("{one}是哪个省的省会？", "省会是{one}的是哪个省？"),
        test=("请写出以{one}为省会的省份。",),
    ),
    _zh(
        name="opposite",
        draw=known(both(OPPOSITES_ZH)),
        train=(
            "“{one}”的反义词是什么？",
            "写出{one}的反义词。",
            "反义词：{one}",
            "和“{one}”意思相反的词是",
        ),
        test=("请写出“{one}”的反义词。", "{one}的反义词是哪个？"),
        share=3,
    ),
    _zh(
        name="kind",
        draw=known(kinds(things_zh.KINDS)),
        train=(
            "{one}属于哪一类？",
            f"{{one}}属于哪一类：{'、'.join(things_zh.KINDS)}？",
            "{one}是一种",
            "给“{one}”分类，只写类别。",
        ),
        test=("请写出{one}所属的类别。",),
        share=2,
    ),
    _zh(
        name="sign",
        draw=known([(one[2], one[1]) for one in SIGNS]),
        train=("{one}的元素符号是什么？", "写出{one}元素的符号。", "元素{one}的化学符号："),
        test=("元素{one}用什么符号表示？",),
    ),
    _zh(
        name="next",
        draw=known(following(names_zh.DAYS, 1) + following(MONTHS_ZH, 1)),
        train=("{one}后面是什么？", "{one}的下一个是", "紧跟在{one}后面的是哪个？"),
        test=("{one}之后是哪个？",),
    ),
]
