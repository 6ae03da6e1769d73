"""What bytes each token stands for, read once. Knows the decoders, not how text is put together."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from farthing.errors import FormatError

_SPACE = "▁"


def byte_alphabet() -> dict[str, int]:
    """The byte behind each character of a byte-level vocabulary.

    Printable bytes stand for themselves, the others for the characters from 256 on, in order.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = sorted(set(range(256)) - set(printable))
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + at): byte for at, byte in enumerate(others)}


def table(
    decoder: Mapping[str, Any] | None, vocabulary: Mapping[str, int], added: AbstractSet[int]
) -> tuple[list[bytes], bool]:
    """The bytes of every id (holes are empty), and whether a text's first space is dropped.

    The ids in `added` stand for their own text, whatever the decoder.
    """
    kinds = _kinds(decoder)
    if kinds == ["ByteLevel"]:
        return _fill(vocabulary, added, _byte_level()), False
    if kinds == ["Metaspace"] or {"Replace", "ByteFallback"} <= set(kinds):
        return _fill(vocabulary, added, _sentencepiece), kinds[-1] in ("Strip", "Metaspace")
    raise FormatError(
        f"tokenizer.json has the decoder {kinds}; known are ByteLevel, Metaspace, and Replace with"
        " ByteFallback"
    )


def _kinds(decoder: Mapping[str, Any] | None) -> list[str]:
    steps = decoder.get("decoders", [decoder]) if isinstance(decoder, Mapping) else []
    return [str(step.get("type")) for step in steps if isinstance(step, Mapping)]


def _fill(
    vocabulary: Mapping[str, int], added: AbstractSet[int], to_bytes: Callable[[str], bytes]
) -> list[bytes]:
    found = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, id in vocabulary.items():
        found[id] = token.encode() if id in added else to_bytes(token)
    return found


def _byte_level() -> Callable[[str], bytes]:
    alphabet = byte_alphabet()

    def to_bytes(token: str) -> bytes:
        try:
            return bytes([alphabet[character] for character in token])
        except KeyError:  # as the library does: a token from outside the alphabet is plain text
            return token.encode()

    return to_bytes


def _sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes.fromhex(token[3:5])
    return token.replace(_SPACE, " ").encode()
