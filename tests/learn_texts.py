"""Small texts and chats, English and Chinese, for the tests of tokenizers and packing."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = (
    "the order of a small town near river where people sell bread and fruit every morning before"
    " school begins she wrote down each number then added them again with care"
)
ENGLISH = WORDS.split()
CHINESE = (
    *("今天", "我们", "去", "公园", "散步", "天气", "很", "好", "老师", "请", "学生", "把"),
    *("句子", "写", "得", "更", "正式", "价格", "是", "多少", "明天", "再", "来"),
)


def english(seed: int, words: int = 20) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(ENGLISH) for _ in range(words)) + f" {draw.randint(0, 9999)}."


def chinese(seed: int, words: int = 20) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(CHINESE) for _ in range(words)) + f"{draw.randint(0, 9999)}。"


def texts(count: int = 200) -> Iterator[str]:
    for seed in range(count):
        yield english(seed)
        yield chinese(seed)


def chat(seed: int) -> dict[str, Any]:
    say = english if seed % 2 else chinese
    messages = [
        {"role": "user", "content": say(seed)},
        {"role": "assistant", "content": say(seed + 1000, 5)},
    ]
    return {"messages": messages, "language": "en" if seed % 2 else "zh"}


def data_set(folder: Path, records: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "part-00000.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
