"""Entries as an encyclopedia has them, in Chinese: towns, rivers, people and firms that are made
up, and creatures, dishes and things that are not."""

from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import count_zh, number_zh, pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe
from farthing.learn.tasks.texts.facts_zh import CREATURES, DISHES, MATTERS
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things
from farthing.learn.tasks.words import words

LANDS = words("""
云 青 白 清 长 安 平 石 龙 凤 金 玉 南 北 东 西 新 古 大 永 宁 泰 和 兴 丰 松 柳 梅 竹 桃
""")
WATERS = words("江 河 溪 水 川")
TOWNS = words("县 市 镇 州")
INDUSTRIES = words("""
纺织 陶瓷 造船 钢铁 茶叶 水果种植 渔业 木材 旅游 电子 汽车零件 家具 印刷 制糖 酿酒 化工 煤炭
机械 玩具 皮革 造纸 水泥 中药材 奶业 软件
""")
SIGHTS = words("""
古塔 石桥 寺庙 瀑布 溶洞 湖泊 古城墙 森林公园 温泉 老街 书院 园林 博物馆 梯田 峡谷 竹林 海滩
灯塔 戏台
""")
SUBJECTS = words("""
数学 物理 化学 历史 文学 医学 建筑 音乐 绘画 农学 天文 地理 法律 机械 经济 生物 哲学 书法 戏曲
教育
""")
WORKS = words("论 新编 概要 笔记 讲义 入门 史 研究 文集 百问 手册 图解")
SCHOOLS = words("""
师范大学 理工大学 农业大学 医学院 美术学院 音乐学院 工学院 大学 外国语学院 财经大学
""")
ERAS = words("唐代 宋代 元代 明代 清代 民国时期 二十世纪五十年代 二十世纪八十年代")


def town(rng: Random) -> Cast:
    first, second = several(rng, LANDS, 2)
    people, area = whole(rng, 3, 320), whole(rng, 2, 90) * 50
    crops = several(
        rng, words("水稻 小麦 玉米 棉花 茶叶 柑橘 苹果 花生 油菜 甘蔗 大豆 烟草 葡萄"), 3
    )
    warm = whole(rng, 8, 24)
    other, near = several(rng, LANDS, 2)
    rivers = pick(rng, WATERS)
    made = several(rng, INDUSTRIES, 2)
    return {
        "name": f"{first}{second}{pick(rng, TOWNS)}",
        "province": pick(rng, names.PROVINCES),
        "side": pick(
            rng, ("东部", "西部", "南部", "北部", "中部", "东南部", "西北部", "东北部", "西南部")
        ),
        "people": f"{people}万",
        "area": area,
        "crop": crops[0],
        "crops": "、".join(crops),
        "river": f"{first}{other}{rivers}" if first != other else f"{other}{near}{rivers}",
        "hill": f"{near}{second}山",
        "height": whole(rng, 20, 280) * 10,
        "warm": warm,
        "rain": whole(rng, 8, 40) * 50,
        "season": pick(rng, ("春季", "夏季", "秋季")),
        "made": made[0],
        "also": made[1],
        "sight": pick(rng, SIGHTS),
        "era": pick(rng, ERAS),
        "year": whole(rng, 1950, 2015),
        "km": whole(rng, 20, 400),
        "city": pick(rng, names.CITIES),
        "flower": pick(rng, things.KINDS["花"]),
        "tree": pick(rng, things.KINDS["树"]),
        "schools": whole(rng, 12, 260),
        "dish": pick(
            rng,
            ("豆腐", "米粉", "烧饼", "腊肉", "鱼汤", "糯米糕", "酱菜", "面条", "红糖", "芝麻饼"),
        ),
    }


def river(rng: Random) -> Cast:
    first, second, third = several(rng, LANDS, 3)
    start = pick(rng, names.PROVINCES)
    length = whole(rng, 8, 90) * 10
    return {
        "name": f"{first}{second}{pick(rng, WATERS)}",
        "hill": f"{third}{first}山",
        "start": start,
        "length": length,
        "area": whole(rng, 2, 90) * 500,
        "flow": whole(rng, 20, 900),
        "towns": "、".join(f"{third}{one}{pick(rng, '县市')}" for one in several(rng, LANDS, 3)),
        "fish": "、".join(several(rng, words("鲤鱼 草鱼 鲫鱼 鲢鱼 青鱼 鳜鱼 鲈鱼 黄颡鱼"), 3)),
        "dam": f"{second}{third}水库",
        "year": whole(rng, 1955, 2012),
        "month": whole(rng, 5, 7),
        "last": whole(rng, 8, 10),
        "side": count_zh(whole(rng, 3, 28)),
    }


