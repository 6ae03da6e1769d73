"""Word problems in Chinese: two numbers in a story, one step."""

from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.types import Family, Fields
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things

_family = partial(Family, kind="problems", language="zh", reserved="problem")


def cast(rng: Random, a: int, b: int, sign: str) -> dict[str, object]:
    """Two people, something they count with its measure word."""
    name, other = several(rng, names.CALLED, 2)
    word, thing = pick(rng, things.MEASURED)
    shown = {"name": name, "other": other, "m": word, "thing": thing, "a": a, "b": b}
    return shown | {"problem": f"{a}{sign}{b}"}


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
    a, b = whole(rng, 5, 60), whole(rng, 2, 40)
    c = whole(rng, 2, a + b - 1)
    shown = cast(rng, a, b, "+") | {"c": c, "problem": f"{a}+{b}-{c}"}
    return shown, f"{a}+{b}={a + b}, {a + b}-{c}={a + b - c}: {a + b - c}"


FAMILIES: list[Family] = [
    _family(
        name="more",
        draw=more,
        train=(
            "{name}有{a}{m}{thing}，又买了{b}{m}，现在一共有多少{m}{thing}？",
            "{name}有{a}{m}{thing}，{other}有{b}{m}，两人一共有多少{m}？",
            "桌上有{a}{m}{thing}，{name}又放上{b}{m}，桌上现在有多少{m}？",
            "上午卖出{a}{m}{thing}，下午卖出{b}{m}，一天共卖出多少{m}？",
            "{other}送给{name}{b}{m}{thing}，{name}原来有{a}{m}，现在有几{m}？",
            "第一天用了{a}{m}{thing}，第二天用了{b}{m}，两天一共用了多少{m}？",
            "{name}数了{a}{m}{thing}，又数了{b}{m}，总共多少{m}？",
            "左边有{a}{m}{thing}，右边有{b}{m}，合起来有多少{m}？",
            "商店里原有{thing}{a}{m}，又运来{b}{m}，现在有多少{m}？",
            "{name}吃掉{b}{m}后还剩{a}{m}{thing}，原来有多少{m}？",
            "{other}比{name}多{b}{m}{thing}，{name}有{a}{m}，{other}有多少{m}？",
        ),
        test=(
            "{name}原来有{a}{m}{thing}，{other}又给了{b}{m}，现在有多少{m}？",
            "{name}买了{a}{m}{thing}，{other}买了{b}{m}，他们一共买了多少{m}？",
            "箱子里有{a}{m}{thing}，又放进{b}{m}，一共有多少{m}？",
        ),
        share=2,
    ),
    _family(
        name="fewer",
        draw=fewer,
        train=(
            "{name}有{a}{m}{thing}，给了{other}{b}{m}，还剩多少{m}？",
            "商店有{a}{m}{thing}，卖出{b}{m}，还剩多少{m}？",
            "{name}有{a}{m}{thing}，{other}有{b}{m}，{name}比{other}多几{m}？",
            "原来有{a}{m}{thing}，用掉了{b}{m}，现在有多少{m}？",
            "{name}想要{a}{m}{thing}，已经有了{b}{m}，还差多少{m}？",
            "{a}{m}{thing}中有{b}{m}是{other}的，其余是{name}的，{name}有多少{m}？",
            "{name}有{a}{m}{thing}，丢了{b}{m}，还有几{m}？",
            "从{a}{m}{thing}里拿走{b}{m}，还剩几{m}？",
            "仓库里有{thing}{a}{m}，运走了{b}{m}，剩下多少{m}？",
            "{name}比{other}少{b}{m}{thing}，{other}有{a}{m}，{name}有多少{m}？",
        ),
        test=(
            "{name}原来有{a}{m}{thing}，卖掉{b}{m}，还剩多少{m}？",
            "箱子里有{a}{m}{thing}，{other}拿走了{b}{m}，还有多少{m}？",
            "{name}有{a}{m}{thing}，{other}有{b}{m}，{other}比{name}少多少{m}？",
        ),
        share=2,
    ),
    _family(
        name="groups",
        draw=groups,
        train=(
            "每人有{b}{m}{thing}，{a}个人一共有多少{m}？",
            "{name}每天用{b}{m}{thing}，{a}天用多少{m}？",
            "一个箱子装{b}{m}{thing}，{a}个箱子能装多少{m}？",
            "{thing}每{m}{b}元，买{a}{m}要多少元？",
            "{a}个小朋友每人带来{b}{m}{thing}，一共带来多少{m}？",
            "{name}摆了{a}排{thing}，每排{b}{m}，共多少{m}？",
            "有{a}组，每组分到{b}{m}{thing}，共分了多少{m}？",
            "{name}有{b}{m}{thing}，{other}的数量是{name}的{a}倍，{other}有多少{m}？",
            "一袋有{b}{m}{thing}，{name}买了{a}袋，共买了多少{m}？",
        ),
        test=(
            "{a}个人每人有{b}{m}{thing}，一共有多少{m}？",
            "{name}买了{a}箱{thing}，每箱{b}{m}，一共多少{m}？",
        ),
        share=2,
    ),
    _family(
        name="shares",
        draw=shares,
        train=(
            "把{a}{m}{thing}平均分给{b}个人，每人分到几{m}？",
            "{a}{m}{thing}平均放进{b}个箱子，每个箱子放几{m}？",
            "{name}有{a}{m}{thing}，每袋装{b}{m}，可以装几袋？",
            "{b}{m}{thing}一共{a}元，每{m}多少元？",
            "{name}用{b}天用完{a}{m}{thing}，平均每天用几{m}？",
            "{b}个小朋友平分{a}{m}{thing}，每人得到几{m}？",
            "{a}{m}{thing}排成{b}排，每排一样多，每排几{m}？",
            "{name}有{a}{m}{thing}，是{other}的{b}倍，{other}有几{m}？",
        ),
        test=(
            "{b}个人平均分{a}{m}{thing}，每人分到多少{m}？",
            "把{a}{m}{thing}平均装进{b}个箱子，每箱几{m}？",
        ),
        share=2,
    ),
    _family(
        name="twice",
        draw=twice,
        train=(
            "{name}有{a}{m}{thing}，又买了{b}{m}，送走{c}{m}，还剩多少{m}？写出步骤。",
            "车上有{a}人，上来{b}人，下去{c}人，现在有多少人？请写出每一步。",
            "仓库有{a}{m}{thing}，运进{b}{m}，运出{c}{m}，还有多少{m}？分步计算。",
            "分步计算：{name}有{a}{m}{thing}，{other}有{b}{m}，两人一共用掉{c}{m}，还剩几{m}？",
            "{name}第一天得到{a}{m}{thing}，第二天得到{b}{m}，然后用了{c}{m}，还有多少{m}？写出过程。",
            "商店原有{a}{m}{thing}，进货{b}{m}，卖出{c}{m}，剩下多少{m}？写出步骤。",
        ),
        test=(
            "{name}原有{a}{m}{thing}，得到{b}{m}，用掉{c}{m}，还剩多少{m}？请写出步骤。",
            "箱子里有{a}{m}{thing}，放进{b}{m}，拿走{c}{m}，还有多少{m}？写出每一步。",
        ),
        share=3,
    ),
]
