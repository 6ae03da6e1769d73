"""Small tables, in several forms, and questions about one or two of their cells."""

from collections.abc import Callable
from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import names_en, names_zh, things_en, things_zh

_en = partial(Family, kind="lookup", language="en")
_zh = partial(Family, kind="lookup", language="zh")
Rows = list[tuple[str, str]]

PLAIN = things_en.KINDS["fruit"] + things_en.KINDS["garment"] + things_en.KINDS["tool"]
PLAIN_ZH = things_zh.KINDS["水果"] + things_zh.KINDS["文具"] + things_zh.KINDS["衣服"]
SUBJECTS = (
    ("name", "age", names_en.FIRST, (6, 90)),
    ("name", "score", names_en.FIRST, (10, 100)),
    ("item", "price", PLAIN, (1, 99)),
    ("item", "stock", PLAIN, (1, 500)),
    ("city", "temperature", names_en.CITIES, (1, 40)),
    ("city", "visitors", names_en.CITIES, (100, 999)),
    ("room", "seats", names_en.STREETS, (10, 90)),
)
SUBJECTS_ZH = (
    ("姓名", "年龄", names_zh.CALLED, (6, 90)),
    ("姓名", "分数", names_zh.CALLED, (10, 100)),
    ("商品", "价格", PLAIN_ZH, (1, 99)),
    ("商品", "库存", PLAIN_ZH, (1, 500)),
    ("城市", "气温", names_zh.CITIES, (1, 40)),
    ("城市", "人数", names_zh.CITIES, (100, 999)),
)


def shown(rng: Random, left: str, right: str, rows: Rows) -> str:
    """As a table of one form or another."""
    form = int(rng.random() * 5)
    if form == 0:
        head = f"| {left} | {right} |\n|---|---|\n"
        return head + "\n".join(f"| {a} | {b} |" for a, b in rows)
    if form == 1:
        return f"{left},{right}\n" + "\n".join(f"{a},{b}" for a, b in rows)
    if form == 2:
        return f"{left}: {right}\n" + "\n".join(f"{a}: {b}" for a, b in rows)
    if form == 3:
        return "\n".join(f"{left}={a}; {right}={b}" for a, b in rows)
    return f"{left} / {right}\n" + "\n".join(f"- {a} / {b}" for a, b in rows)


Answer = Callable[[list[str], list[int], int, int], str]


def table(
    subjects: tuple[tuple[str, str, list[str], tuple[int, int]], ...], answer: Answer
) -> Draw:
    """A table of different keys and figures, with two of its rows picked."""

    def draw(rng: Random) -> tuple[Fields, str]:
        left, right, held, (low, high) = pick(rng, subjects)
        keys = several(rng, held, whole(rng, 3, 6))
        figures = several(rng, range(low, high + 1), len(keys))
        first, second = several(rng, range(len(keys)), 2)
        rows = list(zip(keys, map(str, figures), strict=True))
        fields = {"left": left, "right": right, "table": shown(rng, left, right, rows)}
        fields |= {"key": keys[first], "other": keys[second], "figure": str(figures[first])}
        return fields, answer(keys, figures, first, second)

    return draw


