"""Facts of a short Chinese text as JSON. What is not there is null."""

import json
from functools import partial
from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.extract_en import Made, asked
from farthing.learn.tasks.fields import pick, whole
from farthing.learn.tasks.types import Family, Fields, crossed
from farthing.learn.tasks.words import names_zh as names
from farthing.learn.tasks.words import things_zh as things
from farthing.learn.tasks.words import words

ASK = (
    "从下面的文字中提取{keys}，用JSON回答。\n\n{text}",
    "{text}\n\n把上文中的{keys}写成JSON。",
    "提取{keys}（JSON格式）：{text}",
    "请把{keys}整理成JSON：\n{text}",
    "文本：{text}\n字段：{keys}\nJSON：",
    "阅读下文，输出包含{keys}的JSON。\n{text}",
    "{text}\n请用JSON写出{keys}。",
    "下面这段话里的{keys}是什么？用JSON回答，没有的写null。\n{text}",
    "信息抽取。字段：{keys}。\n{text}",
    "把这段话转成JSON，键为{keys}。\n\n{text}",
    "找出{keys}，只输出JSON。\n{text}",
    "根据“{text}”填写{keys}，用JSON格式。",
    "{text}\n\n提取：{keys}\n格式：JSON",
)
HELD = (
    "请从下文提取{keys}，输出JSON。\n\n{text}",
    "{text}\n\n用JSON格式写出上文的{keys}。",
    "把下面文字中的{keys}写成JSON。\n{text}",
)


def listed(rng: Random, keys: list[str]) -> str:
    if len(keys) == 1 or rng.random() < 0.7:
        return "、".join(keys)
    return f"{'、'.join(keys[:-1])}和{keys[-1]}"


def contact(rng: Random) -> Made:
    values: dict[str, object] = {
        "姓名": f.person_zh(rng),
        "电话": f.phone_zh(rng),
        "城市": pick(rng, names.CITIES),
        "地址": f.address_zh(rng),
    }
    return {}, values


def staff(rng: Random) -> Made:
    values: dict[str, object] = {
        "姓名": f.person_zh(rng),
        "年龄": whole(rng, 18, 79),
        "职业": pick(rng, things.KINDS["职业"]),
        "单位": f.firm_zh(rng),
        "城市": pick(rng, names.CITIES),
    }
    return {}, values


def event(rng: Random) -> Made:
    date, minutes = f.day(rng), f.quarters(rng)
    values: dict[str, object] = {
        "活动": pick(rng, TOPICS) + pick(rng, MEETINGS),
        "日期": f.iso(date),
        "时间": f.clock(minutes),
        "地点": pick(rng, ROOMS),
    }
    return {"day": f.date_zh(rng, date), "hour": f.time_zh(rng, minutes)}, values


def invoice(rng: Random) -> Made:
    date, amount = f.day(rng), f.cents(rng) * whole(rng, 1, 9)
    values: dict[str, object] = {
        "编号": f"{pick(rng, ('FP', 'A', 'NO', 'B', 'ZD', 'K'))}{whole(rng, 1000, 999999)}",
        "商家": f.firm_zh(rng),
        "客户": f.person_zh(rng),
        "日期": f.iso(date),
        "金额": f.units(amount),
    }
    return {"day": f.date_zh(rng, date), "sum": f"{f.units(amount)}元"}, values


def order(rng: Random) -> tuple[Fields, str]:
    lines, told = [], []
    for word, product in f.several(rng, things.PRODUCTS, whole(rng, 1, 3)):
        count, price = whole(rng, 1, 20), whole(rng, 2, 400)
        lines.append({"商品": product, "数量": count, "单价": price})
        told.append(f"{count}{word}{product}，每{word}{price}元")
    name = f.person_zh(rng)
    answer = json.dumps({"客户": name, "商品": lines}, ensure_ascii=False)
    return {"客户": name, "lines": "；".join(told)}, answer


def trip(rng: Random) -> Made:
    date, minutes = f.day(rng), f.quarters(rng)
    start, end = f.several(rng, names.CITIES, 2)
    by, letter = pick(rng, (("高铁", "G"), ("火车", "K"), ("航班", "CA"), ("动车", "D")))
    values: dict[str, object] = {
        "乘客": f.person_zh(rng),
        "出发地": start,
        "目的地": end,
        "日期": f.iso(date),
        "时间": f.clock(minutes),
        "班次": f"{letter}{whole(rng, 10, 9999)}",
    }
    return {"day": f.date_zh(rng, date), "hour": f.time_zh(rng, minutes), "by": by}, values


