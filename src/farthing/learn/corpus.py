"""Tokenized documents on disk, end to end: a folder of NumPy arrays, mapped and never unpickled.

tokens.npy    [N] uint16 or uint32: documents one after the other, each from its first token
              (bos, where the tokenizer has one) to its eos
starts.npy    [D + 1] int64: where each begins; the last is N
learned.npy   [N] bool, optional: which tokens the loss counts (answers of a chat, say)
corpus.json   what it was made from
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError, InputError, NotFound
from farthing.formats.hf import read_object
from farthing.store.space import clear_when_full

VERSION = 1
ABOUT = "corpus.json"


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
        if not (path / ABOUT).is_file():
            raise NotFound(
                f"{path} holds no corpus ({ABOUT} is missing); make one with"
                " `farthing learn data pack`"
            )
        about = read_object(path / ABOUT)
        if about.get("version") != VERSION:
            raise FormatError(f"{path / ABOUT} is no corpus of version {VERSION}")
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

    Nothing but where documents start is held in memory. Raises InputError if the folder exists, if
    there is no document, or one has fewer than two tokens; DiskFull.
    """
    if path.exists():
        raise InputError(f"{path} exists; remove it, or choose another folder")
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    starts, masked = [0], False
    draft = path.with_name(f".{path.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with clear_when_full(f"writing {path}", draft):
            with (
                Growing(draft / "tokens.npy", dtype) as tokens,
                Growing(draft / "learned.npy", bool) as masks,
            ):
                for ids, learned in documents:
                    if len(ids) < 2:
                        raise InputError(
                            f"document {len(starts) - 1} has {len(ids)} tokens; expected 2 or more"
                        )
                    tokens.add(ids)
                    masked |= learned is not None
                    masks.add(np.ones(len(ids), bool) if learned is None else learned)
                    starts.append(starts[-1] + len(ids))
            if len(starts) == 1:
                raise InputError("no document to write a corpus from")
            np.save(draft / "starts.npy", np.asarray(starts, np.int64))
            if not masked:
                (draft / "learned.npy").unlink()
            told = {"version": VERSION, "documents": len(starts) - 1, "tokens": starts[-1]} | about
            (draft / ABOUT).write_text(json.dumps(told, indent=1))
            draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Corpus.open(path)


class Growing:
    """An .npy file of one dimension that is written piece by piece; a context.

    Its header keeps room for a longer shape, as NumPy writes it, and is written again at the end.
    """

    def __init__(self, path: Path, dtype: Any) -> None:
        self.dtype, self.count = np.dtype(dtype), 0
        self.file = path.open("wb", buffering=1 << 20)
        self._head()
        self.start = self.file.tell()

    def add(self, values: Sequence[Any] | NDArray[Any]) -> None:
        self.file.write(np.asarray(values, self.dtype).data)
        self.count += len(values)

    def _head(self) -> None:
        said = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(self.file, said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self.file:
            if kind is None:
                self.file.seek(0)
                self._head()
                assert self.file.tell() == self.start, "NumPy's header has grown"


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
