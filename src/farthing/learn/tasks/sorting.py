"""Putting in order: numbers, words, people by a figure; the largest, the smallest, in reverse."""

from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, shuffled, whole
from farthing.learn.tasks.types import Draw, Family, Fields, crossed
from farthing.learn.tasks.words import acts_en, names_en, names_zh, things_en, things_zh

WORDS = sorted({*things_en.NOUNS, *acts_en.ADJECTIVES, *acts_en.REGULAR})
WORDS_ZH = sorted({thing for held in things_zh.KINDS.values() for thing in held})


def numbers(low: int, high: int, most: int, comma: str) -> Draw:
    """Different numbers of all lengths that the range has."""

    def draw(rng: Random) -> tuple[Fields, str]:
        top = pick(rng, (high, high, 10 ** len(str(low)), high // 10))
        count = whole(rng, 3, most)
        found = several(rng, range(low, max(top, low + 4 * count)), count)
        ordered = sorted(found)
        shown = {"items": comma.join(map(str, found)), "count": count}
        return shown | {"up": ordered, "down": ordered[::-1]}, comma.join(map(str, ordered))

    return draw


def downwards(draw: Draw, comma: str) -> Draw:
    def turned(rng: Random) -> tuple[Fields, str]:
        shown, answer = draw(rng)
        return shown, comma.join(reversed(answer.split(comma)))

    return turned


def end(draw: Draw, comma: str, place: int) -> Draw:
    def ended(rng: Random) -> tuple[Fields, str]:
        shown, answer = draw(rng)
        return shown, answer.split(comma)[place]

    return ended


def alphabet(rng: Random) -> tuple[Fields, str]:
    held = pick(rng, (WORDS, WORDS, names_en.FIRST, names_en.CITIES))
    found = several(rng, held, whole(rng, 3, 6))
    return {"items": ", ".join(found)}, ", ".join(sorted(found))


def backwards(held: list[str], comma: str) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        if rng.random() < 0.3:
            found = [str(whole(rng, 1, 99)) for _ in range(whole(rng, 3, 7))]
        else:
            found = several(rng, held, whole(rng, 3, 7))
        return {"items": comma.join(found)}, comma.join(reversed(found))

    return draw


def people(names: list[str], comma: str, form: str) -> Draw:
    """Names and a figure each, in the order of the figures."""

    def draw(rng: Random) -> tuple[Fields, str]:
        who = several(rng, names, whole(rng, 3, 5))
        figures = several(rng, range(5, 100), len(who))
        told = [form.format(name, figure) for name, figure in zip(who, figures, strict=True)]
        ordered = sorted(zip(figures, who, strict=True))
        return {"items": comma.join(told)}, comma.join(name for _, name in ordered)

    return draw


def calendar(names: list[str], comma: str) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        places = sorted(several(rng, range(len(names)), whole(rng, 3, 5)))
        found = [names[place] for place in shuffled(rng, places)]
        return {"items": comma.join(found)}, comma.join(names[place] for place in places)

    return draw


_en = partial(Family, kind="sort", language="en")
_zh = partial(Family, kind="sort", language="zh")
_numbers_en, _numbers_zh = numbers(1, 1000, 7, ", "), numbers(1, 1000, 7, "、")
MONTHS_ZH = [f"{number}月" for number in range(1, 13)]

FAMILIES: list[Family] = [
    _en(
        name="up",
        draw=_numbers_en,
        train=(
            "Sort these numbers from smallest to largest: {items}",
            "Put the numbers in ascending order: {items}",
            "{items}\nSort in increasing order.",
            "Arrange {items} from low to high.",
            "Write these numbers in order, smallest first: {items}",
            "Order the following numbers from least to greatest.\n{items}",
            "Sort ascending: {items}",
            "Here are {count} numbers: {items}. List them from smallest to biggest.",
            "Rearrange the list so that the numbers go up: {items}",
            "{items}\nSmallest first, please.",
        ),
        test=(
            "Sort the numbers in ascending order: {items}",
            "List these numbers from smallest to largest.\n{items}",
            "{items}\nPut these numbers in increasing order.",
        ),
        share=3,
    ),
    _en(
        name="down",
        draw=downwards(_numbers_en, ", "),
        train=(
            "Sort these numbers from largest to smallest: {items}",
            "Put the numbers in descending order: {items}",
            "{items}\nSort in decreasing order.",
            "Arrange {items} from high to low.",
            "Write these numbers in order, largest first: {items}",
            "Order the following numbers from greatest to least.\n{items}",
            "Sort descending: {items}",
            "Here are {count} numbers: {items}. List them from biggest to smallest.",
            "Rearrange the list so that the numbers go down: {items}",
            "{items}\nLargest first, please.",
        ),
        test=(
            "Sort the numbers in descending order: {items}",
            "List these numbers from largest to smallest.\n{items}",
            "{items}\nPut these numbers in decreasing order.",
        ),
        share=3,
    ),
    _en(
        name="largest",
        draw=end(_numbers_en, ", ", -1),
        train=(
            "What is the largest of these numbers? {items}",
            "Find the biggest number: {items}",
            "{items}\nWhich number is the greatest?",
            "Give the maximum of {items}.",
            "Which is the highest number here: {items}?",
            "Pick the largest: {items}",
        ),
        test=("Find the largest number: {items}", "{items}\nWhat is the biggest of these numbers?"),
    ),
    _en(
        name="smallest",
        draw=end(_numbers_en, ", ", 0),
        train=(
            "What is the smallest of these numbers? {items}",
            "Find the least number: {items}",
            "{items}\nWhich number is the lowest?",
            "Give the minimum of {items}.",
            "Which is the smallest number here: {items}?",
            "Pick the smallest: {items}",
        ),
        test=("Find the smallest number: {items}", "{items}\nWhat is the least of these numbers?"),
    ),
    _en(
        name="alphabet",
        draw=alphabet,
        train=(
            "Sort these words alphabetically: {items}",
            "Put the words in alphabetical order: {items}",
            "{items}\nSort from A to Z.",
            "Arrange {items} in alphabetical order.",
            "Write these words in the order of the alphabet: {items}",
            "Alphabetize: {items}",
            "Order the following words from A to Z.\n{items}",
            "As a dictionary would have them: {items}",
        ),
        test=(
            "Sort the following words from A to Z: {items}",
            "{items}\nPut these words in alphabetical order.",
        ),
        share=3,
    ),
    _en(
        name="reverse",
        draw=backwards(WORDS, ", "),
        train=(
            "Reverse this list: {items}",
            "Write the list backwards: {items}",
            "{items}\nGive the items in reverse order.",
            "Turn the order around: {items}",
            "List these from last to first: {items}",
            "Starting with the last one, write: {items}",
            "Put the last item first and the first item last: {items}",
        ),
        test=("Write this list in reverse order: {items}", "{items}\nReverse the list."),
        share=3,
    ),
    _en(
        name="people",
        draw=people(names_en.FIRST, ", ", "{} {}"),
        train=crossed(
            (
                "{text}: {items}. Sort the names from the lowest to the highest.",
                "{text}: {items}. Who is first, second and so on, lowest first? Names only.",
                "List the names in ascending order. {text}: {items}",
                "{items}\nThese are {text}. Write the names, smallest figure first.",
            ),
            ("scores", "ages in years", "points", "prices in dollars", "weights in pounds"),
        ),
        test=crossed(
            (
                "{text}: {items}. List the names from the lowest to the highest.",
                "Sort the names, smallest figure first. {text}: {items}",
            ),
            ("scores", "ages in years"),
        ),
        share=2,
    ),
    _en(
        name="months",
        draw=calendar(names_en.MONTHS, ", "),
        train=(
            "Sort these months: {items}",
            "Put the months in the order of the year: {items}",
            "{items}\nWhich comes first in the year? Write all in order.",
            "Arrange the months from January to December: {items}",
        ),
        test=("Put these months in order: {items}",),
    ),
    _zh(
        name="up",
        draw=_numbers_zh,
        train=(
            "把下列数字从小到大排列：{items}",
            "按升序排列：{items}",
            "{items}\n请从小到大排序。",
            "从小到大写出这些数：{items}",
            "将{items}按从小到大的顺序排列。",
            "请把这{count}个数由小到大排好：{items}",
            "升序排序：{items}",
            "{items}，最小的写在最前面。",
            "给这些数字排队，小的在前：{items}",
        ),
        test=(
            "请按从小到大的顺序排列这些数字：{items}",
            "{items}\n把这些数按升序排列。",
            "从小到大排序：{items}",
        ),
        share=3,
    ),
    _zh(
        name="down",
        draw=downwards(_numbers_zh, "、"),
        train=(
            "把下列数字从大到小排列：{items}",
            "按降序排列：{items}",
            "{items}\n请从大到小排序。",
            "从大到小写出这些数：{items}",
            "将{items}按从大到小的顺序排列。",
            "请把这{count}个数由大到小排好：{items}",
            "降序排序：{items}",
            "{items}，最大的写在最前面。",
            "给这些数字排队，大的在前：{items}",
        ),
        test=(
            "请按从大到小的顺序排列这些数字：{items}",
            "{items}\n把这些数按降序排列。",
            "从大到小排序：{items}",
        ),
        share=3,
    ),
    _zh(
        name="largest",
        draw=end(_numbers_zh, "、", -1),
        train=(
            "下面哪个数最大？{items}",
            "找出最大的数：{items}",
            "{items}中最大的是多少？",
            "{items}\n写出最大值。",
            "求最大值：{items}",
        ),
        test=("写出最大的数：{items}", "{items}\n哪个数最大？"),
    ),
    _zh(
        name="smallest",
        draw=end(_numbers_zh, "、", 0),
        train=(
            "下面哪个数最小？{items}",
            "找出最小的数：{items}",
            "{items}中最小的是多少？",
            "{items}\n写出最小值。",
            "求最小值：{items}",
        ),
        test=("写出最小的数：{items}", "{items}\n哪个数最小？"),
    ),
    _zh(
        name="reverse",
        draw=backwards(WORDS_ZH, "、"),
        train=(
            "把下面的词语倒过来排列：{items}",
            "倒序写出：{items}",
            "{items}\n从最后一个开始写到第一个。",
            "将列表反过来：{items}",
            "请把顺序颠倒：{items}",
            "反向列出：{items}",
        ),
        test=("请倒序排列：{items}", "{items}\n把这个列表倒过来写。"),
        share=3,
    ),
    _zh(
        name="people",
        draw=people(names_zh.CALLED, "、", "{}{}"),
        train=crossed(
            (
                "{text}：{items}。按从低到高写出名字。",
                "{items}\n这是{text}，请从小到大排列名字。",
                "按{text}从少到多排列，只写名字：{items}",
                "根据{text}（{items}），由低到高写出姓名。",
            ),
            ("分数", "年龄", "身高", "得票数", "体重"),
        ),
        test=crossed(
            ("{text}：{items}。从小到大写出名字。", "按{text}从低到高排列名字：{items}"),
            ("分数", "年龄"),
        ),
        share=2,
    ),
    _zh(
        name="months",
        draw=calendar(MONTHS_ZH, "、"),
        train=(
            "把月份按先后顺序排列：{items}",
            "{items}\n按一年中的顺序排好。",
            "从年初到年末排列：{items}",
            "给这些月份排序：{items}",
        ),
        test=("按时间先后排列这些月份：{items}",),
    ),
]
