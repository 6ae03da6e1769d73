"""Questions of days and hours, in Chinese."""

from functools import partial

from farthing.learn.tasks.dates import (
    between,
    clock_after,
    days_in,
    later,
    leap,
    spoken_zh,
    to_24_zh,
    took,
    weekday,
    written_zh,
)
from farthing.learn.tasks.types import Family
from farthing.learn.tasks.words import names_zh

_family = partial(Family, kind="dates", language="zh")

FAMILIES: list[Family] = [
    _family(
        name="written",
        draw=written_zh,
        train=(
            "把{date}写成YYYY-MM-DD的格式。",
            "{date}用数字格式怎么写？（年-月-日）",
            "将日期{date}转换为YYYY-MM-DD。",
            "日期格式转换：{date}",
            "{date}\n请写成标准日期格式。",
            "请把{date}改写成数字日期。",
        ),
        test=("请将{date}写成YYYY-MM-DD。", "{date}\n转换成数字日期格式。"),
        share=3,
    ),
    _family(
        name="spoken",
        draw=spoken_zh,
        train=(
            "把{date}写成几年几月几日。",
            "{date}用中文怎么写？",
            "将{date}转换为“年月日”的形式。",
            "{date}\n请用年、月、日表示。",
            "用中文日期格式写出{date}。",
        ),
        test=("请把{date}写成年月日的形式。", "{date}\n用中文写出这个日期。"),
        share=2,
    ),
    _family(
        name="after",
        draw=weekday(names_zh.DAYS, 1),
        train=(
            "今天是{day}，{count}天后是星期几？",
            "如果今天是{day}，再过{count}天是星期几？",
            "{day}之后的第{count}天是星期几？",
            "从{day}往后数{count}天，是星期几？",
            "现在是{day}，{count}天以后呢？",
        ),
        test=("{day}再过{count}天是星期几？", "今天{day}，往后{count}天是星期几？"),
        share=2,
    ),
    _family(
        name="before",
        draw=weekday(names_zh.DAYS, -1),
        train=(
            "今天是{day}，{count}天前是星期几？",
            "{day}之前的第{count}天是星期几？",
            "从{day}往前数{count}天，是星期几？",
            "现在是{day}，{count}天以前呢？",
        ),
        test=("今天{day}，往前{count}天是星期几？",),
    ),
    _family(
        name="later",
        draw=later,
        train=(
            "{date}之后{count}天是哪一天？",
            "{date}加上{count}天是几号？",
            "包裹{date}寄出，{count}天后到，哪天到？",
            "从{date}起再过{count}天是什么日期？",
            "日期计算：{date}+{count}天",
        ),
        test=("{date}再过{count}天是哪一天？", "求{date}之后{count}天的日期。"),
        share=2,
    ),
    _family(
        name="between",
        draw=between,
        train=(
            "从{date}到{end}有多少天？",
            "{date}和{end}相差几天？",
            "计算{date}到{end}的天数。",
            "活动{date}开始，{end}结束，中间隔了多少天？",
        ),
        test=("{date}与{end}之间相差多少天？",),
        share=2,
    ),
    _family(
        name="to-24",
        draw=to_24_zh,
        train=(
            "把{time}写成24小时制。",
            "{time}用24小时制怎么表示？",
            "将{time}转换成24小时制时间。",
            "24小时制：{time}",
            "{time}是几点几分？用数字时间写（如15:20）。",
        ),
        test=("用24小时制写出{time}。", "{time}\n转换为24小时制。"),
        share=2,
    ),
    _family(
        name="clock",
        draw=clock_after,
        train=(
            "现在是{time}，{minutes}分钟后是几点？",
            "电影{time}开始，放{minutes}分钟，几点结束？",
            "{time}加{minutes}分钟是几点？",
            "{time}出发，路上用了{minutes}分钟，几点到达？",
            "从{time}起再过{minutes}分钟是什么时间？",
        ),
        test=("{time}再过{minutes}分钟是几点？", "一节课{time}开始，上{minutes}分钟，几点下课？"),
        share=3,
    ),
    _family(
        name="took",
        draw=took,
        train=(
            "从{time}到{end}有多少分钟？",
            "{time}开始，{end}结束，一共多少分钟？",
            "火车{time}开出，{end}到站，走了多少分钟？",
            "{time}和{end}之间隔了几分钟？",
        ),
        test=("从{time}到{end}经过了多少分钟？", "电影{time}开始，{end}结束，放了多少分钟？"),
        share=3,
    ),
    _family(
        name="leap",
        draw=leap("是", "不是"),
        train=(
            "{year}年是闰年吗？回答“是”或“不是”。",
            "判断{year}年是不是闰年。",
            "{year}年的二月有29天吗？回答“是”或“不是”。",
        ),
        test=("请判断{year}年是否为闰年，回答“是”或“不是”。",),
    ),
    _family(
        name="days-in",
        draw=days_in([f"{number}月" for number in range(1, 13)]),
        train=("{month}有多少天？", "{month}份共有几天？", "请问{month}有几天？"),
        test=("{month}一共有多少天？",),
    ),
]
