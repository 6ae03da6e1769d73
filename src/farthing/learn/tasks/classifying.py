"""Labels by a rule that stands in the prompt; the labels themselves are drawn, so that only the
rule tells them."""

from collections.abc import Callable
from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, shuffled, whole
from farthing.learn.tasks.types import Draw, Family, Fields, crossed
from farthing.learn.tasks.words import (
    acts_en,
    names_en,
    names_zh,
    phrases,
    things_en,
    things_zh,
    words,
)

_en = partial(Family, kind="classify", language="en")
_zh = partial(Family, kind="classify", language="zh")

LABELS = words("""
A B C X Y Z one two red blue green left right high low yes no keep drop sales support urgent
later north south gold silver fast slow inbox archive home work alpha beta gamma delta small
large new old pass fail open closed plus minus hot cold day night
""")
LABELS_ZH = words("""
甲 乙 丙 丁 红 蓝 绿 左 右 高 低 是 否 大 小 上 下 合格 不合格 紧急 普通 一组 二组 三组 保留
删除 东 西 南 北 快 慢 通过 拒绝 新 旧 冷 热 男队 女队 正 负 金 银 天 地
""")

# a word that decides, and sentences with it
TOPICS = {
    "refund": phrases(
        "I want a refund for {}|Please send the refund for {} today|When does the"
        " refund for {} arrive?"
    ),
    "password": phrases(
        "I forgot the password of {}|The password for {} does not work|How do I"
        " change the password of {}?"
    ),
    "delivery": phrases(
        "The delivery of {} is late|Where is the delivery with {}?|The delivery of {} was quick"
    ),
    "broken": phrases("The {} arrived broken|My {} is broken again|A broken {} was in the box"),
    "price": phrases(
        "What is the price of {}?|The price of {} is too high|Did the price of {} change?"
    ),
    "meeting": phrases(
        "The meeting about {} is at noon|Can we move the meeting on {}?|After the"
        " meeting we talked about {}"
    ),
    "invoice": phrases(
        "The invoice for {} is wrong|Please send me the invoice for {}|I paid the invoice for {}"
    ),
    "holiday": phrases(
        "We are on holiday until {} comes|The shop with {} is closed for the"
        " holiday|A holiday without {} is no fun"
    ),
    "thanks": phrases("Many thanks for {}|I like {}, thanks|thanks, {} is fine"),
    "error": phrases("There is an error in {}|{} shows an error|An error stopped {}"),
}
TOPICS_ZH = {
    "退款": ["我要申请{}的退款", "{}的退款什么时候到账？", "请尽快办理{}退款"],
    "密码": ["我忘了{}的密码", "{}的密码不对", "怎么修改{}的密码？"],
    "快递": ["{}的快递还没到", "快递把{}送错了", "请查一下{}的快递"],
    "发票": ["{}的发票开错了", "请给我{}的发票", "发票上没有写{}"],
    "价格": ["{}的价格太高了", "请问{}的价格是多少？", "{}的价格又变了"],
    "会议": ["关于{}的会议改到明天", "会议上大家讨论了{}", "请参加{}会议"],
    "损坏": ["收到的{}有损坏", "{}在路上损坏了", "包装损坏，{}露了出来"],
    "谢谢": ["谢谢你送来的{}", "{}很好，谢谢", "谢谢，我收到{}了"],
    "请假": ["我想请假去买{}", "因为{}，我要请假", "他请假在家修{}"],
}


def word_rule(topics: dict[str, list[str]], labels: list[str], held: list[str]) -> Draw:
    """Two words that decide, and a label for all else."""

    def draw(rng: Random) -> tuple[Fields, str]:
        first, second, third = several(rng, list(topics), 3)
        a, b, other = several(rng, labels, 3)
        turn = int(rng.random() * 3)
        topic, answer = ((first, a), (second, b), (third, other))[turn]
        text = pick(rng, topics[topic]).format(pick(rng, held))
        shown = {"first": first, "second": second, "a": a, "b": b, "other": other, "text": text}
        return shown, answer

    return draw


def limit_rule(labels: list[str]) -> Draw:
    """At a limit, or below it."""

    def draw(rng: Random) -> tuple[Fields, str]:
        a, b = several(rng, labels, 2)
        limit, value = whole(rng, 2, 19) * 5, whole(rng, 1, 99)
        value = limit + whole(rng, -2, 2) if rng.random() < 0.2 else value
        return {"a": a, "b": b, "limit": limit, "value": value}, a if value >= limit else b

    return draw