def value(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return str(figures[first])


def key(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return keys[first]


def highest(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return keys[figures.index(max(figures))]


def lowest(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return keys[figures.index(min(figures))]


def added(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return str(figures[first] + figures[second])


def higher(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return keys[first if figures[first] > figures[second] else second]


def rows(keys: list[str], figures: list[int], first: int, second: int) -> str:
    return str(len(keys))


FAMILIES: list[Family] = [
    _en(
        name="value",
        draw=table(SUBJECTS, value),
        train=(
            "{table}\n\nWhat is the {right} of {key}?",
            "Look at the table.\n{table}\nFind the {right} for {key}.",
            "{table}\n{key}: {right}?",
            "From the table below, give the {right} of {key}.\n\n{table}",
            "{table}\n\nWhich {right} does {key} have?",
            "Read the {right} of {key} from this table:\n{table}",
        ),
        test=(
            "{table}\n\nGive the {right} of {key}.",
            "What is the {right} of {key} in this table?\n{table}",
        ),
        share=4,
    ),
    _en(
        name="key",
        draw=table(SUBJECTS, key),
        train=(
            "{table}\n\nWhich {left} has the {right} {figure}?",
            "Look at the table.\n{table}\nWhich {left} goes with {right} {figure}?",
            "In the table below, which {left} has {right} {figure}?\n\n{table}",
            "{table}\nThe {right} is {figure}. What is the {left}?",
            "{table}\n{right} {figure}: which {left}?",
        ),
        test=(
            "{table}\n\nFind the {left} with {right} {figure}.",
            "Which {left} in this table has the {right} {figure}?\n{table}",
        ),
        share=3,
    ),
    _en(
        name="highest",
        draw=table(SUBJECTS, highest),
        train=(
            "{table}\n\nWhich {left} has the highest {right}?",
            "Look at the table.\n{table}\nFind the {left} with the largest {right}.",
            "In this table, which {left} comes first by {right}?\n{table}",
            "{table}\nHighest {right}: which {left}?",
        ),
        test=("{table}\n\nFind the {left} with the highest {right}.",),
        share=3,
    ),
    _en(
        name="lowest",
        draw=table(SUBJECTS, lowest),
        train=(
            "{table}\n\nWhich {left} has the lowest {right}?",
            "Look at the table.\n{table}\nFind the {left} with the smallest {right}.",
            "In this table, which {left} comes last by {right}?\n{table}",
            "{table}\nLowest {right}: which {left}?",
        ),
        test=("{table}\n\nFind the {left} with the lowest {right}.",),
        share=3,
    ),
    _en(
        name="higher",
        draw=table(SUBJECTS, higher),
        train=(
            "{table}\n\nWhich has the higher {right}, {key} or {other}?",
            "{table}\nCompare the {right} of {key} and {other}. Which is more?",
            "By this table, is the {right} larger for {key} or for {other}?\n{table}",
        ),
        test=("{table}\n\nOf {key} and {other}, which has the higher {right}?",),
        share=2,
    ),
    _en(
        name="added",
        draw=table(SUBJECTS, added),
        train=(
            "{table}\n\nAdd the {right} of {key} and the {right} of {other}.",
            "{table}\nWhat is the {right} of {key} and {other} together?",
            "By this table, what is the sum of {right} for {key} and {other}?\n{table}",
            "{table}\n{right} of {key} plus {right} of {other}:",
        ),
        test=("{table}\n\nWhat is the sum of the {right} of {key} and {other}?",),
        share=2,
    ),
    _en(
        name="rows",
        draw=table(SUBJECTS, rows),
        train=(
            "{table}\n\nHow many rows does the table have, without its head?",
            "How many entries are in this table?\n{table}",
            "{table}\nCount the entries of this table.",
        ),
        test=("{table}\n\nHow many entries does this table have?",),
    ),
    _zh(
        name="value",
        draw=table(SUBJECTS_ZH, value),
        train=(
            "{table}\n\n{key}的{right}是多少？",
            "看表回答：{key}的{right}是多少？\n{table}",
            "{table}\n请写出{key}的{right}。",
            "从表中找出{key}的{right}。\n\n{table}",
            "{table}\n{key}：{right}？",
        ),
        test=("根据表格，{key}的{right}是多少？\n{table}", "{table}\n\n查一查{key}的{right}。"),
        share=4,
    ),
    _zh(
        name="key",
        draw=table(SUBJECTS_ZH, key),
        train=(
            "{table}\n\n哪个{left}的{right}是{figure}？",
            "看表回答：{right}为{figure}的{left}是哪个？\n{table}",
            "{table}\n{right}是{figure}，写出{left}。",
            "从表中找出{right}等于{figure}的{left}。\n\n{table}",
        ),
        test=(
            "根据表格，哪个{left}的{right}为{figure}？\n{table}",
            "{table}\n\n找出{right}是{figure}的{left}。",
        ),
        share=3,
    ),
    _zh(
        name="highest",
        draw=table(SUBJECTS_ZH, highest),
        train=(
            "{table}\n\n{right}最大的{left}是哪个？",
            "看表回答：哪个{left}的{right}最高？\n{table}",
            "{table}\n写出{right}最多的{left}。",
            "从表中找出{right}最大的一项。\n\n{table}",
        ),
        test=("根据表格，{right}最大的是哪个{left}？\n{table}",),
        share=3,
    ),
    _zh(
        name="lowest",
        draw=table(SUBJECTS_ZH, lowest),
        train=(
            "{table}\n\n{right}最小的{left}是哪个？",
            "看表回答：哪个{left}的{right}最低？\n{table}",
            "{table}\n写出{right}最少的{left}。",
            "从表中找出{right}最小的一项。\n\n{table}",
        ),
        test=("根据表格，{right}最小的是哪个{left}？\n{table}",),
        share=3,
    ),
    _zh(
        name="higher",
        draw=table(SUBJECTS_ZH, higher),
        train=(
            "{table}\n\n{key}和{other}，谁的{right}大？",
            "{table}\n比较{key}与{other}的{right}，写出较大的那个。",
            "看表回答：{key}和{other}哪个{right}更高？\n{table}",
        ),
        test=("根据表格，{key}和{other}中{right}较大的是哪个？\n{table}",),
        share=2,
    ),
    _zh(
        name="added",
        draw=table(SUBJECTS_ZH, added),
        train=(
            "{table}\n\n{key}和{other}的{right}一共是多少？",
            "{table}\n把{key}与{other}的{right}相加。",
            "看表回答：{key}和{other}的{right}之和是多少？\n{table}",
        ),
        test=("根据表格，{key}与{other}的{right}加起来是多少？\n{table}",),
        share=2,
    ),
    _zh(
        name="rows",
        draw=table(SUBJECTS_ZH, rows),
        train=(
            "{table}\n\n表中一共有几项？",
            "这张表有几行数据？\n{table}",
            "{table}\n数一数表里有几项。",
        ),
        test=("{table}\n\n这张表一共有几项？",),
    ),
]
