"""One unit in another: lengths, weights, times, money, temperatures."""

from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, whole
from farthing.learn.tasks.types import Draw, Family, Fields

# the larger unit, the smaller, how many of it; the last says where it is usual
EN = (
    ("kilometres", "metres", 1000),
    ("metres", "centimetres", 100),
    ("centimetres", "millimetres", 10),
    ("kilograms", "grams", 1000),
    ("tonnes", "kilograms", 1000),
    ("grams", "milligrams", 1000),
    ("litres", "millilitres", 1000),
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozens", "pieces", 12),
    ("feet", "inches", 12),
    ("yards", "feet", 3),
    ("pounds", "ounces", 16),
    ("dollars", "cents", 100),
    ("centuries", "years", 100),
    ("decades", "years", 10),
    ("gallons", "quarts", 4),
    ("kilobytes", "bytes", 1000),
)
ZH = (
    ("千米", "米", 1000),
    ("公里", "米", 1000),
    ("米", "厘米", 100),
    ("米", "分米", 10),
    ("厘米", "毫米", 10),
    ("千克", "克", 1000),
    ("公斤", "斤", 2),
    ("斤", "克", 500),
    ("斤", "两", 10),
    ("吨", "千克", 1000),
    ("升", "毫升", 1000),
    ("小时", "分钟", 60),
    ("分钟", "秒", 60),
    ("天", "小时", 24),
    ("星期", "天", 7),
    ("年", "个月", 12),
    ("元", "角", 10),
    ("元", "分", 100),
    ("角", "分", 10),
    ("世纪", "年", 100),
    ("公里", "里", 2),
    ("公顷", "平方米", 10000),
    ("打", "个", 12),
)
Units = tuple[tuple[str, str, int], ...]


def amount(rng: Random, factor: int) -> int:
    return whole(rng, 2, 12 if factor in (12, 24, 16) else 30 if factor == 60 else 99)


def smaller(units: Units) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        large, small, factor = pick(rng, units)
        count = amount(rng, factor)
        return {"a": count, "from": large, "to": small}, f"{count * factor}"

    return draw


def larger(units: Units) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        large, small, factor = pick(rng, units)
        count = amount(rng, factor)
        return {"a": count * factor, "from": small, "to": large}, f"{count}"

    return draw


def mixed(units: Units, join: str) -> Draw:
    """3 hours 25 minutes, in minutes."""
    held = [unit for unit in units if unit[2] <= 1000]

    def draw(rng: Random) -> tuple[Fields, str]:
        large, small, factor = pick(rng, held)
        count = whole(rng, 2, 9)
        rest = whole(rng, 1, min(factor, 100) - 1)
        shown = {"text": join.format(count, large, rest, small), "to": small}
        return shown, f"{count * factor + rest}"

    return draw


def fahrenheit(rng: Random) -> tuple[Fields, str]:
    celsius = 5 * whole(rng, -8, 30)
    return {"a": celsius}, str(celsius * 9 // 5 + 32)


def celsius(rng: Random) -> tuple[Fields, str]:
    degrees = 5 * whole(rng, -4, 30)
    return {"a": degrees * 9 // 5 + 32}, str(degrees)


def halves(units: Units) -> Draw:
    """2.5 kilometres in metres: a decimal in whole units."""
    held = [unit for unit in units if unit[2] in (10, 100, 1000)]

    def draw(rng: Random) -> tuple[Fields, str]:
        large, small, factor = pick(rng, held)
        tenths = whole(rng, 11, 99)
        tenths += tenths % 10 == 0
        return {"a": tenths / 10, "from": large, "to": small}, str(tenths * factor // 10)

    return draw


_en = partial(Family, kind="units", language="en")
_zh = partial(Family, kind="units", language="zh")
_ASK = (
    "How many {to} are {a} {from}?",
    "Convert {a} {from} to {to}.",
    "{a} {from} in {to}:",
    "{a} {from} = ? {to}",
    "Express {a} {from} in {to}.",
    "What is {a} {from} in {to}?",
    "Change {a} {from} into {to}. Answer with the number.",
    "{a} {from} is how many {to}?",
    "I have {a} {from}. How many {to} is that?",
)
_HELD = (
    "How many {to} is {a} {from}?",
    "Give {a} {from} in {to}.",
    "Convert to {to}: {a} {from}",
)
_ASK_ZH = (
    "{a}{from}等于多少{to}？",
    "把{a}{from}换算成{to}。",
    "{a}{from}=（ ）{to}",
    "{a}{from}是多少{to}？",
    "请将{a}{from}转换为{to}。",
    "单位换算：{a}{from}=？{to}",
    "{a}{from}合多少{to}？",
    "用{to}表示{a}{from}，是多少？",
)
_HELD_ZH = ("{a}{from}换算成{to}是多少？", "求：{a}{from}=？{to}", "{a}{from}有多少{to}？")

FAMILIES: list[Family] = [
    _en(name="smaller", draw=smaller(EN), train=_ASK, test=_HELD, share=3),
    _en(name="larger", draw=larger(EN), train=_ASK, test=_HELD, share=3),
    _en(name="tenths", draw=halves(EN), train=_ASK, test=_HELD, share=2),
    _zh(name="smaller", draw=smaller(ZH), train=_ASK_ZH, test=_HELD_ZH, share=3),
    _zh(name="larger", draw=larger(ZH), train=_ASK_ZH, test=_HELD_ZH, share=3),
    _zh(name="tenths", draw=halves(ZH), train=_ASK_ZH, test=_HELD_ZH, share=2),
    _en(
        name="mixed",
        draw=mixed(EN, "{} {} and {} {}"),
        train=(
            "How many {to} are {text}?",
            "Convert {text} to {to}.",
            "{text} in {to}:",
            "Write {text} in {to} alone.",
            "Express {text} in {to}.",
        ),
        test=("Give {text} in {to}.", "What is {text} in {to}?"),
        share=2,
    ),
    _zh(
        name="mixed",
        draw=mixed(ZH, "{}{}{}{}"),
        train=(
            "{text}等于多少{to}？",
            "把{text}换算成{to}。",
            "{text}=（ ）{to}",
            "{text}一共是多少{to}？",
            "请用{to}表示{text}。",
        ),
        test=("{text}换算成{to}是多少？", "{text}合多少{to}？"),
        share=2,
    ),
    _en(
        name="fahrenheit",
        draw=fahrenheit,
        train=(
            "Convert {a} degrees Celsius to Fahrenheit.",
            "What is {a}°C in Fahrenheit?",
            "{a}°C = ? °F",
            "How many degrees Fahrenheit are {a} degrees Celsius?",
        ),
        test=("Give {a}°C in degrees Fahrenheit.",),
    ),
    _en(
        name="celsius",
        draw=celsius,
        train=(
            "Convert {a} degrees Fahrenheit to Celsius.",
            "What is {a}°F in Celsius?",
            "{a}°F = ? °C",
            "How many degrees Celsius are {a} degrees Fahrenheit?",
        ),
        test=("Give {a}°F in degrees Celsius.",),
    ),
    _zh(
        name="fahrenheit",
        draw=fahrenheit,
        train=(
            "{a}摄氏度等于多少华氏度？",
            "把{a}摄氏度换算成华氏度。",
            "{a}℃=？℉",
        ),
        test=("{a}摄氏度是多少华氏度？",),
    ),
]
