"""Sums of whole numbers, bare or step by step; digits are written so that steps follow them."""

from random import Random

from farthing.learn.tasks.types import Draw, Family, Fields, crossed

ASK_EN = (
    "What is {text}?",
    "Calculate {text}.",
    "{text} =",
    "Compute: {text}",
    "Work out {text}.",
    "How much is {text}?",
    "Solve: {text} = ?",
    "Find the value of {text}.",
    "Evaluate {text}.",
    "{text} = ?\nAnswer with the number only.",
    "Give only the result: {text}",
    "Please calculate {text} and reply with a number.",
    "I need the result of {text}.",
    "Tell me what {text} is.",
)
HELD_EN = (
    "Can you work out {text}?",
    "Find {text} and answer with the number only.",
    "What is the result of {text}?",
    "Please compute {text}.",
)
ASK_ZH = (
    "{text}等于多少？",
    "计算：{text}",
    "{text}=",
    "请计算{text}。",
    "{text}的结果是多少？",
    "算一算：{text}=？",
    "求{text}的值。",
    "请问{text}是多少？",
    "只写结果：{text}",
    "口算：{text}",
    "帮我算一下{text}。",
    "{text}=？只回答数字。",
)
HELD_ZH = (
    "请算出{text}。",
    "{text}是多少？只写数字。",
    "计算{text}的结果。",
)
STEPS_EN = (
    "Calculate {text} step by step.",
    "Work out {text}. Show each step.",
    "What is {text}? Show the steps.",
    "Solve {text} and write down every step.",
    "Show how to compute {text}.",
    "Step by step: {text}",
    "{text} = ? Write the steps.",
)
HELD_STEPS_EN = ("Compute {text}, showing each step.", "Find {text} step by step.")
STEPS_ZH = (
    "一步一步计算{text}。",
    "计算{text}，写出步骤。",
    "{text}等于多少？请写出每一步。",
    "列出{text}的计算过程。",
    "请分步计算：{text}",
    "{text}=？写出过程。",
)
HELD_STEPS_ZH = ("请写出计算{text}的每一步。", "分步算出{text}。")

SIGNS_EN = (
    ("{a} + {b}", "{a}+{b}", "{a} plus {b}", "the sum of {a} and {b}"),
    ("{a} - {b}", "{a}-{b}", "{a} minus {b}"),
    ("{a} × {b}", "{a} * {b}", "{a} times {b}"),
    ("{a} ÷ {b}", "{a} / {b}", "{a} divided by {b}"),
)
SIGNS_ZH = (
    ("{a}+{b}", "{a} + {b}", "{a}加{b}"),
    ("{a}-{b}", "{a} - {b}", "{a}减{b}"),
    ("{a}×{b}", "{a} × {b}", "{a}乘以{b}"),
    ("{a}÷{b}", "{a} ÷ {b}", "{a}除以{b}"),
)


def number(rng: Random, digits: int) -> int:
    """Of so many digits at most, small ones as likely as not to be shorter."""
    low = 10 ** (digits - 1)
    return low + int(rng.random() * 9 * low) if digits > 1 else int(rng.random() * 10)


def pair(sign: str, a: int, b: int) -> dict[str, object]:
    """a + b and b + a are one problem."""
    low, high = (min(a, b), max(a, b)) if sign in "+×" else (a, b)
    return {"a": a, "b": b, "problem": f"{low}{sign}{high}"}


def adding(digits: int) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        a = number(rng, digits)
        b = number(rng, digits if rng.random() < 0.6 else 1 + int(rng.random() * digits))
        a, b = (a, b) if rng.random() < 0.5 else (b, a)
        return pair("+", a, b), str(a + b)

    return draw


def taking(digits: int) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        a = number(rng, digits)
        b = number(rng, digits if rng.random() < 0.6 else 1 + int(rng.random() * digits))
        a, b = max(a, b), min(a, b)
        return pair("-", a, b), str(a - b)

    return draw


def times(rng: Random) -> tuple[Fields, str]:
    a, b = 2 + int(rng.random() * 98), 2 + int(rng.random() * 8)
    a, b = (a, b) if rng.random() < 0.5 else (b, a)
    return pair("×", a, b), str(a * b)


def divided(rng: Random) -> tuple[Fields, str]:
    a, b = 2 + int(rng.random() * 98), 2 + int(rng.random() * 8)
    return pair("÷", a * b, b), str(a)


