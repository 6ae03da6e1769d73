"""Small Chinese stories: of children, of animals that speak, of old villages."""

from random import Random

from farthing.learn.tasks.fields import count_zh, number_zh, pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe
from farthing.learn.tasks.texts.story_words_zh import (
    BEASTS,
    BIG,
    CARE,
    CRAFTS,
    CROPS,
    DAYS,
    EFFORT,
    ELDERS,
    FELT,
    FOLK,
    HARDSHIPS,
    HELP,
    SAD,
    SEASONS,
    SKILLS,
    SMILED,
    TREASURES,
    TROUBLES,
    VILLAGES,
    WIT,
)
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things

CHILD_OPENING: Beat = beat("""
{day}，{weather}，{who}一个人来到{place}。
{who}今年{age}岁，是一个{mood}的孩子。{day}，{who}和{friend}一起去{place}玩。
从前有一个孩子，名叫{who}，住在{city}。{day}，天上{weather}。
{day}，{elder}带着{who}去{place}。路上{weather}。
放学的铃声响了，{who}背起书包，和{friend}一起往{place}走。
{who}家住在{place}旁边。{day}，{he}又去了那里。
{day}，{weather}，{who}正在{place}等{friend}。
{who}和{friend}是同班同学，也是最好的朋友。
""")
BEAST_OPENING: Beat = beat("""
很久很久以前，森林里住着一只{beast}，名叫{name}。
在一座高高的山脚下，有一片大森林，{beast}{name}就住在那里。
{day}，{weather}，{beast}{name}出门去找{food}。
河边的草地上有一间小木屋，屋里住着{beast}和{pal}。
森林里的动物都知道，{beast}{name}最喜欢吃{food}。
从前，有一只{mood}的{beast}，大家都叫它{name}。
""")
FOLK_OPENING: Beat = beat("""
很久以前，{village}有一个{craft}，姓{surname}，大家都叫他{surname}师傅。
相传古时候，{village}住着一位{mood}的{craft}。
{village}前面有一条河，后面有一座山。村里有个年轻的{craft}，名叫{who}。
从前有一个{craft}，带着{count}个徒弟，靠自己的手艺过日子。
从前，{village}的人都靠种{crop}为生。村东头住着{craft}一家。
""")
MORAL: Beat = beat("""
从那以后，{who}明白了一个道理：{moral}。
这件事告诉我们：{moral}。
{who}一直记得这一天，因为{he}懂得了{moral}。
{elder}说：“记住，{moral}。”
{who}在日记里写道：“今天我知道了，{moral}。”
是啊，{moral}。
""")
BEAST_MORAL: Beat = beat("""
从此，{name}再也没有忘记：{moral}。
大家都说：“{moral}。”
这个故事告诉我们，{moral}。
后来，森林里的动物常常讲起这件事，它们都明白，{moral}。
""")


def child(rng: Random) -> dict[str, object]:
    who, friend = several(rng, names.CALLED[:60], 2)
    word, thing = pick(rng, things.MEASURED)
    season = pick(rng, "春夏秋冬")
    return {
        "who": who,
        "friend": friend,
        "he": pick(rng, "他她"),
        "age": number_zh(whole(rng, 6, 12)),
        "mood": pick(rng, things.MOODS),
        "place": pick(rng, things.PLACES),
        "other": pick(rng, things.PLACES),
        "city": pick(rng, names.CITIES),
        "day": pick(rng, DAYS[season]),
        "weather": pick(rng, SEASONS[season]),
        "elder": pick(rng, ELDERS),
        "treasure": pick(rng, TREASURES),
        "colour": pick(rng, things.KINDS["颜色"]),
        "skill": pick(rng, SKILLS),
        "smiled": pick(rng, SMILED),
        "said": pick(rng, SMILED),
        "felt": pick(rng, FELT),
        "sad": pick(rng, SAD),
        "count": count_zh(whole(rng, 2, 9)),
        "rank": pick(rng, "一二三四五"),
        "m": word,
        "thing": thing,
        "animal": pick(rng, things.KINDS["动物"]),
        "tree": pick(rng, things.KINDS["树"]),
        "flower": pick(rng, things.KINDS["花"]),
        "fruit": pick(rng, things.KINDS["水果"]),
    }


def lost(rng: Random) -> Cast:
    return child(rng) | {"moral": pick(rng, CARE if rng.random() < 0.5 else HELP)}


def skill(rng: Random) -> Cast:
    return child(rng) | {"moral": pick(rng, EFFORT)}


def friends(rng: Random) -> Cast:
    cast = beasts(rng)
    trouble, help = pick(rng, TROUBLES)
    told = {"trouble": trouble.format_map(cast), "help": help.format_map(cast)}
    return cast | told | {"moral": pick(rng, HELP)}


def trick(rng: Random) -> Cast:
    return beasts(rng) | {"moral": pick(rng, WIT)}


