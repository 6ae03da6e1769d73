"""The same random model as a GGUF file, for peers: bit for bit the weights of the packed one.

Or in Q4_K, which has as many bits a weight as Q4_0 but other weights. The `gguf` package writes the
file's head, and knows what tensors are called there.
"""

import os
from collections.abc import Callable, Iterator
from itertools import repeat
from math import prod
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from farthing.bench.gguf_blocks import MXFP4, Q4_0, Q4_K, encode
from farthing.bench.gguf_head import ARCHITECTURES, head
from farthing.bench.noise import INT4, Kind, Noise
from farthing.bench.skeleton import Skeleton
from farthing.errors import FormatError, InputError
from farthing.store.space import clear_when_full, need
from farthing.weight import E2M1

Type = Literal["q4_0", "q4_k"]
Progress = Callable[[int, int], None]


def write(
    path: Path,
    skeleton: Skeleton,
    *,
    type: Type = "q4_0",
    progress: Progress = lambda done, total: None,
) -> None:
    """Written beside and renamed. Raises InputError without the gguf package or for an architecture
    that is not known there, DiskFull without room."""
    gguf = _package()
    if skeleton.config.get("model_type") not in ARCHITECTURES:
        raise InputError(
            f"{skeleton.name}: model_type {skeleton.config.get('model_type')!r} is not written as"
            f" GGUF; these are: {', '.join(ARCHITECTURES)}"
        )
    plan = _Plan(gguf, Noise(skeleton.config, skeleton.tensors), skeleton, type)
    need(path.parent, plan.total, f"{skeleton.name} as GGUF")
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with clear_when_full(f"{skeleton.name} as GGUF", path.parent):
            plan.write(beside, progress)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)


def _package() -> ModuleType:
    try:
        import gguf
    except ImportError as error:
        raise InputError(
            "writing GGUF takes the gguf package: pip install 'farthing[gguf]'"
        ) from error
    return gguf


class _Plan:
    def __init__(self, gguf: ModuleType, noise: Noise, skeleton: Skeleton, type: Type) -> None:
        self.gguf, self.noise, self.skeleton, self.type = gguf, noise, skeleton, type
        self.sizes = {name: self._bytes(name) for name in noise.names()}
        self.total = sum(self.sizes.values())
        self._pools: dict[Kind, NDArray[np.uint8]] = {}

    def write(self, path: Path, progress: Progress) -> None:
        writer = self.gguf.GGUFWriter(path, ARCHITECTURES[self.skeleton.config["model_type"]])
        head(self.gguf, writer, self.skeleton)
        names = self._names()
        for name, shape in self.noise.shapes.items():
            one = self._type(name)
            form = self.gguf.GGMLQuantizationType[one]
            writer.add_tensor_info(names[name], shape, np.dtype(np.float32), self.sizes[name], form)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done = 0
        (out,) = writer.fout
        for name in self.noise.names():
            writer.write_padding(out, out.tell())
            self._tensor(out, name)
            done += self.sizes[name]
            progress(done, self.total)
        writer.write_padding(out, out.tell())
        out.flush()
        os.fsync(out.fileno())
        writer.close()

    def _type(self, name: str) -> str:
        kind = self.noise.kind(name)
        if kind is None:
            return "F32"
        if kind.form == E2M1:
            return "MXFP4"
        return "Q4_K" if self._super(kind) else "Q4_0"

    def _super(self, kind: Kind) -> bool:
        """Whether a matrix is Q4_K, which takes 256 weights at a time."""
        return self.type == "q4_k" and kind.form == INT4 and kind.columns % 256 == 0

    def _bytes(self, name: str) -> int:
        shape, kind = self.noise.shapes[name], self.noise.kind(name)
        if kind is None:
            return 4 * prod(shape)
        if kind.columns % 32:
            raise FormatError(f"tensor {name} {list(shape)}: GGUF wants rows of whole 32s")
        return prod(shape[:-1]) * self._row(kind)

    def _row(self, kind: Kind) -> int:
        """Bytes of a row."""
        if kind.form == E2M1:
            return kind.columns // 32 * MXFP4
        return kind.columns // 256 * Q4_K if self._super(kind) else kind.columns // 32 * Q4_0

    def _names(self) -> dict[str, str]:
        arch = ARCHITECTURES[self.skeleton.config["model_type"]]
        number = next(a for a, n in self.gguf.MODEL_ARCH_NAMES.items() if n == arch)
        table = self.gguf.get_tensor_name_map(number, self.skeleton.layers)
        return {name: _name(table, name) for name in self.noise.names()}

    def _tensor(self, out: IO[bytes], name: str) -> None:
        shape, kind = self.noise.shapes[name], self.noise.kind(name)
        if kind is None:
            plain = self.noise.layout(name).form is None
            values = self.noise.vector(name) if plain else self.noise.router(name).dequantize()
            out.write(values.tobytes())
            return
        if kind not in self._pools:
            self._pools[kind] = encode(self.noise.pool(kind), kind, super=self._super(kind))
        stack: Iterator[int | None] = iter(range(shape[0])) if len(shape) == 3 else repeat(None, 1)
        for index in stack:
            for run in self.noise.runs(name, index):
                out.write(self._pools[kind][run].data)


def _name(table: Any, name: str) -> str:
    """llama.cpp's, by the package's table; two names it has not, or not whole."""
    if name.endswith(".e_score_correction_bias"):
        return f"blk.{name.split('.')[2]}.exp_probs_b.bias"
    found = table.get_name(name, (".weight", ".bias"))
    if found is None:
        raise FormatError(f"tensor {name}: the gguf package has no name for it")
    return f"{found}.weight" if found.endswith("attn_sinks") else str(found)
