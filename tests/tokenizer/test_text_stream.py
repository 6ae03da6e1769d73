"""Text as it streams: whole characters, no stop string, and in the end the text decoded whole."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.tokenizer import TextStream, Tokenizer

FAMILY = "👨‍👩‍👧‍👦"
SAMPLES = [f"Hello {FAMILY}, 天空为什么是蓝色的? 🇩🇪 龘 𠮷 e\u0301 ok\n\n", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﷽ ꙮ"]


class Bytes:
    """A vocabulary of the 256 bytes: every cut of a character can be had."""

    strips_first_space = False

    def piece(self, id: int, *, special: bool = False) -> bytes:
        return bytes([id])


def stream(tokenizer: Any, chunks: Sequence[Sequence[int]], stop: Sequence[str] = ()) -> list[str]:
    text = TextStream(tokenizer, stop)
    return [*[text.push(chunk) for chunk in chunks], text.finish()]


def chunked(ids: list[int], seed: int) -> list[list[int]]:
    chance, chunks = random.Random(seed), list[list[int]]()
    while ids:
        size = chance.choice([0, 1, 1, 1, 2, 3, 7])
        chunks.append(ids[:size])
        ids = ids[size:]
    return chunks


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", ["smol", "deepseek", "qwen"])
def test_streamed_text_is_the_text(sample: str, name: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(name)
    ids = tokenizer.encode(sample)
    pieces = stream(tokenizer, [[id] for id in ids])
    # Qwen composes e and its accent before it reads.
    assert "".join(pieces) == tokenizer.decode(ids)
    assert name == "qwen" or "".join(pieces) == sample
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(ids) > len([piece for piece in pieces if piece])


@given(st.lists(st.integers(0, 129279), max_size=40), st.integers(0, 9))
@settings(deadline=None, max_examples=300)
def test_any_ids_stream_as_the_library_decodes_them(
    deepseek: Tokenizer, deepseek_theirs: tokenizers.Tokenizer, ids: list[int], seed: int
) -> None:
    ids = [id for id in ids if id < deepseek.vocabulary]
    whole = deepseek_theirs.decode(ids, skip_special_tokens=True)
    assert deepseek.decode(ids) == whole
    assert "".join(stream(deepseek, chunked(ids, seed))) == whole


@given(st.lists(st.integers(0, 49151), max_size=40), st.integers(0, 9))
@settings(deadline=None, max_examples=300)
def test_any_chunking_gives_the_same_text(smol: Tokenizer, ids: list[int], seed: int) -> None:
    assert "".join(stream(smol, chunked(ids, seed))) == smol.decode(ids)


@given(st.binary(max_size=60), st.integers(0, 9))
def test_broken_bytes_stream_as_they_decode(data: bytes, seed: int) -> None:
    whole = "".join(stream(Bytes(), chunked(list(data), seed)))
    assert whole == data.decode(errors="replace")


def test_no_piece_holds_half_a_character() -> None:
    pieces = stream(Bytes(), [[byte] for byte in "é你😀".encode()])
    assert pieces == ["", "é", "", "", "你", "", "", "", "😀", ""]


def test_half_a_character_at_the_end_shows_when_finished() -> None:
    assert stream(Bytes(), [list("a你".encode()[:-1])]) == ["a", "\ufffd"]


def test_what_may_begin_a_stop_string_is_held() -> None:
    pieces = stream(Bytes(), [[byte] for byte in b"ab STOx STO"], ["STOP"])
    assert pieces == ["a", "b", " ", "", "", "", "STOx", " ", "", "", "", "STO"]


def test_the_stop_string_and_what_follows_are_not_shown() -> None:
    text = TextStream(Bytes(), ["\n\n", "END"])
    assert text.push(b"one EN") == "one "
    assert text.push(b"ough END more") == "ENough "
    assert (text.stopped, text.kept) == ("END", 14)
    assert (text.push(b"more"), text.finish(), text.kept) == ("", "", 14)


def test_without_a_stop_every_token_is_kept() -> None:
    text = TextStream(Bytes(), ["END"])
    text.push(b"EN")
    assert (text.finish(), text.stopped, text.kept) == ("EN", None, 2)


def test_of_stops_that_end_together_the_longest_is_taken() -> None:
    text = TextStream(Bytes(), ["b", "ab"])
    assert (text.push(b"xab"), text.stopped) == ("x", "ab")


def test_a_stop_string_may_overlap_itself() -> None:
    text = TextStream(Bytes(), ["aab"])
    assert (text.push(b"aaa"), text.push(b"ab"), text.stopped) == ("a", "a", "aab")


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        TextStream(Bytes(), [""])


@given(
    st.text("ab ", max_size=40),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
    st.integers(0, 9),
)
def test_a_stop_is_found_wherever_the_text_is_cut(data: str, stops: list[str], seed: int) -> None:
    text = TextStream(Bytes(), stops)
    whole = "".join([*[text.push(chunk) for chunk in chunked(list(data.encode()), seed)]])
    whole += text.finish()
    ends = [data.index(stop) + len(stop) for stop in stops if stop in data]
    if not ends:
        assert (whole, text.stopped, text.kept) == (data, None, len(data))
    else:
        longest = max((s for s in stops if data[: min(ends)].endswith(s)), key=len)
        assert (whole, text.stopped) == (data[: min(ends) - len(longest)], longest)
        assert text.kept == min(ends)


def test_special_tokens_are_silent_unless_asked_for(smol: Tokenizer) -> None:
    ids = smol.encode("a<|im_end|>b")
    assert smol.decode(ids) == "ab"
    assert smol.decode(ids, special=True) == "a<|im_end|>b"
    assert smol.stream(special=True).push(ids) == "a<|im_end|>b"


def test_an_id_beyond_the_vocabulary_is_silent(smol: Tokenizer) -> None:
    assert smol.decode([smol.vocabulary, -1, 1 << 40]) == ""


def test_the_pieces_of_every_token_are_the_librarys(
    deepseek: Tokenizer, deepseek_theirs: tokenizers.Tokenizer
) -> None:
    for id in range(0, deepseek.vocabulary, 7):
        assert deepseek.token_text(id) == deepseek_theirs.decode([id], skip_special_tokens=False)


def test_a_token_costs_the_same_after_a_long_text(smol: Tokenizer) -> None:
    """Nothing is kept of what was shown: what a stream holds does not grow."""
    text = smol.stream(["never to be met"])
    for id in smol.encode("word after word " * 500):
        text.push([id])
        assert len(text._held) < 16