TOPICS = words("""
春季 秋季 新年 读书 摄影 书法 音乐 美食 科技 安全 消防 健康 环保 英语 数学 历史 舞蹈 篮球 茶艺
绘画 亲子 校友 产品 销售 年度 部门 项目 青年 社区 电影 诗歌 编程 就业 招生 团建
""")
MEETINGS = words("""
讲座 会议 比赛 晚会 展览 培训 讨论会 分享会 音乐会 招聘会 座谈会 典礼 聚会 交流会 运动会
""")
ROOMS = [
    *(f"{number}会议室" for number in range(101, 120)),
    *("市图书馆", "大礼堂", "体育馆", "人民公园", "科技馆", "博物馆", "文化宫", "教学楼", "报告厅"),
    *(
        "会展中心",
        "少年宫",
        "社区中心",
        "第一小学",
        "师范大学",
        "实验中学",
        "音乐厅",
        "大剧院",
        "食堂",
    ),
    *(f"{name}酒店" for name in names.FIRM_HEADS[:20]),
]

_family = partial(Family, kind="extract", language="zh")
_LINES = (
    "把订单写成JSON，包含客户和商品（商品、数量、单价）。\n\n{text}",
    "{text}\n\n提取客户和商品，用JSON回答。",
    "订单：{text}\n请输出JSON，字段为客户、商品（商品、数量、单价）。",
    "从下面的订单中提取客户和商品清单，写成JSON。\n{text}",
    "{text}\n请把这份订单整理成JSON。",
    "整理订单（JSON）：{text}",
    "阅读订单，输出包含客户和商品的JSON。\n{text}",
)

