# What native/bindings.cpp and bind_mixture.cpp give to Python. tests/test_exports.py holds the
# names to the module.

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Array = NDArray[Any]

NUMERICS: int

def populate(data: NDArray[np.uint8], /) -> None: ...
def compiled() -> list[tuple[str, str | None]]: ...
def limits_read(bytes: int, threads: int, seconds: float, path: str = "") -> float: ...
def limits_arithmetic(kind: str, threads: int, seconds: float) -> float: ...
def limits_instruction(kind: str) -> str: ...
def train_attend(*arrays: Array | float) -> None: ...
def train_attend_back(*arrays: Array | float) -> None: ...

Bf16 = NDArray[np.int16]

def train_cross_entropy(
    isa: str,
    logits: Bf16,
    targets: NDArray[np.int64],
    learned: Floats,
    losses: Floats,
    threads: int,
    /,
) -> None: ...
def train_add(isa: str, x: Bf16, sums: Floats, threads: int, /) -> None: ...
def train_largest(isa: str, x: Floats, ids: NDArray[np.int64], threads: int, /) -> None: ...
def train_norm(
    isa: str,
    x: Bf16,
    weight: Floats,
    eps: float,
    y: Bf16,
    inverse: Floats,
    threads: int,
    /,
) -> None: ...
def train_norm_back(
    isa: str,
    grad: Bf16,
    x: Bf16,
    inverse: Floats,
    weight: Floats,
    grad_x: Bf16,
    grad_weight: Floats,
    threads: int,
    /,
) -> None: ...
def train_turn(
    isa: str,
    x: Bf16,
    cosine: Floats,
    sine: Floats,
    heads: int,
    interleaved: bool,
    back: bool,
    y: Bf16,
    threads: int,
    /,
) -> None: ...
def train_gated(
    isa: str, gate: Bf16, up: Bf16, by_row: Floats | None, y: Bf16, threads: int, /
) -> None: ...
def train_gated_back(
    isa: str,
    grad: Bf16,
    gate: Bf16,
    up: Bf16,
    by_row: Floats | None,
    grad_gate: Bf16,
    grad_up: Bf16,
    grad_by_row: Floats | None,
    threads: int,
    /,
) -> None: ...

class Program:
    def __init__(self, isa: str, threads: int, max_tokens: int, max_context: int) -> None: ...
    def slot(self, bytes: int, wanted: bool, small: bool, crossing: bool, /) -> int: ...
    def weight(
        self,
        form: str,
        group: int,
        count: int,
        rows: int,
        columns: int,
        data: NDArray[np.uint8],
        /,
    ) -> int: ...
    def embed(self, table: int, out: int, /) -> None: ...
    def angles(self, frequencies: Floats, magnitude: float, out: int, /) -> None: ...
    def norm(self, x: int, weight: Floats, heads: int, eps: float, out: int, /) -> None: ...
    def quantize(self, x: int, heads: int, width: int, kind: str, out: int, /) -> None: ...
    def linear(
        self,
        x: int,
        precise: bool,
        weights: Sequence[int],
        outs: Sequence[int],
        biases: Sequence[Floats | None],
        residuals: Sequence[int | None],
        /,
    ) -> None: ...
    def head_linear(self, x: int, weight: int, out: int, /) -> None: ...
    def rope(
        self,
        x: int,
        angles: int,
        heads: int,
        width: int,
        rotary: int,
        interleaved: bool,
        out: int,
        /,
    ) -> None: ...
    def attend(
        self,
        q: int,
        k: int,
        v: int,
        layer: int,
        heads: int,
        kv_heads: int,
        width: int,
        scale: float,
        window: int,
        sinks: Floats | None,
        out: int,
        /,
        shift: Floats | None = None,
        feedback: Floats | None = None,
    ) -> None: ...
    def keep(self, x: int, layer: int, width: int, /) -> None: ...
    def attend_latent(
        self,
        q: int,
        layer: int,
        heads: int,
        groups: int,
        width: int,
        value_width: int,
        scale: float,
        out: int,
        /,
    ) -> None: ...
    def route(
        self,
        logits: int,
        experts: int,
        top_k: int,
        score: str,
        normalise: bool,
        scale: float,
        groups: int,
        top_groups: int,
        by_two: bool,
        correction: Floats | None,
        out: int,
        /,
    ) -> None: ...
    def experts(
        self,
        routed: int,
        top_k: int,
        width: int,
        bank: tuple[Any, ...],
        shared: tuple[Any, ...] | None,
        gate: int | None,
        sharpness: float,
        shift: float,
        limit: float,
        out: int,
        /,
    ) -> None: ...
    def scale(self, x: int, factor: float, width: int, out: int, /) -> None: ...
    def slice(self, x: int, heads: int, width: int, begin: int, end: int, out: int, /) -> None: ...
    def join(self, x: int, y: int, heads: int, x_width: int, y_width: int, out: int, /) -> None: ...
    def tap(self, x: int, width: int, /) -> None: ...
    def silu_mul(self, gate: int, up: int, width: int, out: int, /) -> None: ...
    def add(self, x: int, y: int, width: int, out: int, /) -> None: ...
    def rows(self, x: int, width: int, out: int, /) -> None: ...
    def logits(self, x: int, weight: int, /) -> None: ...
    def finish(self, cache_bytes: int, /, kv_bits: int = 16) -> None: ...
    def step(self, *arrays: Array | int) -> None: ...
    def logits_of(self, *arrays: Array | int) -> None: ...
    def send(self, routes: NDArray[np.int32] | None, /) -> None: ...
    def spent(self) -> dict[str, int]: ...
    def tap_rows(self, *arrays: Array | int) -> None: ...
    def slot_rows(self, slot: int, rows: int, /) -> NDArray[np.uint8]: ...
    @property
    def page_bytes(self) -> int: ...
    @property
    def pages(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
