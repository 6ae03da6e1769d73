"""Answers of generated tasks, worked out again from the question alone."""

import json
import operator
import re
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from farthing.learn.tasks import LANGUAGES, Sample, samples
from farthing.learn.tasks.fields import DIGITS_ZH, number_zh
from farthing.learn.tasks.words.things_en import plural

SIGNS = {
    r"\+|plus|加": operator.add,
    r"-|minus|减": operator.sub,
    r"×|\*|times|乘以": operator.mul,
    r"÷|/|divided by|除以": operator.floordiv,
}
UNITS = {"千": 1000, "百": 100, "十": 10}


def asked(kind: str, *names: str, count: int = 6000) -> Iterator[tuple[Sample, list[int]]]:
    """Samples of families that begin so, and the numbers of their questions."""
    for split in ("train", "test"):
        for one in samples((kind,), LANGUAGES, count, 11, "train" if split == "train" else "test"):
            if one.template.split("/")[2].startswith(names):
                yield one, list(map(int, re.findall(r"\d+", one.prompt)))


def test_sums_are_right():
    seen = 0
    for one, numbers in asked("arithmetic", "add-", "take-", "times", "divided"):
        body = one.prompt.replace("Answer with the number only.", "").split("Step by step:")[-1]
        signs = [do for sign, do in SIGNS.items() if re.search(rf"\d ?({sign}) ?\d", body)]
        do = signs[0] if signs else operator.add
        a, b = numbers
        assert int(re.findall(r"\d+", one.answer)[-1]) == do(a, b), one
        seen += 1
    assert seen > 4000


def test_every_step_of_an_answer_is_true():
    seen = 0
    for kind in ("arithmetic", "problems"):
        for one, _ in asked(kind, ""):
            for left, right in re.findall(r"([\d+×-]+)=(\d+)", one.answer):
                total = 0
                for sign, factors in re.findall(r"([+-]?)(\d+(?:×\d+)*)", left):
                    product = 1
                    for factor in factors.split("×"):
                        product *= int(factor)
                    total += -product if sign == "-" else product
                assert total == int(right), one
                seen += 1
    assert seen > 5000


def test_written_columns_give_the_sum():
    """The last column's total, then the others' last digits, from the left."""
    for one, (a, b) in asked("arithmetic", "add-steps"):
        totals = [total for _, total in re.findall(r"([\d+]+)=(\d+)", one.answer)]
        assert totals[-1] + "".join(total[-1] for total in totals[-2::-1]) == str(a + b), one


def test_rows_are_in_order():
    for name, reverse in (("up", False), ("down", True)):
        for one, _ in asked("sort", name):
            row = re.sub(r"Here are \d+|这\d+个", "", one.prompt)
            ordered = sorted(map(int, re.findall(r"\d+", row)), reverse=reverse)
            assert list(map(int, re.findall(r"\d+", one.answer))) == ordered
    for one, numbers in asked("sort", "largest"):
        assert int(one.answer) == max(numbers)
    for one, _ in asked("sort", "alphabet"):
        words = one.answer.split(", ")
        assert words == sorted(words) and all(word in one.prompt for word in words)


def test_days_between_and_after_are_the_calendars():
    seen = 0
    for one, _ in asked("dates", "later", "between"):
        days = [date.fromisoformat(day) for day in re.findall(r"\d{4}-\d\d-\d\d", one.prompt)]
        if len(days) == 2:
            assert int(one.answer) == (days[1] - days[0]).days
        else:
            count = int(re.findall(r"(?<![\d-])\d+(?![\d-])", one.prompt)[0])
            assert date.fromisoformat(one.answer) == days[0] + timedelta(count), one
        seen += 1
    assert seen > 500


def test_minutes_between_two_times_are_the_clocks():
    for one, _ in asked("dates", "took", "clock"):
        times = [60 * int(h) + int(m) for h, m in re.findall(r"(\d\d):(\d\d)", one.prompt)]
        if len(times) == 2:
            assert int(one.answer) == times[1] - times[0]
        else:
            after = int(re.findall(r"(?<![\d:])\d+(?![\d:])", one.prompt)[0])
            hour, minute = divmod((times[0] + after) % 1440, 60)
            assert one.answer == f"{hour:02}:{minute:02}", one


def test_what_is_extracted_stands_in_the_text():
    """Figures and names as they are; dates and times by their parts."""
    for one, numbers in asked("extract", ""):
        found = json.loads(one.answer)
        rows = [value for value in found.values() if isinstance(value, list)]
        values = [value for value in found.values() if not isinstance(value, list)]
        values += [value for row in rows for item in row for value in item.values()]
        for value in values:
            if isinstance(value, int):
                assert value in numbers, one
            elif isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d|\d\d:\d\d", value):
                assert value in one.prompt or plural(value) in one.prompt, one
            elif isinstance(value, str) and "-" in value:
                assert {int(value[:4]), int(value[8:])} <= set(numbers) or value in one.prompt, one


def test_what_is_missing_is_null_and_all_else_is_asked_for():
    nulls = 0
    for one, _ in asked("extract", "contact", "event", "staff", "invoice", "trip"):
        found = json.loads(one.answer)
        assert len(found) >= 2 and all(key in one.prompt for key in found)
        nulls += None in found.values()
    assert nulls > 100


@pytest.mark.parametrize(
    "value", [0, 1, 9, 10, 11, 20, 21, 99, 100, 101, 110, 111, 305, 1000, 1001]
)
def test_a_chinese_number_is_read_back(value: int):
    total = digit = 0
    for sign in number_zh(value):
        if sign in UNITS:
            total += (digit or 1) * UNITS[sign]
            digit = 0
        else:
            digit = DIGITS_ZH.index(sign)
    assert total + digit == value


def test_known_readings_of_chinese_numbers():
    told = {10: "十", 12: "十二", 20: "二十", 105: "一百零五", 110: "一百一十"}
    told |= {1010: "一千零一十", 9999: "九千九百九十九", 300: "三百"}
    told[2005] = "二千零五"
    assert {value: number_zh(value) for value in told} == told