FAMILIES: list[Family] = [
    _family(
        name="contact",
        draw=asked(contact, ("传真", "年龄", "公司", "生日"), listed),
        train=crossed(
            ASK,
            (
                "您好，我是{姓名}，住在{城市}{地址}，电话是{电话}。",
                "请把包裹寄到{城市}{地址}，收件人{姓名}，电话{电话}。",
                "{姓名}的手机号是{电话}，家住{城市}{地址}。",
                "联系人：{姓名}；电话：{电话}；城市：{城市}；地址：{地址}",
                "新客户{姓名}来自{城市}，地址是{地址}，可以打{电话}联系。",
                "如果{地址}没人，请拨打{电话}找{姓名}（{城市}）。",
                "我搬到{城市}了，新家在{地址}，电话换成{电话}。{姓名}",
                "昨天在{城市}认识了{姓名}，名片上写着{地址}，电话{电话}。",
                "{电话}是{姓名}的电话，{姓名}在{城市}工作，办公室在{地址}。",
                "会员登记：{姓名}，{城市}，{地址}，{电话}。",
                "快递员你好，{姓名}不在{城市}，先放到{地址}，再打{电话}。",
            ),
        ),
        test=crossed(
            HELD,
            (
                "我叫{姓名}，电话{电话}，现在住在{城市}，地址是{地址}。",
                "{城市}的{姓名}打来电话，号码是{电话}，地址为{地址}。",
                "收件人{姓名}，{城市}{地址}，手机号{电话}。",
            ),
        ),
        share=3,
    ),
    _family(
        name="staff",
        draw=asked(staff, ("电话", "邮箱", "工资", "学历"), listed),
        train=crossed(
            ASK,
            (
                "{姓名}今年{年龄}岁，是{城市}{单位}的{职业}。",
                "我叫{姓名}，{年龄}岁，在{城市}的{单位}当{职业}。",
                "{单位}新来了一位{职业}，名叫{姓名}，{年龄}岁，家在{城市}。",
                "{城市}人{姓名}是一名{职业}，今年{年龄}岁，在{单位}上班。",
                "简历：{姓名}，{年龄}岁，{职业}，{单位}，{城市}",
                "{年龄}岁的{职业}{姓名}住在{城市}，工作单位是{单位}。",
                "在{城市}，大家都认识{单位}的{职业}{姓名}，他已经{年龄}岁了。",
                "{姓名}（{年龄}岁）去年离开{城市}，现在仍是{单位}的{职业}。",
                "姓名{姓名}，年龄{年龄}，职业{职业}，单位{单位}，城市{城市}。",
                "听说{姓名}在{单位}做{职业}。他今年{年龄}岁，住{城市}。",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{姓名}是一名{职业}，{年龄}岁，住在{城市}，在{单位}工作。",
                "{单位}的{职业}{姓名}今年{年龄}岁，他是{城市}人。",
            ),
        ),
        share=2,
    ),
    _family(
        name="event",
        draw=asked(event, ("票价", "主持人", "电话", "人数"), listed),
        train=crossed(
            ASK,
            (
                "{活动}将于{day}{hour}在{地点}举行。",
                "通知：{day}{hour}，{地点}，{活动}，请准时参加。",
                "欢迎参加{day}的{活动}，地点在{地点}，{hour}开始。",
                "{地点}将在{day}举办{活动}，开始时间是{hour}。",
                "提醒大家，{活动}改到{day}{hour}，地点为{地点}。",
                "活动：{活动}\n时间：{day} {hour}\n地点：{地点}",
                "{day}{hour}我们在{地点}见，一起参加{活动}。",
                "别忘了{hour}到{地点}参加{活动}，日期是{day}。",
                "我们订好了{地点}，{day}{hour}办{活动}。",
                "原定上周的{活动}推迟到{day}，{hour}在{地点}开始。",
                "你{day}有空吗？{地点}有一场{活动}，{hour}开始。",
            ),
        ),
        test=crossed(
            HELD,
            (
                "请大家{day}{hour}到{地点}参加{活动}。",
                "{活动}的地点是{地点}，时间是{day}{hour}。",
                "{day}，{地点}有{活动}，{hour}开始，欢迎参加。",
            ),
        ),
        share=3,
    ),
    _family(
        name="invoice",
        draw=asked(invoice, ("税率", "电话", "折扣", "地址"), listed),
        train=crossed(
            ASK,
            (
                "{商家}于{day}给{客户}开具发票，编号{编号}，金额{sum}。",
                "发票{编号}：客户{客户}，商家{商家}，日期{day}，合计{sum}。",
                "尊敬的{客户}，您在{商家}的账单{编号}共{sum}，日期为{day}。",
                "{day}，{客户}向{商家}支付了{sum}，发票编号为{编号}。",
                "{商家}\n发票号：{编号}\n开票日期：{day}\n客户：{客户}\n金额：{sum}",
                "{客户}收到{商家}的账单，编号{编号}，{day}开出，需付{sum}。",
                "收据{编号}：{day}收到{客户}{sum}。{商家}",
                "{商家}的发票{编号}金额为{sum}，客户是{客户}，日期{day}。",
                "请{客户}尽快支付{sum}，账单号{编号}，{商家}，{day}。",
                "这张{day}的发票（{编号}）是{商家}开给{客户}的，一共{sum}。",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{客户}在{商家}消费{sum}，发票编号{编号}，日期{day}。",
                "{day}，{商家}开给{客户}一张{sum}的发票，编号是{编号}。",
            ),
        ),
        share=3,
    ),
    _family(
        name="order",
        draw=order,
        train=crossed(
            _LINES,
            (
                "{客户}订购{lines}。",
                "我是{客户}，想买{lines}。",
                "{客户}的订单：{lines}。",
                "请给{客户}发货：{lines}。",
                "今天{客户}在店里买了{lines}。",
                "客户{客户}来电，需要{lines}。",
                "{客户}的购物车里有{lines}。",
                "已卖给{客户}：{lines}。",
            ),
        ),
        test=crossed(
            (
                "提取订单中的客户和商品（商品、数量、单价），输出JSON。\n{text}",
                "{text}\n\n把这份订单写成JSON。",
            ),
            ("{客户}要买{lines}。", "客户{客户}今天订购{lines}。", "请给{客户}准备{lines}。"),
        ),
        share=3,
    ),
    _family(
        name="trip",
        draw=asked(trip, ("票价", "座位", "车厢", "电话"), listed),
        train=crossed(
            ASK,
            (
                "{乘客}乘坐{day}{hour}的{by}{班次}从{出发地}到{目的地}。",
                "车票信息：{乘客}，{by}{班次}，{出发地}到{目的地}，{day} {hour}。",
                "尊敬的{乘客}，您的{by}{班次}将于{day}{hour}从{出发地}出发，前往{目的地}。",
                "{day}，{乘客}要去{目的地}，{hour}从{出发地}坐{by}{班次}。",
                "{乘客}订了{by}{班次}，{出发地}出发，{目的地}到达，时间{day}{hour}。",
                "{by}{班次}：{出发地}——{目的地}，{day}，{hour}开，乘客{乘客}。",
                "提醒{乘客}：{day}{hour}在{出发地}上{by}{班次}，终点{目的地}。",
                "从{出发地}去{目的地}的{by}{班次}{hour}出发，日期{day}，乘客是{乘客}。",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{day}{hour}，{乘客}从{出发地}坐{by}{班次}去{目的地}。",
                "{乘客}的{by}{班次}在{day}{hour}从{出发地}开往{目的地}。",
            ),
        ),
        share=2,
    ),
]
