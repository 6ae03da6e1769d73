"""Chinese sentences and lists, changed by a rule."""

from functools import partial
from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.sorting import WORDS_ZH
from farthing.learn.tasks.types import Family, Fields
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things

_family = partial(Family, kind="rewrite", language="zh")
WORDS = [word for word in WORDS_ZH if len(word) > 1]


def scene(rng: Random) -> tuple[str, str, str]:
    """Who, perhaps when; what is done; to what."""
    verb, thing = pick(rng, things.ACTS)
    who = pick(rng, names.CALLED)
    when = pick(rng, things.TIMES) if rng.random() < 0.4 else ""
    return who + when, verb, thing


def to_ba(rng: Random) -> tuple[Fields, str]:
    who, verb, thing = scene(rng)
    return {"text": f"{who}{verb}了{thing}。"}, f"{who}把{thing}{verb}了。"


def to_bei(rng: Random) -> tuple[Fields, str]:
    verb, thing = pick(rng, things.ACTS)
    who = pick(rng, names.CALLED)
    return {"text": f"{who}把{thing}{verb}了。"}, f"{thing}被{who}{verb}了。"


def from_bei(rng: Random) -> tuple[Fields, str]:
    shown, answer = to_bei(rng)
    return {"text": answer}, str(shown["text"])


def negated(rng: Random) -> tuple[Fields, str]:
    if rng.random() < 0.5:
        who, adjective = pick(rng, names.CALLED), pick(rng, things.MOODS)
        return {"text": f"{who}很{adjective}。"}, f"{who}不{adjective}。"
    who, place = pick(rng, names.CALLED), pick(rng, things.PLACES)
    when = pick(rng, ("昨天", "今天", "早上", "上午", "周末", "刚才"))
    return {"text": f"{who}{when}去了{place}。"}, f"{who}{when}没有去{place}。"


def asking(rng: Random) -> tuple[Fields, str]:
    form = rng.random()
    if form < 0.5:
        text = f"{pick(rng, names.CALLED)}喜欢{pick(rng, WORDS)}"
    else:
        text = f"{pick(rng, names.CALLED)}在{pick(rng, things.PLACES)}"
    return {"text": f"{text}。"}, f"{text}吗？"


def replaced(rng: Random) -> tuple[Fields, str]:
    old, other, new = several(rng, WORDS, 3)
    while old in other or old in new:
        old, other, new = several(rng, WORDS, 3)
    form = int(rng.random() * 4)
    who = pick(rng, names.CALLED)
    text = (
        f"{who}喜欢{old}，不喜欢{other}。",
        f"桌上有{other}和{old}。",
        f"{who}在纸上画{old}。",
        f"{who}说{old}比{other}好看。",
    )[form]
    return {"text": text, "old": old, "new": new}, text.replace(old, new)


def person(rng: Random) -> tuple[Fields, str]:
    who, verb, thing = "我", *pick(rng, things.ACTS)
    other = pick(rng, ("他", "她", "我们", "他们", *names.CALLED[:20]))
    rest = f"{pick(rng, things.TIMES)}把{thing}{verb}了。"
    return {"text": who + rest, "who": other}, other + rest


def to_words(rng: Random) -> tuple[Fields, str]:
    value = whole(rng, 1, 99) if rng.random() < 0.4 else whole(rng, 100, 9999)
    return {"text": value}, f.number_zh(value)


def to_digits(rng: Random) -> tuple[Fields, str]:
    shown, answer = to_words(rng)
    return {"text": answer}, str(shown["text"])


def letters_turned(rng: Random) -> tuple[Fields, str]:
    word = "".join(several(rng, WORDS, whole(rng, 1, 2)))
    return {"text": word}, word[::-1]


def removed(rng: Random) -> tuple[Fields, str]:
    found = several(rng, WORDS, whole(rng, 3, 6))
    gone = pick(rng, found)
    left = "、".join(one for one in found if one != gone)
    return {"text": "、".join(found), "word": gone}, left


def doubled(rng: Random) -> tuple[Fields, str]:
    """高兴 -> 高高兴兴."""
    word = pick(rng, TWICE)
    return {"text": word}, word[0] * 2 + word[1] * 2


def titled(rng: Random) -> tuple[Fields, str]:
    who, job = (
        pick(rng, names.SURNAMES),
        pick(rng, ("老师", "医生", "律师", "经理", "教授", "师傅")),
    )
    given = pick(rng, names.GIVEN)
    return {"text": who + given, "job": job}, who + job


def counted(rng: Random) -> tuple[Fields, str]:
    """The measure word that a thing takes."""
    word, thing = pick(rng, ONE_MEASURE)
    return {"text": thing}, f"一{word}{thing}"


TWICE = [
    "高兴",
    "干净",
    "整齐",
    "漂亮",
    "明白",
    "清楚",
    "热闹",
    "安静",
    "认真",
    "快乐",
    "健康",
    "平安",
    "老实",
    "大方",
    "简单",
    "普通",
    "仔细",
    "舒服",
]
ONE_MEASURE = [
    (word, thing)
    for word, thing in things.MEASURED
    if sum(thing == other for _, other in things.MEASURED) == 1
]

