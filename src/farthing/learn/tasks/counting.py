"""How many: of items, of one word, of those above a limit, of one kind."""

from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, shuffled, whole
from farthing.learn.tasks.sorting import WORDS_ZH
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import things_en, things_zh

_en = partial(Family, kind="count", language="en")
_zh = partial(Family, kind="count", language="zh")


def items(held: list[str], comma: str) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        found = several(rng, held, whole(rng, 2, 10))
        return {"items": comma.join(found)}, str(len(found))

    return draw


def same(held: list[str], comma: str) -> Draw:
    """One word several times among others."""

    def draw(rng: Random) -> tuple[Fields, str]:
        word, *others = several(rng, held, 4)
        count = whole(rng, 1, 5)
        rest = [pick(rng, others) for _ in range(whole(rng, 1, 6))]
        found = shuffled(rng, [word] * count + rest)
        return {"items": comma.join(found), "word": word}, str(count)

    return draw


def above(comma: str, *, over: bool) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        found = [whole(rng, 1, 99) for _ in range(whole(rng, 4, 9))]
        limit = whole(rng, 1, 9) * 10
        count = sum(one > limit if over else one < limit for one in found)
        return {"items": comma.join(map(str, found)), "limit": limit}, str(count)

    return draw


def parity(comma: str, *, odd: bool) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        found = [whole(rng, 1, 99) for _ in range(whole(rng, 4, 9))]
        return {"items": comma.join(map(str, found))}, str(sum(one % 2 == odd for one in found))

    return draw


def kind(kinds: dict[str, list[str]], comma: str) -> Draw:
    """Words of one kind among words of two others."""
    held = {name: set(found) for name, found in kinds.items()}

    def draw(rng: Random) -> tuple[Fields, str]:
        asked, *others = several(rng, list(kinds), 3)
        count = whole(rng, 1, 5)
        mine = several(rng, kinds[asked], count)
        rest = [pick(rng, kinds[pick(rng, others)]) for _ in range(whole(rng, 1, 4))]
        count += sum(one in held[asked] for one in rest)
        found = shuffled(rng, mine + rest)
        return {"items": comma.join(found), "kind": asked, "kinds": plural(asked)}, str(count)

    return draw


def plural(kind: str) -> str:
    return kind if kind == "fruit" or not kind.isascii() else things_en.plural(kind)


def letters(rng: Random) -> tuple[Fields, str]:
    text = "".join(several(rng, WORDS_ZH, whole(rng, 1, 4)))
    return {"text": text}, str(len(text))


def one_letter(rng: Random) -> tuple[Fields, str]:
    """One character among others, as 东西东南东北."""
    word, *others = several(rng, "天地人大小上下东西南北春夏秋冬山水火木日月", 5)
    count = whole(rng, 1, 5)
    found = shuffled(rng, [word] * count + [pick(rng, others) for _ in range(whole(rng, 1, 6))])
    return {"text": "".join(found), "word": word}, str(count)


def words_of(rng: Random) -> tuple[Fields, str]:
    found = several(rng, things_en.NOUNS, whole(rng, 2, 10))
    return {"text": " ".join(found)}, str(len(found))


