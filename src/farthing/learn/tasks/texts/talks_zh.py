"""Chinese talks, letters, notices, diaries and news, whose figures agree with one another."""

from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import count_zh, pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe
from farthing.learn.tasks.texts.story_words_zh import ELDERS, SEASONS, SKILLS, TREASURES
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things
from farthing.learn.tasks.words import words

FOODS = words("""
牛肉面 炒饭 饺子 包子 馄饨 烤鱼 米线 麻辣烫 宫保鸡丁 酸菜鱼 小笼包 煎饼 豆浆 红烧肉 凉皮 羊肉串
白粥 蛋花汤
""")
ILLS = words("头疼 发烧 咳嗽 肚子疼 嗓子疼 牙疼 流鼻涕 失眠 腰疼 过敏")
CURES = words("多喝热水 按时吃药 好好休息 少吃辣的 不要熬夜 多吃蔬菜 明天再来复查 这几天别去游泳")
LINES = words("1路 2路 5路 8路 12路 16路 23路 31路 47路 102路 208路 315路")
SUBJECTS = words("语文 数学 英语 历史 地理 物理 化学 生物 音乐 美术 体育 科学")

HELD = [
    ("义务植树", "手套和水杯"),
    ("消防演习", "湿毛巾"),
    ("健康检查", "身份证"),
    ("旧书交换", "一本旧书"),
    ("运动会", "运动鞋"),
    ("安全讲座", "笔和本子"),
    ("新年晚会", "入场券"),
    ("招聘会", "个人简历"),
    ("书法比赛", "毛笔和墨"),
]