def life(rng: Random) -> Cast:
    born = whole(rng, 1880, 1965)
    age = whole(rng, 55, 95)
    subject = pick(rng, SUBJECTS)
    school = pick(rng, names.CITIES)
    return {
        "name": f.person_zh(rng),
        "he": pick(rng, "他她"),
        "born": born,
        "month": whole(rng, 1, 12),
        "day": whole(rng, 1, 28),
        "died": born + age,
        "age": age,
        "home": pick(rng, names.CITIES),
        "subject": subject,
        "school": school + pick(rng, SCHOOLS),
        "entered": born + whole(rng, 17, 20),
        "began": born + whole(rng, 23, 30),
        "wrote": born + whole(rng, 32, 50),
        "book": f"《{subject}{pick(rng, WORKS)}》",
        "second": f"《{pick(rng, names.FIRM_HEADS)}{pick(rng, WORKS)}》",
        "teacher": f.person_zh(rng),
        "city": pick(rng, names.CITIES),
        "father": pick(rng, things.KINDS["职业"]),
        "children": count_zh(whole(rng, 2, 5)),
        "likes": pick(
            rng, things.KINDS["运动"] + ["下棋", "养花", "钓鱼", "写诗", "散步", "收藏邮票"]
        ),
        "pupils": whole(rng, 3, 60) * 10,
    }


def firm(rng: Random) -> Cast:
    year = whole(rng, 1978, 2018)
    staff = whole(rng, 2, 90) * 10
    word, thing = pick(rng, things.PRODUCTS)
    _, other = pick(rng, things.PRODUCTS)
    return {
        "name": f.firm_zh(rng),
        "city": pick(rng, names.CITIES),
        "where": f.address_zh(rng),
        "year": year,
        "boss": f.person_zh(rng),
        "first": count_zh(whole(rng, 3, 20)),
        "staff": staff,
        "m": word,
        "thing": thing,
        "other": other,
        "made": whole(rng, 2, 90),
        "later": year + whole(rng, 2, 9),
        "shops": whole(rng, 3, 60),
        "countries": count_zh(whole(rng, 3, 30)),
        "share": number_zh(whole(rng, 2, 6) * 10),
    }


def creature(rng: Random) -> Cast:
    return pick(rng, CREATURES)


def dish(rng: Random) -> Cast:
    return dict(pick(rng, DISHES)) | {
        "minutes": number_zh(whole(rng, 2, 8) * 5),
        "grams": whole(rng, 3, 10) * 50,
        "spoon": count_zh(whole(rng, 1, 3)),
        "time": pick(rng, ("中午", "晚上", "周末", "过节的时候")),
    }


def matter(rng: Random) -> Cast:
    return pick(rng, MATTERS)


