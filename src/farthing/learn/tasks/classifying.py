"""Labels by a rule that stands in the prompt; the labels themselves are drawn, so that only the
rule tells them."""

from collections.abc import Callable
from random import Random

from farthing.learn.tasks.fields import pick, several, shuffled, whole
from farthing.learn.tasks.types import Draw, Fields
from farthing.learn.tasks.words import (
    acts_en,
    phrases,
    things_en,
    things_zh,
    words,
)

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
