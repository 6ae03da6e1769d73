"""Days and hours: their forms, what comes after so many, how long it takes."""

from datetime import date, timedelta
from functools import partial
from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, whole
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import names_en, names_zh

ZH_DIGITS = "〇一二三四五六七八九"


def written_en(rng: Random) -> tuple[Fields, str]:
    day = f.day(rng)
    shown = f.date_en(rng, day)
    while shown == f.iso(day):
        shown = f.date_en(rng, day)
    return {"date": shown}, f.iso(day)


def spoken_en(rng: Random) -> tuple[Fields, str]:
    year, month, day = f.day(rng)
    return {"date": f.iso((year, month, day))}, f"{names_en.MONTHS[month - 1]} {day}, {year}"


def written_zh(rng: Random) -> tuple[Fields, str]:
    year, month, day = f.day(rng)
    shown = f"{year}年{month}月{day}日"
    if rng.random() < 0.4:
        digits = "".join(ZH_DIGITS[int(digit)] for digit in str(year))
        shown = f"{digits}年{f.number_zh(month)}月{f.number_zh(day)}日"
    return {"date": shown}, f.iso((year, month, day))


def spoken_zh(rng: Random) -> tuple[Fields, str]:
    year, month, day = f.day(rng)
    return {"date": f.iso((year, month, day))}, f"{year}年{month}月{day}日"


def weekday(names: list[str], sign: int) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        at, days = whole(rng, 0, 6), whole(rng, 1, 20)
        return {"day": names[at], "count": days}, names[(at + sign * days) % 7]

    return draw


def later(rng: Random) -> tuple[Fields, str]:
    day, days = date(*f.day(rng)), whole(rng, 1, 30)
    return {"date": day.isoformat(), "count": days}, (day + timedelta(days)).isoformat()


def between(rng: Random) -> tuple[Fields, str]:
    """Days from one date to another of the same month or the next."""
    day, days = date(*f.day(rng)), whole(rng, 1, 40)
    return {"date": day.isoformat(), "end": (day + timedelta(days)).isoformat()}, str(days)


def to_24(rng: Random) -> tuple[Fields, str]:
    minutes = whole(rng, 0, 23) * 60 + pick(rng, (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55))
    hour, rest = divmod(minutes, 60)
    half = "am" if hour < 12 else "pm"
    return {"time": f"{(hour - 1) % 12 + 1}:{rest:02} {half}"}, f.clock(minutes)


def to_12(rng: Random) -> tuple[Fields, str]:
    shown, answer = to_24(rng)
    return {"time": answer}, str(shown["time"])


def to_24_zh(rng: Random) -> tuple[Fields, str]:
    hour, rest = whole(rng, 1, 22), pick(rng, (0, 5, 10, 15, 20, 25, 30, 40, 45, 50, 55))
    shown = f"{rest}分" if rest else ""
    return {"time": f"{f.half_day_zh(hour)}{(hour - 1) % 12 + 1}点{shown}"}, f.clock(
        60 * hour + rest
    )


def clock_after(rng: Random) -> tuple[Fields, str]:
    start, minutes = whole(rng, 0, 287) * 5, whole(rng, 1, 36) * 5
    shown = {"time": f.clock(start), "minutes": minutes}
    return shown, f.clock((start + minutes) % 1440)


def took(rng: Random) -> tuple[Fields, str]:
    start, minutes = whole(rng, 72, 220) * 5, whole(rng, 1, 36) * 5
    return {"time": f.clock(start), "end": f.clock(start + minutes)}, str(minutes)


def leap(yes: str, no: str) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        year = pick(rng, (1900, 2000, 2100, 1600, 1800)) if rng.random() < 0.2 else 0
        year = year or whole(rng, 1900, 2099)
        is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return {"year": year}, yes if is_leap else no

    return draw