def columns(a: int, b: int) -> str:
    """The written sum, from the right: 7+5=12, 4+8+1=13, 3+2+1=6: 632"""
    parts, carry, x, y = [], 0, a, b
    while x or y:
        total = x % 10 + y % 10 + carry
        parts.append(f"{x % 10}+{y % 10}{'+1' if carry else ''}={total}")
        carry, x, y = total // 10, x // 10, y // 10
    return f"{', '.join(parts)}: {a + b}"


def added_steps(rng: Random) -> tuple[Fields, str]:
    a, b = number(rng, 3 + int(rng.random() * 2)), number(rng, 3 + int(rng.random() * 2))
    return pair("+", a, b), columns(a, b)


def times_steps(rng: Random) -> tuple[Fields, str]:
    """23 × 47: 23×40=920, 23×7=161, 920+161=1081: 1081"""
    a, b = number(rng, 2), number(rng, 2)
    tens, ones = b // 10 * 10, b % 10
    steps = f"{a}×{tens}={a * tens}, {a}×{ones}={a * ones}, {a * tens}+{a * ones}={a * b}: {a * b}"
    return pair("×", a, b), steps


def three(rng: Random) -> tuple[Fields, str]:
    """a + b - c and the like, from left to right."""
    a, b, c = (number(rng, 1 + (rng.random() < 0.7)) for _ in range(3))
    add = rng.random() < 0.5 or c > a + b
    text = f"{a} + {b} {'+' if add else '-'} {c}"
    return {"text": text, "problem": text}, str(a + b + (c if add else -c))


def three_steps(rng: Random) -> tuple[Fields, str]:
    a, b, c = (number(rng, 2) for _ in range(3))
    add = rng.random() < 0.5 or c > a + b
    total = a + b + (c if add else -c)
    text = f"{a}+{b}{'+' if add else '-'}{c}"
    steps = f"{a}+{b}={a + b}, {a + b}{'+' if add else '-'}{c}={total}: {total}"
    return {"text": text, "problem": text}, steps


def missing(rng: Random) -> tuple[Fields, str]:
    a, b = number(rng, 2), number(rng, 1 + (rng.random() < 0.7))
    if rng.random() < 0.5:
        return {"text": f"{a} + ? = {a + b}", "problem": f"{a}?{a + b}"}, str(b)
    return {"text": f"{a + b} - ? = {a}", "problem": f"{a + b}?{a}"}, str(b)


def larger(rng: Random) -> tuple[Fields, str]:
    digits = 2 + int(rng.random() * 3)
    a, b = number(rng, digits), number(rng, digits)
    b += a == b
    return {"a": a, "b": b}, str(max(a, b))