def shop(rng: Random) -> Cast:
    word, thing = pick(rng, things.PRODUCTS)
    price, count = whole(rng, 3, 120), whole(rng, 2, 6)
    less = max(1, price - whole(rng, 1, max(1, price // 5)))
    paid = (less * count // 50 + 1) * 50
    return {
        "a": pick(rng, ("顾客", "客人", "小姐", "先生")),
        "b": pick(rng, ("店员", "老板", "售货员")),
        "m": word,
        "thing": thing,
        "price": price,
        "less": less,
        "count": count_zh(count),
        "total": less * count,
        "paid": paid,
        "change": paid - less * count,
        "colour": pick(rng, things.KINDS["颜色"]),
    }


def way(rng: Random) -> Cast:
    here, there = several(rng, things.PLACES[:18], 2)
    metres = whole(rng, 3, 15) * 100
    return {
        "a": pick(rng, ("游客", "路人", "学生", "老人")),
        "b": pick(rng, ("警察", "店主", "行人", "司机")),
        "there": there,
        "here": here,
        "street": pick(rng, names.STREETS),
        "other": pick(rng, names.STREETS),
        "turn": pick(rng, "左右"),
        "line": pick(rng, LINES),
        "stops": count_zh(whole(rng, 2, 9)),
        "minutes": -(-metres // 300) * 5,
        "metres": metres,
    }


def doctor(rng: Random) -> Cast:
    cure, also = several(rng, CURES, 2)
    return {
        "who": f.person_zh(rng),
        "ill": pick(rng, ILLS),
        "since": pick(rng, ("昨天", "前天", "上个星期", "今天早上", "三天前")),
        "degree": f"三十{pick(rng, '六七八九')}度{pick(rng, '一二三四五')}",
        "cure": cure,
        "also": also,
        "times": count_zh(whole(rng, 2, 3)),
        "pills": count_zh(whole(rng, 1, 3)),
        "days": count_zh(whole(rng, 2, 7)),
    }


def meeting(rng: Random) -> Cast:
    a, b = several(rng, names.CALLED, 2)
    hour, later = pick(rng, ((8, 9), (9, 10), (14, 15), (15, 16), (18, 19), (10, 11)))
    return {
        "a": a,
        "b": b,
        "day": pick(rng, names.DAYS),
        "place": pick(rng, things.PLACES[:24]),
        "hour": f"{f.half_day_zh(hour)}{(hour - 1) % 12 + 1}点",
        "later": f"{f.half_day_zh(later)}{(later - 1) % 12 + 1}点",
        "what": pick(rng, SKILLS),
        "busy": pick(
            rng, ("要上课", "要去看医生", "要陪妈妈买菜", "有个会", "要写作业", "要送弟弟上学")
        ),
        "bring": pick(rng, TREASURES),
        "gate": pick(rng, ("东门", "西门", "南门", "北门", "大门口")),
    }


def restaurant(rng: Random) -> Cast:
    first, second = several(rng, FOODS, 2)
    one, two, count = whole(rng, 6, 40), whole(rng, 6, 60), whole(rng, 1, 3)
    return {
        "first": first,
        "second": second,
        "one": one,
        "two": two,
        "count": count_zh(count),
        "total": one * count + two,
        "people": count_zh(whole(rng, 2, 6)),
        "drink": pick(rng, things.KINDS["饮料"]),
        "spicy": pick(rng, ("不要放辣椒", "少放一点盐", "多放点醋", "不要香菜", "要大份的")),
        "minutes": pick(rng, ("五", "十", "十五", "二十")),
    }


def letter(rng: Random) -> Cast:
    season = pick(rng, "春夏秋冬")
    to, by = several(rng, names.CALLED, 2)
    _, month, day = f.day(rng)
    return {
        "to": to,
        "by": by,
        "city": pick(rng, names.CITIES),
        "season": season,
        "weather": pick(rng, SEASONS[season]),
        "place": pick(rng, things.PLACES),
        "skill": pick(rng, SKILLS),
        "elder": pick(rng, ELDERS[:6]),
        "mood": pick(rng, things.MOODS),
        "dish": pick(rng, FOODS),
        "month": month,
        "day": day,
        "weeks": count_zh(whole(rng, 2, 9)),
        "subject": pick(rng, SUBJECTS),
        "score": whole(rng, 80, 100),
        "tree": pick(rng, things.KINDS["树"]),
        "flower": pick(rng, things.KINDS["花"]),
        "animal": pick(rng, ("小猫", "小狗", "兔子", "金鱼", "乌龟", "鹦鹉")),
    }


def notice(rng: Random) -> Cast:
    date, minutes = f.day(rng), f.quarters(rng)
    what, bring = pick(rng, HELD)
    return {
        "where": pick(rng, names.FIRM_HEADS)
        + pick(rng, ("小区", "小学", "中学", "公司", "医院", "图书馆")),
        "date": f"{date[1]}月{date[2]}日",
        "hour": f.time_zh(rng, minutes),
        "end": f.clock(min(minutes + whole(rng, 2, 8) * 30, 1439)),
        "place": pick(
            rng, ("一楼大厅", "操场", "会议室", "多功能厅", "西门广场", "食堂", "活动中心")
        ),
        "what": what,
        "bring": bring,
        "phone": f.phone_zh(rng),
        "who": f.person_zh(rng),
        "count": whole(rng, 2, 30) * 10,
    }


def news(rng: Random) -> Cast:
    season = pick(rng, "春夏秋冬")
    low = {"春": 8, "夏": 22, "秋": 10, "冬": -8}[season] + whole(rng, 0, 6)
    before, now = whole(rng, 20, 60), whole(rng, 61, 120)
    return {
        "city": pick(rng, names.CITIES),
        "other": pick(rng, names.CITIES),
        "season": season,
        "low": f"零下{-low}" if low < 0 else low,
        "high": low + whole(rng, 6, 11),
        "wind": f"{pick(rng, '东南西北')}风{pick(rng, ('二到三', '三到四', '四到五'))}级",
        "sky": pick(rng, ("晴", "多云", "阴", "小雨", "晴转多云", "多云转阴", "阵雨")),
        "thing": pick(
            rng,
            ("地铁二号线", "图书馆新馆", "滨江公园", "跨江大桥", "科技馆", "体育中心", "儿童医院"),
        ),
        "before": before,
        "now": now,
        "more": now - before,
        "who": f.person_zh(rng),
        "job": pick(rng, things.KINDS["职业"]),
        "month": whole(rng, 1, 12),
        "years": count_zh(whole(rng, 2, 6)),
        "fruit": pick(rng, things.KINDS["水果"]),
        "percent": whole(rng, 3, 30),
    }


SHOP: tuple[Beat, ...] = (
    beat("""
{b}：欢迎光临，请问您要买什么？
{b}：您好，有什么可以帮您的吗？
{b}：您好，随便看看。
"""),
    beat("""
{a}：我想买{thing}，多少钱一{m}？
{a}：请问这种{thing}怎么卖？
{a}：有没有{colour}的{thing}？一{m}多少钱？
"""),
    ("{b}：{price}元一{m}。", "{b}：有的，一{m}{price}元。", "{b}：这是新到的，每{m}{price}元。"),
    ("{a}：有点贵，能便宜一些吗？", "{a}：我要{count}{m}，可以打折吗？", "{a}：太贵了，少一点吧。"),
    ("{b}：那就{less}元一{m}吧，不能再低了。", "{b}：好吧，给您算{less}元一{m}。"),
    ("{a}：行，我要{count}{m}。", "{a}：好，那就来{count}{m}。"),
    ("{b}：一共{total}元。", "{b}：{count}{m}，总共{total}元。"),
    ("{a}：给您{paid}元。", "{a}：这是{paid}元。"),
    ("{b}：找您{change}元，请拿好，欢迎下次再来。", "{b}：收您{paid}元，找您{change}元，谢谢。"),
)
WAY: tuple[Beat, ...] = (
    (
        "{a}：您好，请问去{there}怎么走？",
        "{a}：打扰一下，{there}在哪里？",
        "{a}：劳驾，{there}离这里远吗？",
    ),
    beat("""
{b}：不远，沿着{street}一直走，到{here}往{turn}拐就到了。
{b}：先走到{street}，再向{turn}转，走{metres}米就能看见。
{b}：在{other}上，{here}的旁边，您往前走{metres}米，再往{turn}拐。
"""),
    ("{a}：走路要多长时间？", "{a}：走过去要多久？"),
    ("{b}：大概{minutes}分钟。", "{b}：{minutes}分钟左右吧。"),
    ("{a}：有公交车吗？", "{a}：可以坐车去吗？"),
    ("{b}：可以坐{line}，坐{stops}站。", "{b}：有，{line}，{stops}站就到。"),
    ("{a}：太谢谢您了！", "{a}：明白了，谢谢！"),
    ("{b}：不客气。", "{b}：不用谢，路上小心。"),
)
DOCTOR: tuple[Beat, ...] = (
    ("医生：{who}，你哪里不舒服？", "医生：请坐，{who}，怎么了？"),
    ("{who}：医生，我{ill}。", "{who}：我从{since}开始{ill}。", "{who}：我觉得{ill}，很难受。"),
    ("医生：什么时候开始的？", "医生：有多长时间了？"),
    ("{who}：从{since}开始的。", "{who}：{since}就这样了。"),
    maybe("""
医生：量一下体温吧。嗯，{degree}。
医生：我看看，体温{degree}。
"""),
    ("医生：问题不大，我给你开点药。", "医生：别担心，吃点药就好了。"),
    ("{who}：这药怎么吃？", "{who}：一天吃几次？"),
    (
        "医生：一天{times}次，一次{pills}片，吃{days}天。",
        "医生：每天{times}次，每次{pills}片，连吃{days}天。",
    ),
    ("医生：还有，{cure}。", "医生：记住，{cure}，{also}。"),
    ("{who}：好的，谢谢医生。", "{who}：知道了，谢谢您。"),
)
MEETING: tuple[Beat, ...] = (
    ("{a}：喂，是{b}吗？我是{a}。", "{a}：{b}，你好！", "{a}：{b}，{day}你有空吗？"),
    ("{b}：是我，有什么事？", "{b}：有事吗？", "{b}：你说吧。"),
    ("{a}：{day}我们一起去{place}吧。", "{a}：{day}我想去{place}，你去不去？"),
    ("{b}：好啊，几点？", "{b}：太好了！什么时间？"),
    ("{a}：{hour}怎么样？", "{a}：{hour}行吗？"),
    ("{b}：{hour}我{busy}，{later}可以吗？", "{b}：恐怕不行，我{busy}。{later}吧。"),
    ("{a}：没问题，{later}在{place}{gate}见。", "{a}：好，那就{later}，{place}{gate}。"),
    maybe("""
{b}：要带什么吗？
{b}：我们去那里做什么？
"""),
    ("{a}：带上你的{bring}，我们可以{what}。", "{a}：别忘了带{bring}。"),
    ("{b}：好的，{day}见！", "{b}：记住了，{later}不见不散！"),
)
RESTAURANT: tuple[Beat, ...] = (
    ("服务员：欢迎光临，请问几位？", "服务员：您好，一共几位？"),
    ("客人：{people}位。", "客人：我们{people}个人。"),
    ("服务员：请这边坐，这是菜单。", "服务员：好的，请坐。想吃点什么？"),
    ("客人：{first}多少钱？", "客人：{first}怎么卖？"),
    ("服务员：{first}{one}元一份。", "服务员：一份{one}元。"),
    ("客人：要{count}份{first}，再来一份{second}。", "客人：来{count}份{first}和一份{second}。"),
    ("服务员：{second}{two}元。还要别的吗？", "服务员：好，{second}是{two}元。要喝{drink}吗？"),
    ("客人：不用了，{spicy}。", "客人：不要了。对了，{first}{spicy}。"),
    ("服务员：好的，请等{minutes}分钟。", "服务员：没问题，大概{minutes}分钟上菜。"),
    ("客人：买单，一共多少钱？", "客人：服务员，结账。"),
    ("服务员：一共{total}元。", "服务员：{total}元，谢谢。"),
)
LETTER: tuple[Beat, ...] = (
    ("亲爱的{to}：\n", "{to}：\n", "{to}，你好！\n"),
    ("好久不见，你最近好吗？", "你的信我已经收到了，谢谢。", "我到{city}已经{weeks}个星期了。"),
    ("{city}现在是{season}天，{weather}。", "这里的{season}天{weather}，很适合散步。"),
    ("我每天都去{place}。", "上个周末，我和{elder}去了{place}。", "我们家搬到了{place}附近。"),
    (
        "院子里有一棵{tree}，树下种着{flower}。",
        "我养了一只{animal}，它很{mood}。",
        "我正在学{skill}，已经学了{weeks}个星期。",
    ),
    (
        "这次{subject}考试，我得了{score}分。",
        "我最喜欢的课是{subject}。",
        "新同学对我都很好，我一点也不孤独。",
    ),
    ("{elder}常常给我做{dish}吃。", "这里的{dish}很有名，你来了我请你吃。"),
    ("你什么时候来看我？", "希望早日见到你。", "有空请给我写信。"),
    ("\n祝你身体健康！\n", "\n祝学习进步！\n", "\n此致\n敬礼！\n"),
    ("{by}\n{month}月{day}日", "你的朋友{by}\n{month}月{day}日"),
)
DIARY: tuple[Beat, ...] = (
    ("{month}月{day}日，{season}天，{weather}。", "今天是{month}月{day}日，{weather}。"),
    (
        "早上，我和{elder}去了{place}。",
        "一大早，{elder}就带我去{place}。",
        "我一个人去{place}散步。",
    ),
    ("那里有一棵很大的{tree}。", "路边的{flower}开了。", "我们看见一只{animal}。"),
    ("{to}也在那里，他正在学{skill}。", "我碰见了{to}，我们聊了很久。"),
    ("中午，我们吃了{dish}，味道很好。", "中午的{dish}是{elder}做的。"),
    ("下午，我复习了{subject}。", "下午老师发了{subject}卷子，我得了{score}分。"),
    (
        "晚上，我躺在床上，觉得这一天过得很快。",
        "今天真是难忘的一天。",
        "睡觉前，我把这些写了下来。",
    ),
)
NOTICE: tuple[Beat, ...] = (
    ("通知\n", "{where}通知\n", "公告\n"),
    ("{where}将于{date}{hour}在{place}举行{what}。", "定于{date}{hour}进行{what}，地点：{place}。"),
    ("活动预计{end}结束。", "结束时间为{end}。"),
    ("请参加的人带好{bring}。", "请大家准时到场，并带上{bring}。", "名额{count}人，报满为止。"),
    ("如有问题，请联系{who}，电话{phone}。", "联系人：{who}，{phone}。"),
    ("\n{where}", ""),
)
WEATHER: tuple[Beat, ...] = (
    ("{city}气象台今天发布天气预报。", "下面播送{city}的天气预报。", "各位听众，早上好。"),
    ("今天白天到夜间，{city}{sky}，{wind}。", "{city}今天{sky}，有{wind}。"),
    ("最低气温{low}摄氏度，最高气温{high}摄氏度。", "气温在{low}到{high}摄氏度之间。"),
    (
        "请大家注意增减衣物。",
        "出门请带好雨伞。",
        "适合户外活动。",
        "早晚温差较大，老人和孩子要注意保暖。",
    ),
)
NEWS: tuple[Beat, ...] = (
    (
        "{city}消息：{thing}于{month}月正式开放。",
        "经过{years}年建设，{city}{thing}在{month}月完工。",
    ),
    ("{job}{who}说：“我们等这一天等了{years}年。”", "市民{who}是一名{job}，他第一天就去参观了。"),
    ("据统计，去年到{city}旅游的人数为{before}万，今年已经达到{now}万，增加了{more}万。", ""),
    ("当地的{fruit}产量比去年增长了百分之{percent}。", "专家认为，这对{city}的发展很有好处。", ""),
    ("{other}也计划在明年修建同样的工程。", "记者了解到，二期工程将在明年开始。"),
)

PLOTS: dict[str, list[Plot]] = {
    "talk": [
        Plot(name="shop", cast=shop, beats=SHOP, between="\n", share=2),
        Plot(name="way", cast=way, beats=WAY, between="\n"),
        Plot(name="doctor", cast=doctor, beats=DOCTOR, between="\n"),
        Plot(name="meeting", cast=meeting, beats=MEETING, between="\n", share=2),
        Plot(name="restaurant", cast=restaurant, beats=RESTAURANT, between="\n"),
    ],
    "letter": [
        Plot(name="letter", cast=letter, beats=LETTER, share=2),
        Plot(name="diary", cast=letter, beats=DIARY, share=2),
        Plot(name="notice", cast=notice, beats=NOTICE),
    ],
    "news": [
        Plot(name="weather", cast=news, beats=WEATHER),
        Plot(name="news", cast=news, beats=NEWS, share=2),
    ],
}
