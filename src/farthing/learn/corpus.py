"""Tokenized documents on disk, end to end: a folder of NumPy arrays, mapped and never unpickled.

tokens.npy    [N] uint16 or uint32: documents one after the other, each from its first token
              (bos, where the tokenizer has one) to its eos
starts.npy    [D + 1] int64: where each begins; the last is N
learned.npy   [N] bool, optional: which tokens the loss counts (answers of a chat, say)
corpus.json   what it was made from
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError, InputError, NotFound

VERSION = 1
LARGEST = 1 << 24
"""Bytes of a corpus.json."""


@dataclass(frozen=True, slots=True)
class Corpus:
    path: Path
    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    learned: NDArray[np.bool_] | None
    about: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFound, or FormatError naming the file and what is wrong with it."""
        try:
            raw = (path / "corpus.json").read_bytes()[: LARGEST + 1]
            about = json.loads(raw)
        except FileNotFoundError:
            raise NotFound(
                f"{path} holds no corpus (corpus.json is missing); make one with"
                " `farthing learn data pack`"
            ) from None
        except ValueError:
            raise FormatError(f"{path}/corpus.json is not JSON; make the corpus again") from None
        if not isinstance(about, dict) or about.get("version") != VERSION:
            raise FormatError(f"{path}/corpus.json is no corpus of version {VERSION}")
        tokens, starts = _array(path, "tokens"), _array(path, "starts")
        learned = _array(path, "learned") if (path / "learned.npy").exists() else None
        _checked(path, tokens, starts, learned)
        return cls(path, tokens, starts, learned, about)

    @property
    def documents(self) -> int:
        return len(self.starts) - 1


def write(
    path: Path,
    documents: Iterable[tuple[Sequence[int], Sequence[bool] | None]],
    *,
    vocabulary: int,
    about: dict[str, Any],
) -> Corpus:
    """A new folder from (tokens, which of them are learned: None for all). Whole, or not there.

    Raises InputError if the folder exists, if there is no document, or one has fewer than two
    tokens.
    """
    if path.exists():
        raise InputError(f"{path} exists; remove it, or choose another folder")
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    parts: list[NDArray[Any]] = []
    masks: list[NDArray[np.bool_]] = []
    starts, masked = [0], False
    for ids, learned in documents:
        if len(ids) < 2:
            raise InputError(f"document {len(parts)} has {len(ids)} tokens; expected 2 or more")
        parts.append(np.asarray(ids, dtype))
        masked |= learned is not None
        masks.append(np.ones(len(ids), bool) if learned is None else np.asarray(learned, bool))
        starts.append(starts[-1] + len(ids))
    if not parts:
        raise InputError("no document to write a corpus from")
    draft = path.with_name(f".{path.name}.partial")
    draft.mkdir(parents=True)
    np.save(draft / "tokens.npy", np.concatenate(parts))
    np.save(draft / "starts.npy", np.asarray(starts, np.int64))
    if masked:
        np.save(draft / "learned.npy", np.concatenate(masks))
    told = {"version": VERSION, "documents": len(parts), "tokens": starts[-1]} | about
    (draft / "corpus.json").write_text(json.dumps(told, indent=1))
    draft.rename(path)
    return Corpus.open(path)


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}/{name}.npy can't be read: {error}") from None
    return found


def _checked(path: Path, tokens: Any, starts: Any, learned: Any) -> None:
    kinds = ((tokens, "tokens", "uint16 uint32"), (starts, "starts", "int64"))
    for array, name, dtypes in kinds:
        if array.ndim != 1 or str(array.dtype) not in dtypes.split():
            raise FormatError(f"{path}/{name}.npy is {array.dtype} {array.shape}; make it again")
    if len(starts) < 2 or starts[0] or starts[-1] != len(tokens) or (np.diff(starts) < 2).any():
        raise FormatError(f"{path}/starts.npy does not divide tokens.npy; make the corpus again")
    if learned is not None and (learned.shape != tokens.shape or learned.dtype != bool):
        raise FormatError(f"{path}/learned.npy is not one flag a token; make the corpus again")