def days_in(names: list[str]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        month = whole(rng, 0, 11)
        if month == 1:
            month = whole(rng, 2, 11)
        return {"month": names[month]}, str(f.MONTH_DAYS[month])

    return draw


_en = partial(Family, kind="dates", language="en")
_zh = partial(Family, kind="dates", language="zh")

FAMILIES: list[Family] = [
    _en(
        name="written",
        draw=written_en,
        train=(
            "Write {date} as YYYY-MM-DD.",
            "Convert {date} to the form YYYY-MM-DD.",
            "{date}\nGive this date as YYYY-MM-DD.",
            "What is {date} in ISO format?",
            "Change the date {date} to year-month-day.",
            "ISO date for {date}:",
            "Format as YYYY-MM-DD: {date}",
            "Normalize this date: {date} (YYYY-MM-DD)",
        ),
        test=("Give {date} in the form YYYY-MM-DD.", "{date}\nWrite this date in ISO format."),
        share=3,
    ),
    _en(
        name="spoken",
        draw=spoken_en,
        train=(
            "Write {date} with the name of the month.",
            "Spell out the date {date}.",
            "{date}\nWrite this date in words, like May 4, 2020.",
            "How do you write {date} in a letter?",
            "Convert {date} to the form Month day, year.",
        ),
        test=("Write the date {date} like May 4, 2020.", "{date}\nSpell out this date."),
        share=2,
    ),
    _en(
        name="after",
        draw=weekday(names_en.DAYS, 1),
        train=(
            "Today is {day}. What day is it in {count} days?",
            "If today is {day}, which day of the week comes {count} days later?",
            "What weekday is {count} days after {day}?",
            "It is {day}. {count} days from now it will be",
            "Count {count} days on from {day}. Which day is it?",
            "Starting on {day}, wait {count} days. What day is it then?",
        ),
        test=(
            "Which day of the week is {count} days after {day}?",
            "Today is {day}. Which day is it {count} days later?",
        ),
        share=2,
    ),
    _en(
        name="before",
        draw=weekday(names_en.DAYS, -1),
        train=(
            "Today is {day}. What day was it {count} days ago?",
            "What weekday was {count} days before {day}?",
            "It is {day}. Which day of the week was it {count} days earlier?",
            "Count {count} days back from {day}. Which day is it?",
            "Go back {count} days from {day}. What day is that?",
        ),
        test=("Which day of the week was {count} days before {day}?",),
    ),
    _en(
        name="later",
        draw=later,
        train=(
            "What is the date {count} days after {date}?",
            "Add {count} days to {date}.",
            "{date} plus {count} days is",
            "A parcel sent on {date} takes {count} days. On what date does it arrive?",
            "Which date comes {count} days after {date}?",
            "Start: {date}. Length: {count} days. End:",
        ),
        test=("Which date is {count} days after {date}?", "Take {date} and add {count} days."),
        share=2,
    ),
    _en(
        name="between",
        draw=between,
        train=(
            "How many days are there from {date} to {end}?",
            "Count the days between {date} and {end}.",
            "{date} to {end}: how many days?",
            "A trip begins on {date} and ends on {end}. How many days later is that?",
            "Days from {date} until {end}:",
        ),
        test=("How many days lie between {date} and {end}?",),
        share=2,
    ),
    _en(
        name="to-24",
        draw=to_24,
        train=(
            "Write {time} in 24-hour time.",
            "Convert {time} to the 24-hour clock.",
            "What is {time} on a 24-hour clock?",
            "{time} in 24-hour format:",
            "Change {time} to 24-hour form.",
            "{time}\nGive this time as HH:MM, 24 hours.",
        ),
        test=("Give {time} on the 24-hour clock.", "{time}\nConvert to 24-hour format."),
        share=2,
    ),
    _en(
        name="to-12",
        draw=to_12,
        train=(
            "Write {time} with am or pm.",
            "Convert {time} to the 12-hour clock.",
            "What is {time} on a 12-hour clock?",
            "{time} in 12-hour format:",
            "Change {time} to am/pm form.",
        ),
        test=("Give {time} on the 12-hour clock.", "{time}\nConvert to 12-hour format."),
        share=2,
    ),
    _en(
        name="clock",
        draw=clock_after,
        train=(
            "It is {time}. What time is it in {minutes} minutes?",
            "What time is it {minutes} minutes after {time}?",
            "A film starts at {time} and lasts {minutes} minutes. When does it end?",
            "Add {minutes} minutes to {time}.",
            "The bus leaves at {time} and drives for {minutes} minutes. When does it arrive?",
            "{time} plus {minutes} minutes is",
        ),
        test=(
            "A lesson begins at {time} and takes {minutes} minutes. When does it end?",
            "What is the time {minutes} minutes after {time}?",
        ),
        share=3,
    ),
    _en(
        name="took",
        draw=took,
        train=(
            "How many minutes are there from {time} to {end}?",
            "A class begins at {time} and ends at {end}. How many minutes is that?",
            "From {time} until {end}: how many minutes?",
            "The train left at {time} and arrived at {end}. How many minutes did it take?",
            "Minutes between {time} and {end}:",
        ),
        test=(
            "How many minutes pass from {time} to {end}?",
            "The film began at {time} and ended at {end}. How many minutes was it?",
        ),
        share=3,
    ),
    _en(
        name="leap",
        draw=leap("yes", "no"),
        train=(
            "Is {year} a leap year? Answer yes or no.",
            "Was or will {year} be a leap year? yes or no",
            "Leap year: {year}? (yes/no)",
            "Does February {year} have 29 days? Answer yes or no.",
        ),
        test=("Is the year {year} a leap year? (yes/no)",),
    ),
    _en(
        name="days-in",
        draw=days_in(names_en.MONTHS),
        train=(
            "How many days does {month} have?",
            "How many days are there in {month}?",
            "Number of days in {month}:",
        ),
        test=("How many days are in {month}?",),
    ),
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
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
    _zh(
        name="leap",
        draw=leap("是", "不是"),
        train=(
            "{year}年是闰年吗？回答“是”或“不是”。",
            "判断{year}年是不是闰年。",
            "{year}年的二月有29天吗？回答“是”或“不是”。",
        ),
        test=("请判断{year}年是否为闰年，回答“是”或“不是”。",),
    ),
    _zh(
        name="days-in",
        draw=days_in([f"{number}月" for number in range(1, 13)]),
        train=("{month}有多少天？", "{month}份共有几天？", "请问{month}有几天？"),
        test=("{month}一共有多少天？",),
    ),
]
