"""From one language into the other: words, counted things, and sentences of a small grammar."""

from collections.abc import Callable
from functools import partial
from random import Random

from farthing.learn.tasks.fields import count_zh, pick, whole
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import things_en, words
from farthing.learn.tasks.words.pairs import ACTS, PEOPLE, QUALITIES, SPOTS, THINGS, TIMES, WORDS

NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve")
_en = partial(Family, kind="translate", language="en")
_zh = partial(Family, kind="translate", language="zh")
Said = tuple[str, str]
"""In English, in Chinese."""


def word(rng: Random) -> Said:
    held = pick(rng, (WORDS, WORDS, WORDS, THINGS))
    one = pick(rng, held)
    return one[0], one[1]


def phrase(rng: Random) -> Said:
    """Two red apples, 两个红色的苹果."""
    thing, said, measure = pick(rng, THINGS)
    count = whole(rng, 1, 12)
    quality = pick(rng, QUALITIES) if rng.random() < 0.6 else ("", "")
    noun = thing if count == 1 else things_en.plural(thing)
    full = f"{quality[0]} {noun}".strip()
    counted = things_en.a(full) if count == 1 else f"{NUMBERS[count]} {full}"
    return counted, f"{count_zh(count)}{measure}{of(quality[1])}{said}"


def of(quality: str) -> str:
    """大, but 红色的."""
    return quality if len(quality) < 2 else f"{quality}的"


def sentence(rng: Random) -> Said:
    """Tom bought a book at school yesterday. 汤姆昨天在学校买了一本书。"""
    who, name = pick(rng, PEOPLE)
    did, done = pick(rng, ACTS)
    what, said = phrase(rng)
    where, there = pick(rng, SPOTS) if rng.random() < 0.5 else ("", "")
    when, then = pick(rng, TIMES) if rng.random() < 0.5 else ("", "")
    english = " ".join(part for part in (who, did, what, where, when) if part)
    return f"{english}.", f"{name}{then}{there}{done}{said}。"


def is_so(rng: Random) -> Said:
    """The book is red. 这本书是红色的。"""
    thing, said, measure = pick(rng, THINGS)
    quality, colour = pick(rng, QUALITIES[:9])
    return f"This {thing} is {quality}.", f"这{measure}{said}是{colour}的。"


def to_chinese(say: Callable[[Random], Said]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        english, chinese = say(rng)
        return {"text": english}, chinese

    return draw


def to_english(say: Callable[[Random], Said]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        english, chinese = say(rng)
        return {"text": chinese}, english

    return draw


_INTO_CHINESE = (
    "Translate into Chinese: {text}",
    "How do you say this in Chinese? {text}",
    "{text}\nWrite it in Chinese.",
    "In Chinese: {text}",
    "Give the Chinese for: {text}",
    "English: {text}\nChinese:",
)
_HELD_CHINESE = ("Translate this into Chinese: {text}", "{text}\nSay it in Chinese.")
_INTO_ENGLISH = (
    "Translate into English: {text}",
    "What does this mean in English? {text}",
    "{text}\nWrite it in English.",
    "In English: {text}",
    "Give the English for: {text}",
    "Chinese: {text}\nEnglish:",
)
_HELD_ENGLISH = ("Translate this into English: {text}", "{text}\nSay it in English.")
_ZH_CHINESE = (
    "翻译成中文：{text}",
    "{text}用中文怎么说？",
    "{text}\n请译成中文。",
    "把下面的英文翻译成中文：{text}",
    "英文：{text}\n中文：",
)
_HELD_ZH_CHINESE = ("请把这句英文译成中文：{text}", "{text}\n翻译为中文。")
_ZH_ENGLISH = (
    "翻译成英文：{text}",
    "{text}用英语怎么说？",
    "{text}\n请译成英文。",
    "把下面的中文翻译成英文：{text}",
    "中文：{text}\n英文：",
)
_HELD_ZH_ENGLISH = ("请把这句中文译成英文：{text}", "{text}\n翻译为英文。")
SAID = (("word", word, 3), ("phrase", phrase, 3), ("sentence", sentence, 4), ("is-so", is_so, 1))

FAMILIES: list[Family] = [
    made
    for name, say, share in SAID
    for made in (
        _en(
            name=f"{name}-to-zh",
            draw=to_chinese(say),
            train=_INTO_CHINESE,
            test=_HELD_CHINESE,
            share=share,
        ),
        _en(
            name=f"{name}-to-en",
            draw=to_english(say),
            train=_INTO_ENGLISH,
            test=_HELD_ENGLISH,
            share=share,
        ),
        _zh(
            name=f"{name}-to-zh",
            draw=to_chinese(say),
            train=_ZH_CHINESE,
            test=_HELD_ZH_CHINESE,
            share=share,
        ),
        _zh(
            name=f"{name}-to-en",
            draw=to_english(say),
            train=_ZH_ENGLISH,
            test=_HELD_ZH_ENGLISH,
            share=share,
        ),
    )
]