FAMILIES: list[Family] = [
    _en(
        name="items",
        draw=items(things_en.NOUNS, ", "),
        train=(
            "How many items are in this list? {items}",
            "Count the items: {items}",
            "{items}\nHow many things are listed?",
            "Give the length of the list: {items}",
            "The list is {items}. How many entries does it have?",
        ),
        test=("How many things are in the list? {items}", "{items}\nCount the items in this list."),
        share=2,
    ),
    _en(
        name="words",
        draw=words_of,
        train=(
            "How many words are there? {text}",
            "Count the words: {text}",
            "{text}\nHow many words is that?",
            "Number of words in: {text}",
        ),
        test=("How many words do you see? {text}", "{text}\nCount the words."),
        share=2,
    ),
    _en(
        name="same",
        draw=same(things_en.NOUNS, ", "),
        train=(
            "How many times does {word} appear? {items}",
            "Count {word} in this list: {items}",
            "{items}\nHow often is {word} in the list?",
            'How many times is "{word}" written here? {items}',
            "In {items}, how many are {word}?",
        ),
        test=(
            "How often does {word} appear in this list? {items}",
            "{items}\nCount the word {word}.",
        ),
        share=3,
    ),
    _en(
        name="above",
        draw=above(", ", over=True),
        train=(
            "How many of these numbers are greater than {limit}? {items}",
            "Count the numbers above {limit}: {items}",
            "{items}\nHow many are larger than {limit}?",
            "Numbers over {limit} in {items}:",
            "How many numbers in the list are bigger than {limit}? {items}",
        ),
        test=(
            "How many numbers are above {limit}? {items}",
            "{items}\nCount those greater than {limit}.",
        ),
        share=2,
    ),
    _en(
        name="below",
        draw=above(", ", over=False),
        train=(
            "How many of these numbers are less than {limit}? {items}",
            "Count the numbers below {limit}: {items}",
            "{items}\nHow many are smaller than {limit}?",
            "Numbers under {limit} in {items}:",
            "How many numbers in the list are lower than {limit}? {items}",
        ),
        test=(
            "How many numbers are below {limit}? {items}",
            "{items}\nCount those less than {limit}.",
        ),
        share=2,
    ),
    _en(
        name="even",
        draw=parity(", ", odd=False),
        train=(
            "How many of these numbers are even? {items}",
            "Count the even numbers: {items}",
            "{items}\nHow many are even?",
        ),
        test=("How many even numbers are there? {items}",),
    ),
    _en(
        name="odd",
        draw=parity(", ", odd=True),
        train=(
            "How many of these numbers are odd? {items}",
            "Count the odd numbers: {items}",
            "{items}\nHow many are odd?",
        ),
        test=("How many odd numbers are there? {items}",),
    ),
    _en(
        name="kind",
        draw=kind(things_en.KINDS, ", "),
        train=(
            "How many of these are {kinds}? {items}",
            "Count the {kinds}: {items}",
            "{items}\nHow many {kinds} are in the list?",
            "Look at {items}. How many words name {kinds}?",
            "How many words for {kinds} do you see? {items}",
        ),
        test=("How many {kinds} are there? {items}", "{items}\nCount the {kinds} in this list."),
        share=3,
    ),
    _zh(
        name="items",
        draw=items(WORDS_ZH, "、"),
        train=(
            "下面一共有几个词？{items}",
            "数一数有几项：{items}",
            "{items}\n列表里有几样东西？",
            "{items}，共几个？",
            "列表长度是多少？{items}",
        ),
        test=("下面的列表有几项？{items}", "{items}\n一共有几个词？"),
        share=2,
    ),
    _zh(
        name="same",
        draw=same(WORDS_ZH, "、"),
        train=(
            "“{word}”出现了几次？{items}",
            "数一数有几个{word}：{items}",
            "{items}\n列表中{word}有几个？",
            "{items}里面，{word}一共出现多少次？",
            "统计“{word}”的次数：{items}",
        ),
        test=("下面的列表中{word}出现了几次？{items}", "{items}\n有几个“{word}”？"),
        share=3,
    ),
    _zh(
        name="letter",
        draw=one_letter,
        train=(
            "“{text}”里有几个“{word}”字？",
            "数一数“{word}”出现的次数：{text}",
            "{text}\n“{word}”字有几个？",
            "在{text}中，“{word}”出现几次？",
        ),
        test=("“{text}”中“{word}”字出现了几次？", "{text}\n数一数有几个“{word}”。"),
        share=3,
    ),
    _zh(
        name="letters",
        draw=letters,
        train=(
            "“{text}”有几个字？",
            "数一数字数：{text}",
            "{text}\n一共几个字？",
            "{text}的字数是多少？",
        ),
        test=("“{text}”一共有多少个字？", "{text}\n数一数有几个字。"),
        share=2,
    ),
    _zh(
        name="above",
        draw=above("、", over=True),
        train=(
            "下列数中有几个大于{limit}？{items}",
            "数一数比{limit}大的数：{items}",
            "{items}\n大于{limit}的有几个？",
            "{items}中超过{limit}的数有多少个？",
        ),
        test=("有几个数大于{limit}？{items}", "{items}\n比{limit}大的数有几个？"),
        share=2,
    ),
    _zh(
        name="below",
        draw=above("、", over=False),
        train=(
            "下列数中有几个小于{limit}？{items}",
            "数一数比{limit}小的数：{items}",
            "{items}\n小于{limit}的有几个？",
            "{items}中不到{limit}的数有多少个？",
        ),
        test=("有几个数小于{limit}？{items}", "{items}\n比{limit}小的数有几个？"),
        share=2,
    ),
    _zh(
        name="even",
        draw=parity("、", odd=False),
        train=("下列数中有几个偶数？{items}", "{items}\n偶数有几个？", "数一数偶数：{items}"),
        test=("有几个偶数？{items}",),
    ),
    _zh(
        name="odd",
        draw=parity("、", odd=True),
        train=("下列数中有几个奇数？{items}", "{items}\n奇数有几个？", "数一数奇数：{items}"),
        test=("有几个奇数？{items}",),
    ),
    _zh(
        name="kind",
        draw=kind(things_zh.KINDS, "、"),
        train=(
            "下面有几个是{kind}？{items}",
            "数一数属于{kind}的词：{items}",
            "{items}\n其中{kind}有几个？",
            "{items}里有几个词表示{kind}？",
        ),
        test=("下列词语中有几个属于{kind}？{items}", "{items}\n有几个是{kind}？"),
        share=3,
    ),
]
