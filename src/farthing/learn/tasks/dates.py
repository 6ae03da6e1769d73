"""Days and hours: their forms, what comes after so many, how long it takes."""

from datetime import date, timedelta
from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, whole
from farthing.learn.tasks.types import Draw, Fields
from farthing.learn.tasks.words import names_en

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