def band_rule(labels: list[str]) -> Draw:
    """Two limits, three labels."""

    def draw(rng: Random) -> tuple[Fields, str]:
        a, b, c = several(rng, labels, 3)
        low = whole(rng, 2, 10) * 5
        high = low + whole(rng, 2, 8) * 5
        value = whole(rng, 1, 99)
        shown = {"a": a, "b": b, "c": c, "low": low, "high": high, "value": value}
        return shown, a if value < low else b if value < high else c

    return draw


def parity_rule(labels: list[str]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        a, b = several(rng, labels, 2)
        value = whole(rng, 1, 999)
        return {"a": a, "b": b, "value": value}, b if value % 2 else a

    return draw


def kind_rule(kinds: dict[str, list[str]], labels: list[str]) -> Draw:
    """Two kinds of things, and a label for all else."""
    once = {name: [w for w in found if _once(w, kinds)] for name, found in kinds.items()}

    def draw(rng: Random) -> tuple[Fields, str]:
        first, second, third = several(rng, list(once), 3)
        a, b, other = several(rng, labels, 3)
        turn = int(rng.random() * 3)
        kind, answer = ((first, a), (second, b), (third, other))[turn]
        shown = {"first": first, "second": second, "a": a, "b": b, "other": other}
        if first.isascii():
            shown |= {"first": things_en.a(first), "second": things_en.a(second)}
        return shown | {"word": pick(rng, once[kind])}, answer

    return draw


def _once(word: str, kinds: dict[str, list[str]]) -> bool:
    return sum(word in found for found in kinds.values()) == 1


def list_rule(held: list[str], labels: list[str], comma: str) -> Draw:
    """Whether a word stands in a list."""

    def draw(rng: Random) -> tuple[Fields, str]:
        found = several(rng, held, whole(rng, 3, 6))
        a, b = several(rng, labels, 2)
        inside = rng.random() < 0.5
        word = pick(rng, found) if inside else found.pop()
        items = comma.join(shuffled(rng, found))
        return {"items": items, "word": word, "a": a, "b": b}, a if inside else b

    return draw


def named_rule(form: Callable[[Random], str], labels: list[str], names: list[str]) -> Draw:
    """Who is told of: one of two people, or another."""

    def draw(rng: Random) -> tuple[Fields, str]:
        first, second, third = several(rng, names, 3)
        a, b, other = several(rng, labels, 3)
        who, answer = ((first, a), (second, b), (third, other))[int(rng.random() * 3)]
        text = form(rng).format(who)
        shown = {"first": first, "second": second, "a": a, "b": b, "other": other, "text": text}
        return shown, answer

    return draw


def told_en(rng: Random) -> str:
    verb, thing = pick(rng, acts_en.ACTS)
    return f"{{}} {acts_en.past(verb)} {thing} {pick(rng, acts_en.SPOTS)}."


def told_zh(rng: Random) -> str:
    verb, thing = pick(rng, things_zh.ACTS)
    return f"{{}}{pick(rng, things_zh.TIMES)}把{thing}{verb}了。"


_WORD = (
    'If the text has the word "{first}", answer {a}. If it has "{second}", answer {b}. Otherwise'
    " answer {other}.\n\nText: {text}",
    "Rules: {first} -> {a}; {second} -> {b}; else -> {other}\nText: {text}\nLabel:",
    "Label the message: {a} when it mentions {first}, {b} when it mentions {second}, {other} if"
    " neither.\n{text}",
    "{text}\n\nIs it about {first}? Then write {a}. About {second}? Then write {b}. If not, write"
    " {other}.",
    "Sort this message. {a}: has {first}. {b}: has {second}. {other}: has none of them.\n{text}",
    'Messages with "{second}" go to {b}, those with "{first}" go to {a}, all others to {other}.'
    " Where does this go?\n{text}",
)
_WORD_ZH = (
    "如果文本中有“{first}”，回答{a}；有“{second}”，回答{b}；否则回答{other}。\n文本：{text}",
    "规则：{first}→{a}；{second}→{b}；其他→{other}\n文本：{text}\n标签：",
    "给消息分类：提到{first}的写{a}，提到{second}的写{b}，都没有的写{other}。\n{text}",
    "{text}\n\n含有{first}写{a}，含有{second}写{b}，其余写{other}。",
    "含“{second}”的归{b}，含“{first}”的归{a}，别的归{other}。这条归哪类？\n{text}",
)

FAMILIES: list[Family] = [
    _en(
        name="word",
        draw=word_rule(TOPICS, LABELS, [f"the {noun}" for noun in things_en.COUNTABLE]),
        train=_WORD,
        test=(
            'Answer {a} if the text has "{first}", {b} if it has "{second}", and {other} if it has'
            " neither.\nText: {text}",
            "{text}\n\nRules: if it mentions {first}, write {a}; if it mentions {second}, write"
            " {b}; otherwise {other}.",
        ),
        share=4,
    ),
    _en(
        name="limit",
        draw=limit_rule(LABELS),
        train=crossed(
            (
                "{text} of {limit} or more is {a}; anything less is {b}. {text}: {value}",
                "If the {text} is at least {limit}, answer {a}, otherwise {b}. The {text} is"
                " {value}.",
                "Rule: {text} >= {limit} means {a}, else {b}.\n{text} = {value}\nAnswer:",
                "Write {b} for a {text} below {limit} and {a} for all others. {text} {value}:",
            ),
            ("score", "age", "weight", "count", "size"),
        ),
        test=crossed(
            (
                "Answer {a} if the {text} is {limit} or more, and {b} if it is less. The {text} is"
                " {value}.",
                "{text}: {value}\nRule: at least {limit} is {a}, below that is {b}.",
            ),
            ("score", "age", "size"),
        ),
        share=3,
    ),
    _en(
        name="band",
        draw=band_rule(LABELS),
        train=(
            "Below {low}: {a}. From {low} to below {high}: {b}. {high} and more: {c}. Value:"
            " {value}",
            "If the number is less than {low}, write {a}; if it is less than {high}, write {b};"
            " otherwise write {c}. The number is {value}.",
            "Rules: x < {low} -> {a}; {low} <= x < {high} -> {b}; x >= {high} -> {c}\nx = {value}",
            "The number is {value}. It is {a} under {low}, {c} from {high} up, and {b} between.",
        ),
        test=(
            "Number: {value}. Write {a} if it is below {low}, {b} if it is from {low} to below"
            " {high}, and {c} if it is {high} or more.",
        ),
        share=3,
    ),
    _en(
        name="parity",
        draw=parity_rule(LABELS),
        train=(
            "If the number is even, answer {a}; if it is odd, answer {b}. Number: {value}",
            "Even numbers are {a}, odd numbers are {b}. What is {value}?",
            "Rule: even -> {a}, odd -> {b}. {value} ->",
            "{value}\nWrite {a} for even and {b} for odd.",
        ),
        test=("Answer {a} if {value} is even and {b} if it is odd.",),
        share=2,
    ),
    _en(
        name="kind",
        draw=kind_rule(things_en.KINDS, LABELS),
        train=(
            "If the word is {first}, answer {a}; if it is {second}, answer {b}; otherwise answer"
            " {other}. Word: {word}",
            "Rules: {first} -> {a}; {second} -> {b}; anything else -> {other}\n{word} ->",
            "{word}\nIs it {first} ({a}), {second} ({b}) or something else ({other})?",
            "Label: {a} = {first}, {b} = {second}, {other} = none of these. {word}:",
        ),
        test=(
            "Answer {a} for {first}, {b} for {second} and {other} for anything else. The word is"
            " {word}.",
        ),
        share=3,
    ),
    _en(
        name="list",
        draw=list_rule(things_en.NOUNS, LABELS, ", "),
        train=(
            "List: {items}\nIf {word} is in the list, answer {a}, otherwise {b}.",
            "Write {a} if {word} is one of these, and {b} if not: {items}",
            "{items}\nIs {word} there? Then {a}. If not, {b}.",
            "Rule: in the list -> {a}, not in the list -> {b}. List: {items}. Word: {word}",
        ),
        test=("Answer {a} if {word} is in this list and {b} if it is not: {items}",),
        share=3,
    ),
    _en(
        name="named",
        draw=named_rule(told_en, LABELS, names_en.FIRST),
        train=(
            "If the text is about {first}, answer {a}; about {second}, answer {b}; else {other}."
            "\n{text}",
            "{first} is {a}. {second} is {b}. Everyone else is {other}. Who did this? {text}",
            "Rules: {first} -> {a}; {second} -> {b}; others -> {other}\n{text}\nLabel:",
        ),
        test=(
            "{text}\nAnswer {a} if this is about {first}, {b} if it is about {second}, and {other}"
            " if not.",
        ),
        share=2,
    ),
    _zh(
        name="word",
        draw=word_rule(TOPICS_ZH, LABELS_ZH, things_zh.KINDS["文具"] + things_zh.KINDS["衣服"]),
        train=_WORD_ZH,
        test=(
            "文本提到“{first}”就写{a}，提到“{second}”就写{b}，都没有就写{other}。\n文本：{text}",
            "{text}\n\n规则：有{first}答{a}，有{second}答{b}，否则答{other}。",
        ),
        share=4,
    ),
    _zh(
        name="limit",
        draw=limit_rule(LABELS_ZH),
        train=crossed(
            (
                "{text}不低于{limit}为{a}，低于{limit}为{b}。{text}：{value}",
                "如果{text}大于或等于{limit}，回答{a}，否则回答{b}。现在{text}是{value}。",
                "规则：{text}≥{limit}→{a}，其他→{b}。{text}={value}",
                "{text}{limit}以上（含{limit}）写{a}，不到{limit}写{b}。{text}为{value}：",
            ),
            ("分数", "年龄", "重量", "数量", "温度"),
        ),
        test=crossed(
            (
                "{text}是{value}。{text}达到{limit}写{a}，低于{limit}写{b}。",
                "规则：{text}不低于{limit}是{a}，否则是{b}。{text}：{value}",
            ),
            ("分数", "年龄", "温度"),
        ),
        share=3,
    ),
    _zh(
        name="band",
        draw=band_rule(LABELS_ZH),
        train=(
            "小于{low}为{a}，{low}到{high}（不含）为{b}，{high}及以上为{c}。数值：{value}",
            "如果这个数小于{low}，写{a}；小于{high}，写{b}；否则写{c}。这个数是{value}。",
            "规则：x<{low}→{a}；{low}≤x<{high}→{b}；x≥{high}→{c}。x={value}",
        ),
        test=("数值是{value}。低于{low}写{a}，{low}以上但不到{high}写{b}，达到{high}写{c}。",),
        share=3,
    ),
    _zh(
        name="parity",
        draw=parity_rule(LABELS_ZH),
        train=(
            "偶数回答{a}，奇数回答{b}。数字：{value}",
            "如果是偶数写{a}，是奇数写{b}：{value}",
            "规则：偶数→{a}，奇数→{b}。{value}→",
            "{value}\n偶数为{a}，奇数为{b}，它是哪一种？",
        ),
        test=("{value}是偶数就答{a}，是奇数就答{b}。",),
        share=2,
    ),
    _zh(
        name="kind",
        draw=kind_rule(things_zh.KINDS, LABELS_ZH),
        train=(
            "属于{first}回答{a}，属于{second}回答{b}，其他回答{other}。词语：{word}",
            "规则：{first}→{a}；{second}→{b}；其他→{other}。{word}→",
            "{word}\n是{first}写{a}，是{second}写{b}，都不是写{other}。",
            "分类标准：{a}={first}，{b}={second}，{other}=其他。{word}属于：",
        ),
        test=("{word}是{first}就写{a}，是{second}就写{b}，否则写{other}。",),
        share=3,
    ),
    _zh(
        name="list",
        draw=list_rule(
            [word for found in things_zh.KINDS.values() for word in found if len(word) > 1],
            LABELS_ZH,
            "、",
        ),
        train=(
            "列表：{items}\n如果{word}在列表中，回答{a}，否则回答{b}。",
            "{items}\n有{word}写{a}，没有写{b}。",
            "规则：在列表里→{a}，不在→{b}。列表：{items}。词：{word}",
        ),
        test=("{word}在下面的列表里就写{a}，不在就写{b}：{items}",),
        share=3,
    ),
    _zh(
        name="named",
        draw=named_rule(told_zh, LABELS_ZH, names_zh.CALLED),
        train=(
            "说的是{first}就答{a}，是{second}就答{b}，是别人就答{other}。\n{text}",
            "{first}属于{a}，{second}属于{b}，其他人属于{other}。这句话里的人属于哪类？{text}",
            "规则：{first}→{a}；{second}→{b}；其他人→{other}\n{text}\n标签：",
        ),
        test=("{text}\n如果是{first}写{a}，是{second}写{b}，不是他们写{other}。",),
        share=2,
    ),
]
