"""What stands in made-up records: people, money, dates, and how they are written."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from farthing.learn.tasks.words import names_en as en
from farthing.learn.tasks.words import names_zh as zh

T = TypeVar("T")
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DIGITS_ZH = "零一二三四五六七八九"


def pick(rng: Random, held: Sequence[T]) -> T:
    """Twice as fast as rng.choice, and the same on every version of Python."""
    return held[int(rng.random() * len(held))]


def several(rng: Random, held: Sequence[T], count: int) -> list[T]:
    """Different ones, for counts far below the size."""
    found: dict[int, T] = {}
    while len(found) < count:
        at = int(rng.random() * len(held))
        found[at] = held[at]
    return list(found.values())


def whole(rng: Random, low: int, high: int) -> int:
    """Both included."""
    return low + int(rng.random() * (high - low + 1))


def shuffled(rng: Random, held: Sequence[T]) -> list[T]:
    return sorted(held, key=lambda _: rng.random())


def subset(rng: Random, held: Sequence[T], least: int = 1) -> list[T]:
    """`least` or more of them; in their own order as often as not."""
    count = whole(rng, least, len(held))
    found = shuffled(rng, held)[:count]
    return found if rng.random() < 0.5 else sorted(found, key=held.index)


def digits(rng: Random, count: int) -> str:
    return str(whole(rng, 10 ** (count - 1), 10**count - 1))


def person_en(rng: Random) -> str:
    return f"{pick(rng, en.FIRST)} {pick(rng, en.SURNAMES)}"


def person_zh(rng: Random) -> str:
    return pick(rng, zh.SURNAMES) + pick(rng, zh.GIVEN)


def firm_en(rng: Random) -> str:
    return f"{pick(rng, en.FIRM_HEADS)} {pick(rng, en.FIRM_TAILS)}"


def firm_zh(rng: Random) -> str:
    return pick(rng, zh.FIRM_HEADS) + pick(rng, zh.FIRM_TAILS)


def phone_en(rng: Random) -> str:
    form = int(rng.random() * 4)
    if form == 0:
        return f"555-{digits(rng, 4)}"
    if form == 1:
        return f"({digits(rng, 3)}) 555-{digits(rng, 4)}"
    if form == 2:
        return f"{digits(rng, 3)}-555-{digits(rng, 4)}"
    return f"+44 20 {digits(rng, 4)} {digits(rng, 4)}"


def phone_zh(rng: Random) -> str:
    if rng.random() < 0.7:
        return f"1{pick(rng, '3578')}{digits(rng, 9)}"
    return f"0{whole(rng, 10, 99)}-{digits(rng, 8)}"


def email(rng: Random, first: str, last: str) -> str:
    first, last = first.lower(), last.lower()
    form = int(rng.random() * 4)
    name = (f"{first}.{last}", f"{first[0]}{last}", f"{first}{whole(rng, 1, 99)}", last)[form]
    return f"{name}@{pick(rng, en.DOMAINS)}"


def address_en(rng: Random) -> str:
    return f"{whole(rng, 1, 199)} {pick(rng, en.STREETS)} {pick(rng, en.ROADS)}"


def address_zh(rng: Random) -> str:
    return f"{pick(rng, zh.STREETS)}{whole(rng, 1, 299)}号"


def cents(rng: Random) -> int:
    """A price: whole, or with a part that shops like."""
    part = pick(rng, (0, 0, 0, 50, 99, 95, 25, 75))
    return whole(rng, 1, 120) * 100 + part


def dollars(amount: int) -> str:
    return f"${amount // 100}" if amount % 100 == 0 else f"${amount // 100}.{amount % 100:02}"


def units(amount: int) -> int | float:
    """Of cents, as JSON has them."""
    return amount // 100 if amount % 100 == 0 else amount / 100


def day(rng: Random) -> tuple[int, int, int]:
    year, month = whole(rng, 2015, 2030), whole(rng, 1, 12)
    return year, month, whole(rng, 1, MONTH_DAYS[month - 1])


def iso(date: tuple[int, int, int]) -> str:
    return f"{date[0]}-{date[1]:02}-{date[2]:02}"


def ordinal(number: int) -> str:
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def date_en(rng: Random, date: tuple[int, int, int]) -> str:
    year, month, number = date
    name, form = en.MONTHS[month - 1], int(rng.random() * 5)
    if form == 0:
        return f"{number} {name} {year}"
    if form == 1:
        return f"{name} {ordinal(number)}, {year}"
    if form == 2:
        return f"{iso(date)}"
    if form == 3:
        return f"{name[:3]} {number}, {year}"
    return f"{name} {number}, {year}"


def date_zh(rng: Random, date: tuple[int, int, int]) -> str:
    """Digits alone end in a space: a time may follow."""
    year, month, number = date
    form = int(rng.random() * 4)
    if form == 0:
        return f"{year}/{month}/{number} "
    if form == 1:
        return f"{iso(date)} "
    return f"{year}年{month}月{number}日"


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def time_en(rng: Random, minutes: int) -> str:
    """Of a time by day."""
    hour, rest = divmod(minutes, 60)
    if rng.random() < 0.4:
        return clock(minutes)
    half = "am" if hour < 12 else "pm"
    hour = (hour - 1) % 12 + 1
    return f"{hour} {half}" if rest == 0 else f"{hour}:{rest:02} {half}"


def half_day_zh(hour: int) -> str:
    if hour < 6:
        return "凌晨"
    if hour < 12:
        return "上午"
    return "下午" if hour < 18 else "晚上"


def time_zh(rng: Random, minutes: int) -> str:
    hour, rest = divmod(minutes, 60)
    if rng.random() < 0.4:
        return clock(minutes)
    shown = "半" if rest == 30 and rng.random() < 0.5 else f"{rest}分" if rest else ""
    return f"{half_day_zh(hour)}{(hour - 1) % 12 + 1}点{shown}"


def quarters(rng: Random) -> int:
    """Minutes since midnight of a time when things begin."""
    return whole(rng, 8, 21) * 60 + pick(rng, (0, 0, 30, 15, 45, 20, 10))


def number_zh(value: int) -> str:
    """0..9999 as it is read: 三百二十一."""
    if value == 0:
        return "零"
    found, gap = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // unit % 10
        if digit:
            found += ("零" if gap and found else "") + DIGITS_ZH[digit] + name
        gap = digit == 0
    return found[1:] if found.startswith("一十") else found


def count_zh(value: int) -> str:
    """As number_zh, before a measure word: 两 for 2."""
    return "两" if value == 2 else number_zh(value)