FAMILIES: list[Family] = [
    _family(
        name="ba",
        draw=to_ba,
        train=(
            "改成“把”字句：{text}",
            "把下面的句子改为“把”字句：{text}",
            "{text}\n用“把”字改写。",
            "请用“把”字句说：{text}",
        ),
        test=("请把这句话改成“把”字句：{text}", "{text}\n改为“把”字句。"),
        share=3,
    ),
    _family(
        name="bei",
        draw=to_bei,
        train=(
            "改成“被”字句：{text}",
            "把下面的句子改为“被”字句：{text}",
            "{text}\n用“被”字改写。",
            "请用“被”字句说：{text}",
        ),
        test=("请把这句话改成“被”字句：{text}", "{text}\n改为“被”字句。"),
        share=3,
    ),
    _family(
        name="from-bei",
        draw=from_bei,
        train=(
            "把“被”字句改成“把”字句：{text}",
            "{text}\n不用“被”字，用“把”字来说。",
            "将下面的被动句改为“把”字句：{text}",
        ),
        test=("请将这个“被”字句改为“把”字句：{text}",),
        share=2,
    ),
    _family(
        name="negated",
        draw=negated,
        train=(
            "改成否定句：{text}",
            "把这句话变成否定的：{text}",
            "{text}\n写出否定句。",
            "否定：{text}",
        ),
        test=("请改写成否定句：{text}", "{text}\n改成否定的说法。"),
        share=2,
    ),
    _family(
        name="asking",
        draw=asking,
        train=(
            "改成疑问句：{text}",
            "用“吗”把这句话变成问句：{text}",
            "{text}\n写成疑问句。",
            "问一问：{text}",
        ),
        test=("请改写成疑问句：{text}", "{text}\n变成问句。"),
        share=2,
    ),
    _family(
        name="replaced",
        draw=replaced,
        train=(
            "把“{old}”换成“{new}”：{text}",
            "将句中的{old}改为{new}：{text}",
            "{text}\n用{new}代替{old}。",
            "替换：{old}→{new}。{text}",
            "请把{old}改成{new}。{text}",
        ),
        test=("请将“{old}”替换为“{new}”：{text}", "{text}\n把{old}换成{new}。"),
        share=3,
    ),
    _family(
        name="person",
        draw=person,
        train=(
            "把“我”换成“{who}”：{text}",
            "{text}\n把主语改为{who}。",
            "主语换成{who}：{text}",
            "这件事是{who}做的，请改写：{text}",
        ),
        test=("请把“我”改成“{who}”：{text}", "{text}\n用{who}作主语改写。"),
        share=2,
    ),
    _family(
        name="to-words",
        draw=to_words,
        train=(
            "用汉字写出数字{text}。",
            "{text}用中文怎么读？",
            "把{text}写成汉字数字。",
            "{text}的中文写法：",
            "请将{text}转换为中文数字。",
        ),
        test=("请用汉字写出{text}。", "{text}\n写成中文数字。"),
        share=3,
    ),
    _family(
        name="to-digits",
        draw=to_digits,
        train=(
            "把“{text}”写成阿拉伯数字。",
            "{text}用数字怎么写？",
            "{text}是多少？写数字。",
            "{text}的阿拉伯数字写法：",
            "请将{text}转换为阿拉伯数字。",
        ),
        test=("请用阿拉伯数字写出{text}。", "{text}\n写成数字。"),
        share=3,
    ),
    _family(
        name="letters",
        draw=letters_turned,
        train=(
            "把“{text}”倒过来写。",
            "倒着写：{text}",
            "{text}\n从最后一个字写到第一个字。",
            "将“{text}”的字序颠倒。",
        ),
        test=("请把“{text}”的每个字倒着写。", "{text}\n倒过来写。"),
        share=3,
    ),
    _family(
        name="removed",
        draw=removed,
        train=(
            "从列表中去掉{word}：{text}",
            "{text}\n删去{word}，写出其余的。",
            "不要{word}：{text}",
            "把{word}从下面的词语中删除：{text}",
        ),
        test=("请去掉{word}：{text}", "{text}\n从列表中删除{word}。"),
        share=2,
    ),
    _family(
        name="doubled",
        draw=doubled,
        train=(
            "写出“{text}”的AABB形式。",
            "把{text}变成AABB式的词语。",
            "{text}（AABB）：",
        ),
        test=("请写出{text}的AABB式。",),
    ),
    _family(
        name="titled",
        draw=titled,
        train=(
            "{text}是{job}，怎么称呼？只写姓和职务。",
            "用姓加“{job}”称呼{text}。",
            "称呼{job}{text}，用姓。",
        ),
        test=("{text}是一位{job}，请用姓和职务称呼。",),
    ),
    _family(
        name="counted",
        draw=counted,
        train=(
            "给“{text}”加上“一”和合适的量词。",
            "填量词：一（ ）{text}",
            "一什么{text}？",
            "{text}用什么量词？写出“一……{text}”。",
        ),
        test=("请在“一”和“{text}”之间填上量词。",),
        share=2,
    ),
]