def beasts(rng: Random) -> dict[str, object]:
    beast, pal, third = several(rng, BEASTS, 3)
    season = pick(rng, "春夏秋冬")
    return {
        "beast": beast,
        "pal": pal,
        "third": third,
        "big": pick(rng, BIG),
        "name": pick(rng, names.CALLED[40:60]),
        "mood": pick(rng, things.MOODS),
        "food": pick(rng, things.KINDS["水果"] + things.KINDS["蔬菜"]),
        "tree": pick(rng, things.KINDS["树"]),
        "flower": pick(rng, things.KINDS["花"]),
        "weather": pick(rng, SEASONS[season]),
        "day": pick(rng, (f"{season}天的一个早上", "有一天", "一个下午", f"{season}天来了")),
        "said": pick(rng, SMILED),
        "smiled": pick(rng, SMILED),
        "felt": pick(rng, FELT),
        "sad": pick(rng, SAD),
        "count": count_zh(whole(rng, 2, 9)),
        "skill": pick(
            rng, ("爬树", "挖洞", "唱歌", "游泳", "跑步", "盖房子", "做饼", "酿蜜", "织网", "跳远")
        ),
    }


def folk(rng: Random) -> Cast:
    cast = child(rng) | {
        "village": pick(rng, VILLAGES),
        "craft": pick(rng, CRAFTS),
        "rich": pick(rng, ("财主", "县官", "员外", "商人", "地主", "将军", "国王")),
        "surname": pick(rng, names.SURNAMES[:40]),
        "crop": pick(rng, CROPS),
        "years": count_zh(whole(rng, 2, 30)),
        "gold": number_zh(whole(rng, 1, 9) * 10),
        "moral": pick(rng, FOLK),
    }
    befell, did, ended = (one.format_map(cast) for one in pick(rng, HARDSHIPS))
    return cast | {"befell": befell, "did": did, "ended": ended}


