"""Small Chinese stories: of children, of animals that speak, of old villages."""

from random import Random

from farthing.learn.tasks.fields import count_zh, number_zh, pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things
from farthing.learn.tasks.words import words

SMILED = words("""
笑着 轻轻地 大声地 小声地 认真地 着急地 高兴地 慢慢地 红着脸 眨着眼睛 拍着手 摇着头 点着头
叹着气
""")
FELT = words("""
心里暖暖的 高兴极了 激动得跳了起来 忍不住笑了 觉得很自豪 心里像吃了蜜一样甜 松了一口气
感动得说不出话 脸上露出了笑容 眼睛亮了起来 开心得合不拢嘴
""")
SAD = words("""
急得快要哭了 心里很难过 低着头不说话 一夜没有睡好 眼泪在眼眶里打转 急得满头大汗 心里七上八下
坐在门口发呆 垂头丧气地走回家 连饭也吃不下
""")
ELDERS = words("""
爷爷 奶奶 外公 外婆 爸爸 妈妈 叔叔 阿姨 老师 舅舅 姑姑 邻居王奶奶 看门的李大爷 隔壁的张伯伯
""")
TREASURES = words("""
铅笔盒 小木马 红围巾 玻璃球 风筝 小铃铛 故事书 口琴 布娃娃 陀螺 集邮册 望远镜 小闹钟 钥匙 雨伞
手套 日记本 万花筒 竹笛 银手镯 贝壳 画笔 储蓄罐 小汽车 跳绳 羽毛球拍 手表 帽子 书签 纸灯笼
""")
BEASTS = words("""
小兔子 小狐狸 小熊 小松鼠 小刺猬 小猴子 小山羊 小鹿 小老鼠 小乌龟 小青蛙 小鸭子 小花猫 小黄狗
小象 小狮子 小猪 小马 小羊 小乌鸦 小燕子 小喜鹊 小麻雀 小蜗牛 小蚂蚁 小蜜蜂 小蝴蝶 小獾 小浣熊
小企鹅
""")
BIG = words("大灰狼 老虎 大黑熊 老狐狸 野猫 蟒蛇 老鹰 豹子 鬣狗 山猫")
SKILLS = words("""
骑自行车 游泳 写毛笔字 下象棋 拉二胡 吹笛子 包饺子 画画 跳绳 打乒乓球 滑冰 弹钢琴 剪纸 放风筝
做木工 唱歌 跳舞 打太极拳 养花 捏泥人 织毛衣 翻跟头 讲故事 背古诗
""")
CROPS = words("小麦 玉米 水稻 花生 大豆 红薯 棉花 土豆 高粱 油菜 芝麻 西瓜 苹果 桃子 葡萄 茶叶")
CRAFTS = words("""
木匠 铁匠 石匠 裁缝 渔夫 猎人 船夫 医生 画家 磨坊主 面包师 陶工 药农 樵夫 更夫 货郎 厨师 铜匠
鞋匠 养蜂人
""")
VILLAGES = words("""
桃花村 柳树村 石桥村 青山村 白水村 杏林村 大榆村 小河村 龙泉村 云台村 竹溪村 枫叶村 梨园村
黄土村 长岭村 月牙村
""")
SEASONS = {
    "春": words("春暖花开 微风习习 下着小雨 阳光明媚 雾气蒙蒙"),
    "夏": words("烈日当空 天气晴朗 晚霞满天 繁星点点 下着大雨 没有一丝风"),
    "秋": words("秋高气爽 凉风阵阵 落叶纷纷 月光皎洁 天气晴朗"),
    "冬": words("天寒地冻 飘着雪花 北风呼呼 雪后初晴 阳光温暖"),
}
DAYS = {
    "春": words("春天的一个早晨 清明前后 植树节那天 开学第一天 三月的一个下午 元宵节 春游那天"),
    "夏": words("暑假的一天 六一儿童节 去年夏天 端午节 七月的一个傍晚 夏天的一个夜晚"),
    "秋": words("国庆节那天 中秋节 重阳节 秋天的一个早晨 九月的一个下午 秋游那天"),
    "冬": words("寒假里的一天 春节前 元旦那天 冬天的一个早晨 去年冬天 十二月的一个傍晚"),
}
CARE = words("细心才能把事情做好 做事不能马虎 自己的东西要自己保管好 遇事要冷静 着急解决不了问题")
HELP = words("""
帮助别人就是帮助自己 好朋友要互相帮助 分享能让快乐变多 团结力量大 患难见真情 一个好汉三个帮
""")
EFFORT = words("""
做事要有耐心 失败并不可怕 只要坚持就会成功 学习没有捷径 虚心才能进步 一分耕耘一分收获 熟能生巧
有志者事竟成
""")
WIT = words("""
遇事要冷静 办法总比困难多 智慧比力气更有用 不能轻信别人的话 贪心会失去更多 骄傲的人容易上当
""")
FOLK = words("""
勤劳的人最幸福 办法总比困难多 大家齐心就没有做不成的事 好心总有好报 手艺是用汗水换来的
""")

# what is wrong, and what friends do about it
TROUBLES = [
    ("我过冬的{food}被{big}抢走了", "把自己的{food}分给它一半"),
    ("我过冬的{food}被{big}抢走了", "和{third}一起找到{big}，把{food}要了回来"),
    ("我找不到回家的路了", "带着它走了{count}里路，一直送到家门口"),
    ("我找不到回家的路了", "爬上高高的{tree}，看见了它家的屋顶"),
    ("我的房子被大风吹倒了", "请来{third}，三个好朋友一起盖了一间新房子"),
    ("我的房子被大风吹倒了", "二话不说，干了整整{count}天，把房子修好了"),
    ("没有人愿意和我做朋友", "拉着它的手说：“我愿意，我们一起去玩吧”"),
    ("我的孩子生病了", "跑了{count}里路，请来了{third}医生"),
    ("我把妈妈的花瓶打碎了", "陪它回家，一起向妈妈道了歉"),
    ("我想给奶奶过生日，可是没有礼物", "和它一起摘来{flower}，编成了一个大花环"),
]
# what befell a village, what was done, and how it ended
HARDSHIPS = [
    (
        "有一年，天下大旱，地里的{crop}都快干死了",
        "带着乡亲们挖渠引水，挖了{count}个月",
        "清清的泉水流进了田里，{crop}又绿了",
    ),
    (
        "有一年发大水，村里的桥被冲断了，大家没法过河",
        "用{tree}木搭架子，一锤一锤地敲，手上全是血泡",
        "新桥修好了。那天全村人都来了，锣鼓敲得震天响",
    ),
    (
        "一天，{rich}派人来说：“给我做一件世上没有的东西，做不出来就罚你{gold}两银子”",
        "白天照样干活，晚上点着油灯做到天亮",
        "{rich}看了他做的东西，一句话也说不出来，只好认输",
    ),
    (
        "有一年，村里闹了病，很多人都起不了床",
        "翻过{count}座山，走了{gold}里路，采来了草药",
        "大家的病都好了，村里又有了笑声",
    ),
    (
        "那几年，山上的野兽常常下山，吃了{years}只羊",
        "领着年轻人在村口挖了{count}道壕沟，夜里轮流打着火把守着",
        "野兽再也不敢来了，孩子们又可以到山坡上放羊",
    ),
    (
        "一天晚上，一位白胡子老人倒在村口，又冷又饿",
        "把老人背回家，喂他热粥，照顾了他{count}天",
        "老人病好走了。第二天早上，门口放着{gold}块金子",
    ),
]

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
