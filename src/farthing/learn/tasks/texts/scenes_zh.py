"""What goes on in a place, in Chinese: who is there, what they do, what is seen and heard."""

from random import Random

from farthing.learn.tasks.fields import pick, several, shuffled, whole
from farthing.learn.tasks.texts.beats import Cast, Plot
from farthing.learn.tasks.texts.scenery_zh import SCENES
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import words

TIMES = words("""
清晨 早上 上午 中午 午后 下午 傍晚 黄昏 晚上 深夜 天刚亮 天快黑的时候 太阳出来了 太阳下山了
雨停了 刚下过雪
""")
HOWS = words("""
慢慢地 匆匆忙忙地 小心翼翼地 一边说笑一边 不声不响地 熟练地 笨手笨脚地 兴致勃勃地 有条不紊地
认认真真地 满头大汗地 一遍又一遍地 目不转睛地 轻手轻脚地 大声说笑着 不慌不忙地 聚精会神地
气喘吁吁地 哼着小曲
""")
FEELINGS = words("""
觉得很满足 有些累了 想起了小时候 心里很平静 舍不得离开 忍不住多看了几眼 忘了时间 决定明天再来
想把这一切画下来 盼着下一次 心情好了许多 不由得放慢了脚步
""")
LINKS = (
    "同时，",
    "这时，",
    "不一会儿，",
    "过了一会儿，",
    "接着，",
    "另一边，",
    "忽然，",
    "",
    "",
    "",
)


def scene(rng: Random) -> Cast:
    """Sentences of one scene, in an order that may be told in."""
    place, people, acts, seen, heard = pick(rng, SCENES)
    who, friend = several(rng, names.CALLED, 2)
    doers = [who, friend, *several(rng, people, 2)]
    deeds = several(rng, acts, whole(rng, 3, 4))
    said = [
        f"{pick(rng, LINKS)}{doer}{doing(rng, deed)}。"
        for doer, deed in zip(shuffled(rng, doers), deeds, strict=False)
    ]
    views = [f"{one}。" for one in several(rng, seen, whole(rng, 1, 3))]
    sounds = [
        f"{pick(rng, ('可以听到', '耳边传来', '远处传来'))}{one}。"
        for one in several(rng, heard, 1)
    ]
    body = shuffled(rng, [*said, *views, *sounds])
    opening = pick(
        rng,
        (
            f"{pick(rng, TIMES)}，{who}来到{place}。",
            f"{pick(rng, TIMES)}的{place}很热闹。",
            f"{who}和{friend}常去{place}。",
            f"这是{pick(rng, TIMES)}的{place}。",
            f"说起{place}，{who}总有说不完的话。",
        ),
    )
    return {"text": opening + "".join(body), "who": who, "feeling": pick(rng, FEELINGS)}


def doing(rng: Random, deed: str) -> str:
    """正在扫地, 慢慢地扫地; no 在 twice."""
    if rng.random() < 0.4:
        return pick(rng, HOWS) + deed
    return deed if deed.startswith("在") else f"{pick(rng, ('在', '正在'))}{deed}"


PLOTS: list[Plot] = [
    Plot(
        name="scene",
        cast=scene,
        beats=[("{text}",), ("{who}{feeling}。", "离开的时候，{who}{feeling}。", "")],
    ),
]