TOWN: tuple[Beat, ...] = (
    beat("""
{name}位于{province}{side}，面积{area}平方千米，人口约{people}。
{name}是{province}{side}的一座城镇，总面积为{area}平方千米，常住人口{people}人。
{name}，在{province}{side}，距离{city}{km}公里。全境面积{area}平方千米，有{people}人。
"""),
    beat("""
{river}从城中穿过，北面是{hill}，最高处海拔{height}米。
境内有{hill}，海拔{height}米，{river}发源于此。
地势北高南低，{hill}主峰高{height}米，{river}向东流去。
"""),
    beat("""
这里年平均气温{warm}摄氏度，年降水量{rain}毫米，{season}雨水最多。
气候温和，平均气温为{warm}摄氏度，每年降水约{rain}毫米，多集中在{season}。
"""),
    beat("""
主要农作物有{crops}，其中{crop}最为有名。
农民多种植{crops}。当地的{crop}远近闻名。
"""),
    beat("""
工业以{made}为主，{also}也有一定规模。
{year}年以来，{made}和{also}发展很快，成为当地的支柱产业。
全境有{made}企业{schools}家，{also}次之。
"""),
    maybe("""
{name}历史悠久，{era}就已设立。
据记载，{era}这里已有集市。
有学校{schools}所，图书馆一座。
铁路于{year}年通车，从此到{city}只要几个小时。
"""),
    beat("""
城外的{sight}建于{era}，是有名的景点。
游客常来参观{era}留下的{sight}，也喜欢品尝当地的{dish}。
名胜有{sight}，特产是{dish}。
"""),
    maybe("""
市花是{flower}，市树是{tree}。
街道两旁种着{tree}，春天{flower}盛开。
"""),
)
RIVER: tuple[Beat, ...] = (
    beat("""
{name}发源于{start}的{hill}，全长{length}千米，流域面积{area}平方千米。
{name}全长{length}千米，源头在{start}{hill}，最后汇入大江，流域面积{area}平方千米。
"""),
    beat("""
它流经{towns}等地，有{side}条支流。
沿岸有{towns}，大小支流共{side}条。
"""),
    beat("""
每年{month}月到{last}月是汛期，平均流量为每秒{flow}立方米。
平均流量每秒{flow}立方米，{month}月至{last}月水位最高。
"""),
    beat("""
{year}年，人们在中游修建了{dam}，用来防洪、灌溉和发电。
中游的{dam}建成于{year}年，使两岸的农田不再受旱。
"""),
    maybe("""
河里的鱼有{fish}等。
盛产{fish}，渔民世代以打鱼为生。
下游河面宽阔，水流平缓，可以通航。
上游山高谷深，水流湍急；下游地势平坦，河道弯曲。
"""),
)
LIFE: tuple[Beat, ...] = (
    beat("""
{name}（{born}年—{died}年），{home}人，{subject}家。
{name}，{born}年{month}月{day}日出生于{home}，是著名的{subject}学者。
{name}（{born}—{died}），出生在{home}一个{father}家庭。
"""),
    beat("""
{entered}年，{he}考入{school}，师从{teacher}，学习{subject}。
{he}于{entered}年进入{school}学习{subject}，老师是{teacher}。
"""),
    beat("""
毕业后，{he}从{began}年起在{city}任教。
{began}年，{he}来到{city}，开始研究{subject}。
"""),
    beat("""
{wrote}年出版了代表作{book}，影响很大。
{wrote}年，{he}的{book}问世，后来又写了{second}。
{he}的主要著作有{book}和{second}，前者出版于{wrote}年。
"""),
    maybe("""
{he}一生教过{pupils}多名学生。
{he}生活简朴，爱好{likes}，有{children}个孩子。
工作之余，{he}喜欢{likes}。
{he}常对学生说：“读书要慢，想事要深。”
"""),
    beat("""
{died}年，{he}在{city}去世，享年{age}岁。
{he}于{died}年病逝，终年{age}岁。
"""),
)
FIRM: tuple[Beat, ...] = (
    beat("""
{name}成立于{year}年，总部设在{city}{where}，创始人是{boss}。
{year}年，{boss}在{city}创办了{name}，地址在{where}。
"""),
    beat("""
公司刚成立时只有{first}名员工，主要生产{thing}。
最初，厂里只有{first}个人，每天做{made}{m}{thing}。
"""),
    beat("""
{later}年，公司开始生产{other}，销路很好。
到了{later}年，产品增加了{other}，生意越来越好。
"""),
    beat("""
现在，公司有员工{staff}人，在全国开设了{shops}家分店。
如今员工已有{staff}人，产品卖到{countries}个国家。
"""),
    maybe("""
{boss}常说：“质量就是生命。”
每年利润的百分之{share}用来研究新产品。
"""),
)
CREATURE: tuple[Beat, ...] = (
    beat("""
{name}是一种{kind}，{looks}。
{name}属于{kind}。它{looks}。
{name}，{kind}，特点是{looks}。
"""),
    beat("""
{name}生活在{lives}。
它的家在{lives}。
人们可以在{lives}见到它。
"""),
    beat("""
它主要吃{eats}。
{name}以{eats}为食。
它的食物是{eats}。
"""),
    beat("""
{fact}。
有趣的是，{fact}。
科学家发现，{fact}。
"""),
)
DISH: tuple[Beat, ...] = (
    beat("""
{name}是{origin}，主要材料是{main}。
{name}是一道{origin}，用{main}做成，味道{taste}。
"""),
    beat("""
做法如下：先准备{main}共{grams}克，洗净切好。
第一步，把{grams}克{main}处理干净。
"""),
    beat("""
然后放入{spoon}勺{spice}，{how}{minutes}分钟。
再加入{spice}{spoon}勺，用小火{how}{minutes}分钟左右。
"""),
    beat("""
出锅后{taste}，人人爱吃。
{time}做这道菜，全家人都喜欢。
做好的{name}{taste}，最适合{time}吃。
"""),
)
MATTER: tuple[Beat, ...] = (
    ("{name}{what}。", "什么是{name}？{name}{what}。", "{name}：{what}。"),
    ("{how}。", "{how}。", "具体来说，{how}。"),
    ("{use}。", "在生活中，{use}。", "因此，{use}。"),
)

PLOTS: list[Plot] = [
    Plot(name="town", cast=town, beats=TOWN, share=4),
    Plot(name="river", cast=river, beats=RIVER, share=2),
    Plot(name="life", cast=life, beats=LIFE, share=4),
    Plot(name="firm", cast=firm, beats=FIRM, share=2),
    Plot(name="creature", cast=creature, beats=CREATURE),
    Plot(name="dish", cast=dish, beats=DISH),
    Plot(name="matter", cast=matter, beats=MATTER),
]