LOST: tuple[Beat, ...] = (
    CHILD_OPENING,
    beat("""
突然，{who}发现自己的{treasure}不见了。
走着走着，{who}摸了摸口袋，{treasure}没有了。
{who}打开书包一看，心爱的{colour}{treasure}不见了！
可是到了{place}，{he}才想起来，{treasure}不知道丢在哪里了。
"""),
    beat("""
那是{elder}送给{he}的礼物，{he}{sad}。
这个{treasure}跟了{he}{count}年，{he}{sad}。
{who}找了{count}遍也没找到，{sad}。
要知道，为了它{who}攒了{count}个月的零花钱。{he}{sad}。
"""),
    beat("""
{friend}{said}说：“别急，我们一起找。”
{friend}知道了，马上跑过来说：“你最后一次看见它是在哪里？”
“我来帮你！”{friend}{said}说，“先想想你今天去过什么地方。”
{friend}说：“我们从{other}开始，一个地方一个地方地找吧。”
"""),
    maybe("""
他们先去了{other}，那里只有{count}{m}{thing}。
他们问了卖{fruit}的阿姨，阿姨摇了摇头。
路边有一只{animal}，好像也在看着他们。
他们在{flower}丛里找了很久，什么也没有发现。
天慢慢黑了，他们还是没有找到。
"""),
    beat("""
最后，他们在{tree}下面找到了它。
原来，一位老人捡到了{treasure}，一直站在{place}门口等失主。
忽然，{friend}指着长椅大声说：“你看，那是什么？”{treasure}就在那里。
后来，{elder}打来电话说，{treasure}忘在家里的桌子上了。
走到{other}门口，一个小朋友举着{treasure}问：“这是你的吗？”
"""),
    beat("""
{who}{felt}，连声说：“谢谢！”
{who}接过{treasure}，{felt}。
{he}紧紧抱着{treasure}，{felt}。
"""),
    MORAL,
)
SKILL: tuple[Beat, ...] = (
    CHILD_OPENING,
    beat("""
{who}看见{friend}在{skill}，也想试一试。
{elder}答应教{who}{skill}。
学校要办比赛，{who}报名参加了{skill}。
{who}一直想学会{skill}，可是总觉得太难了。
"""),
    beat("""
第一次，{he}怎么也做不好，{sad}。
刚开始的时候，{who}出了很多错，旁边的人都笑了。
才练了{count}分钟，{he}就想放弃了。
没想到，这件事比{he}想的难得多。
"""),
    beat("""
{elder}{said}说：“别怕，慢慢来，谁都是这样学会的。”
{friend}鼓励{he}说：“我当初也练了{count}个月呢。”
{elder}给{he}讲了一个故事：一只小蜗牛每天爬一点，终于爬上了{tree}。
“再试一次！”{friend}{said}说。
"""),
    beat("""
于是，{who}每天早上起来练习，不管刮风还是下雨。
从那天起，{he}每天放学后都到{other}练习。
{who}把要点写在本子上，一遍一遍地练。
{he}练了一天又一天，手上都磨出了泡。
"""),
    maybe("""
有一次，{he}摔倒了，膝盖破了皮，可是没有哭。
有时候{he}也想休息，但是想起{elder}的话，又坚持下去。
{friend}常常来陪{he}，他们一起练，一起笑。
"""),
    beat("""
{count}个星期以后，{who}终于学会了{skill}。
比赛那天，{who}得了第{rank}名。
过了一个学期，{he}已经是班里最会{skill}的人了。
表演的时候，大家都为{he}鼓掌。
"""),
    beat("""
{who}{felt}。
{elder}竖起大拇指，{who}{felt}。
看着奖状，{he}{felt}。
"""),
    MORAL,
)
FRIENDS: tuple[Beat, ...] = (
    BEAST_OPENING,
    beat("""
一天，它看见{pal}坐在{tree}下哭。
路上，它遇见了{pal}，{pal}{sad}。
它刚走到河边，就听见{flower}丛里有人在哭，原来是{pal}。
走到半路，它看见{pal}站在{tree}下发抖。
"""),
    beat("""
{beast}{said}问：“你怎么了？”
{name}连忙跑过去，{said}说：“别怕，我来帮你。”
“你需要帮忙吗？”{beast}{said}问。
"""),
    beat("""
{pal}说：“{trouble}。”
{pal}叹了口气：“{trouble}。”
“{trouble}。”{pal}低着头说。
"""),
    beat("""
{name}想了想，{help}。
{name}听了，{help}。
听到这里，{name}站了起来。它{help}。
"""),
    maybe("""
{third}也来了，还带来了一篮{food}。
{third}看见了，也跑来帮忙。
{name}说：“只要我们在一起，就什么也不怕。”
"""),
    beat("""
{pal}看着{name}，{felt}。
{pal}{felt}，说：“谢谢你，你是我最好的朋友。”
晚上，大家围着火堆吃{food}，{felt}。
"""),
    maybe("""
第二年，{name}生病了，{pal}每天都给它送来{food}。
后来，{name}遇到了困难，{pal}第一个跑来帮忙。
"""),
    BEAST_MORAL,
)
TRICK: tuple[Beat, ...] = (
    BEAST_OPENING,
    beat("""
{day}，{big}挡住了它的路，说：“我已经{count}天没有吃东西了，今天就吃你！”
{big}早就想抓住它了。{day}，{big}悄悄躲在{tree}后面。
{day}，{big}对它说：“听说你最会{skill}，我们来比一比，输了你就做我的晚饭。”
"""),
    beat("""
{name}心里害怕，可是它没有逃，而是{said}说：“等一等。”
{name}转了转眼珠，想出了一个主意。
{name}一点儿也不慌，它{said}说：“好啊，不过你先听我说一句话。”
"""),
    beat("""
“山那边有一堆{food}，比我好吃多了。”它说。
“你听，猎人的脚步声！”它指着远处说。
“我太瘦了，你把我养胖一点再吃吧。”它说。
“你先闭上眼睛，数到{count}，我就不跑。”它说。
"""),
    beat("""
{big}信以为真，转身就跑。
{big}果然上了当，乖乖地闭上了眼睛。
{big}回头一看，什么也没有，再转过身来，{name}早就不见了。
{big}高兴地跑去，却掉进了一个大坑里。
"""),
    beat("""
{name}趁机爬上{tree}，{felt}。
{pal}和{third}听说了，都夸它聪明。
从那以后，{big}再也不敢来了。
"""),
    BEAST_MORAL,
)
VILLAGE: tuple[Beat, ...] = (
    FOLK_OPENING,
    beat("""
他手艺高，心肠好，谁家有事都来找他。
他每天天不亮就起床，干到太阳下山。
他家里很穷，只有一间草房和一头老牛。
他做的东西又结实又好看，{years}年也用不坏。
"""),
    ("{befell}。",),
    beat("""
大家都{sad}，只有他{said}说：“总会有办法的。”
他想了{count}天{count}夜，终于想出了一个办法。
他没有多说话，挽起袖子就干。
他对徒弟说：“总得有人去做。”
"""),
    ("他{did}。", "他和徒弟们{did}。", "就这样，他{did}。"),
    maybe("""
有人劝他算了，他摇摇头，没有停下。
邻村的{rich}听说了，冷笑着说：“我看他做不成。”
孩子们给他送来{fruit}，老人们给他送来热茶。
他养的那只{animal}一直跟在他身后。
"""),
    ("最后，{ended}。", "终于，{ended}。", "{years}天以后，{ended}。"),
    beat("""
他什么也没有要，自己只留下一把旧锤子。
后来，人们在村口给他立了一块石碑。
直到今天，{village}的人还常常讲起这个故事。
他笑着说：“这是大家一起做成的。”
"""),
    maybe("""
这个故事告诉我们：{moral}。
老人们讲完故事，总要加上一句：“{moral}。”
"""),
)

PLOTS: list[Plot] = [
    Plot(name="lost", cast=lost, beats=LOST, share=3),
    Plot(name="skill", cast=skill, beats=SKILL, share=3),
    Plot(name="friends", cast=friends, beats=FRIENDS, share=3),
    Plot(name="trick", cast=trick, beats=TRICK, share=2),
    Plot(name="village", cast=folk, beats=VILLAGE, share=3),
]