def percent(rng: Random) -> tuple[Fields, str]:
    share = rng.choice((10, 20, 25, 50, 75, 5))
    whole = (20 if share in (5, 25, 75) else 10) * (1 + int(rng.random() * 60))
    text = f"{share}% × {whole}"
    return {"a": share, "b": whole, "problem": text}, str(share * whole // 100)


def remainder(rng: Random) -> tuple[Fields, str]:
    b = 2 + int(rng.random() * 8)
    a = b + int(rng.random() * 90)
    return {"a": a, "b": b, "problem": f"{a}mod{b}"}, str(a % b)


def _bare(name: str, sign: int, draw: Draw, share: int) -> list[Family]:
    en = Family(
        kind="arithmetic",
        language="en",
        name=name,
        draw=draw,
        train=crossed(ASK_EN, SIGNS_EN[sign]),
        test=crossed(HELD_EN, SIGNS_EN[sign][:2]),
        reserved="problem",
        share=share,
    )
    zh = Family(
        kind="arithmetic",
        language="zh",
        name=name,
        draw=draw,
        train=crossed(ASK_ZH, SIGNS_ZH[sign]),
        test=crossed(HELD_ZH, SIGNS_ZH[sign][:2]),
        reserved="problem",
        share=share,
    )
    return [en, zh]


def _both(
    name: str,
    draw: Draw,
    en: tuple[tuple[str, ...], tuple[str, ...]],
    zh: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    reserved: str | None = "problem",
    share: int = 2,
) -> list[Family]:
    def made(language: str, forms: tuple[tuple[str, ...], tuple[str, ...]]) -> Family:
        return Family(
            kind="arithmetic",
            language="zh" if language == "zh" else "en",
            name=name,
            draw=draw,
            train=forms[0],
            test=forms[1],
            reserved=reserved,
            share=share,
        )

    return [made("en", en), made("zh", zh)]


def _steps(sign: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    return (
        (crossed(STEPS_EN, (sign,)), crossed(HELD_STEPS_EN, (sign,))),
        (crossed(STEPS_ZH, (sign,)), crossed(HELD_STEPS_ZH, (sign,))),
    )


FAMILIES: list[Family] = [
    *_bare("add-1", 0, adding(1), 1),
    *_bare("add-2", 0, adding(2), 4),
    *_bare("add-3", 0, adding(3), 6),
    *_bare("take-2", 1, taking(2), 4),
    *_bare("take-3", 1, taking(3), 6),
    *_bare("times", 2, times, 5),
    *_bare("divided", 3, divided, 4),
    *_both("three", three, (ASK_EN, HELD_EN), (ASK_ZH, HELD_ZH), share=3),
    *_both("add-steps", added_steps, *_steps("{a} + {b}"), share=5),
    *_both("times-steps", times_steps, *_steps("{a} × {b}"), share=5),
    *_both("three-steps", three_steps, *_steps("{text}"), share=3),
    *_both(
        "missing",
        missing,
        (
            (
                "What number is missing? {text}",
                "Fill in the missing number: {text}",
                "{text}\nWhich number goes in place of the question mark?",
                "Find the number that ? stands for: {text}",
                "Replace ? with the right number: {text}",
            ),
            ("Which number is missing here? {text}", "{text}\nFind the missing number."),
        ),
        (
            (
                "问号处应填几？{text}",
                "填空：{text}",
                "{text}，?是多少？",
                "求?代表的数：{text}",
                "在?处填上合适的数：{text}",
            ),
            ("{text}，问号处应填多少？", "请填上?代表的数：{text}"),
        ),
    ),
    *_both(
        "larger",
        larger,
        (
            (
                "Which is larger, {a} or {b}?",
                "Which number is bigger: {a} or {b}?",
                "Write the larger of {a} and {b}.",
                "Compare {a} and {b}. Which one is greater?",
                "Of {a} and {b}, which is the bigger number?",
                "Give the greater number: {a}, {b}",
            ),
            ("Which is the greater number, {a} or {b}?", "Write the bigger of {a} and {b}."),
        ),
        (
            (
                "{a}和{b}哪个大？",
                "写出{a}和{b}中较大的数。",
                "比较{a}和{b}，哪个更大？",
                "{a}与{b}，较大的是哪个？",
                "哪个数更大：{a}还是{b}？",
            ),
            ("{a}和{b}哪个数更大？", "写出较大的数：{a}，{b}"),
        ),
        reserved=None,
    ),
    *_both(
        "percent",
        percent,
        (
            (
                "What is {a}% of {b}?",
                "Calculate {a}% of {b}.",
                "Find {a} percent of {b}.",
                "{a}% of {b} =",
                "How much is {a}% of {b}?",
                "Take {a} percent of {b}. What do you get?",
            ),
            ("What is {a} percent of {b}?", "Work out {a}% of {b}."),
        ),
        (
            (
                "{b}的{a}%是多少？",
                "计算{b}的{a}%。",
                "求{b}的{a}%。",
                "{b}的百分之{a}是多少？",
                "{b}×{a}%=",
            ),
            ("请计算{b}的{a}%。", "{b}的{a}%等于多少？"),
        ),
    ),
    *_both(
        "remainder",
        remainder,
        (
            (
                "What is the remainder when {a} is divided by {b}?",
                "Divide {a} by {b} and give the remainder.",
                "{a} mod {b} =",
                "What remains when {a} is divided by {b}?",
                "Find the remainder of {a} divided by {b}.",
            ),
            ("Find the remainder when {a} is divided by {b}.", "What is {a} mod {b}?"),
        ),
        (
            (
                "{a}除以{b}的余数是多少？",
                "求{a}除以{b}的余数。",
                "{a}÷{b}，余数是几？",
                "用{b}去除{a}，余几？",
                "{a}除以{b}余多少？",
            ),
            ("{a}除以{b}，余数是多少？", "求余数：{a}÷{b}"),
        ),
    ),
]
