"""The tensors of a folder under the names and in the shapes that model pages take.

Families store the same things in different ways: experts one by one, or all in one tensor, gate
and up one after the other or row by row in turn; MLA's keys and values in one matrix. Nothing is
read here: a part is a view of a mapped file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farthing.errors import FormatError
from farthing.formats.hf_names import EXPERT, FUSED, LATENT, canonical
from farthing.formats.hf_raw import Quantization, Raw
from farthing.formats.hf_sheets import FLOATS, Floats, Numbers, Part, Rounded, Sheet, Stack
from farthing.formats.mxfp4 import Fp4
from farthing.formats.types import ROUNDED
from farthing.weight import BF16

COUNTS = ("num_experts", "n_routed_experts", "num_local_experts")
"""What config.json may call the number of routed experts."""
IN_TURN = ("gpt_oss",)
"""Families whose fused experts have rows of gate and up in turn, and floats transposed."""


def assemble(
    raws: Mapping[str, Raw], config: Mapping[str, Any], quantization: Quantization
) -> dict[str, Part]:
    """Raises FormatError naming the tensor that is missing, doubled, or of a shape no model has."""
    for raw in raws.values():
        if not raw.shape or min(raw.shape) < 1:
            raise FormatError(f"{raw.what}: shape {list(raw.shape)}; numbers from 1 expected")
    made = _Assembly(raws, config, quantization)
    for raw in raws.values():
        made.take(raw)
    for name, experts in made.experts.items():
        made.add(name, f"{name}, as single experts,", made.stack(experts))
    return made.found


@dataclass(slots=True)
class _Assembly:
    raws: Mapping[str, Raw]
    config: Mapping[str, Any]
    quantization: Quantization
    found: dict[str, Part] = field(default_factory=dict)
    experts: dict[str, dict[int, tuple[Raw, Sheet]]] = field(default_factory=dict)

    def take(self, raw: Raw) -> None:
        weight = self.quantization.owner(raw.name, self.raws)
        if weight is not None:
            if weight not in self.raws:
                raise FormatError(f"{raw.what}: scales of {weight}, which is missing")
            return
        name = canonical(self.quantization.ours(raw.name))
        if fused := FUSED.fullmatch(name):
            self._fused(raw, *fused.groups())
        elif expert := EXPERT.fullmatch(name):
            experts = self.experts.setdefault(f"{expert[1]}.{expert[3]}", {})
            if int(expert[2]) in experts:
                raise FormatError(f"{raw.what}: a second tensor for {name}")
            experts[int(expert[2])] = raw, self._matrix(raw)
        elif latent := LATENT.fullmatch(name):
            self._latent(raw, latent[1])
        elif len(raw.shape) == 1:
            self.add(name, raw.what, Numbers(raw.tensor.dtype, raw.array(*FLOATS)))
        else:
            sheet = self._matrix(raw)
            coded = name.endswith(ROUNDED) and sheet.form != BF16
            self.add(name, raw.what, Rounded(sheet) if coded else sheet)

    def add(self, name: str, what: str, part: Part) -> None:
        if name in self.found:
            raise FormatError(f"{what}: a second tensor for {name}; there may be one")
        self.found[name] = part

    def stack(self, experts: Mapping[int, tuple[Raw, Sheet]]) -> Stack:
        """One by one: each there, all alike, as many as config.json says."""
        count = max(self._counts().values(), default=len(experts))
        missing = next(index for index in range(len(experts) + 1) if index not in experts)
        if missing < max(count, len(experts)):
            index, (raw, _) = next(iter(experts.items()))
            lacking = raw.name.replace(f".experts.{index}.", f".experts.{missing}.")
            raise FormatError(
                f"tensor {lacking} is missing: there are {len(experts)} like it, up to expert"
                f" {max(experts)}, and config.json has {count}; pull the model again"
            )
        ordered = [experts[index] for index in range(len(experts))]
        self._count(ordered[-1][0].what, len(ordered))
        first = ordered[0][1]
        for raw, sheet in ordered:
            if (sheet.shape, sheet.form) != (first.shape, first.form):
                raise FormatError(
                    f"{raw.what}: {list(sheet.shape)} in {sheet.form.bits} bits, but expert 0 is"
                    f" {list(first.shape)} in {first.form.bits}; all must be alike"
                )
        return Stack([sheet for _, sheet in ordered])

    def _matrix(self, raw: Raw) -> Sheet:
        if len(raw.shape) != 2:
            raise FormatError(f"{raw.what}: shape {list(raw.shape)}; [N] or [N, K] expected")
        return self.quantization.sheets(raw, self.raws)[0]

    def _fused(self, raw: Raw, experts: str, kind: str, bias: str | None) -> None:
        """All experts in one tensor; gate and up are parted."""
        self._count(raw.what, raw.shape[0])
        if bias:
            self._fused_bias(raw, experts, kind)
            return
        if len(raw.shape) != (4 if raw.name.endswith("_blocks") else 3):
            raise FormatError(f"{raw.what}: shape {list(raw.shape)}; one matrix an expert expected")
        sheets = self.quantization.sheets(raw, self.raws)
        if self.config.get("model_type") in IN_TURN:
            sheets = [_upright(raw, sheet) for sheet in sheets]
        if kind == "down":
            self.add(f"{experts}.down_proj.weight", raw.what, Stack(sheets))
            return
        gate, up = self._halves(raw, sheets[0].shape[0])
        self.add(f"{experts}.gate_proj.weight", raw.what, Stack([s.part(gate) for s in sheets]))
        self.add(f"{experts}.up_proj.weight", raw.what, Stack([s.part(up) for s in sheets]))

    def _fused_bias(self, raw: Raw, experts: str, kind: str) -> None:
        if len(raw.shape) != 2:
            raise FormatError(f"{raw.what}: shape {list(raw.shape)}; a row an expert expected")
        table, dtype = raw.array(*FLOATS), raw.tensor.dtype
        if kind == "down":
            self.add(f"{experts}.down_proj.bias", raw.what, Numbers(dtype, table))
            return
        gate, up = self._halves(raw, raw.shape[1])
        self.add(f"{experts}.gate_proj.bias", raw.what, Numbers(dtype, table[:, gate]))
        self.add(f"{experts}.up_proj.bias", raw.what, Numbers(dtype, table[:, up]))

    def _halves(self, raw: Raw, rows: int) -> tuple[slice, slice]:
        """Where the gate's rows are, and where those of up."""
        if rows % 2:
            raise FormatError(f"{raw.what}: {rows} rows of gate and up, an odd number")
        if self.config.get("model_type") in IN_TURN:
            return slice(0, None, 2), slice(1, None, 2)
        return slice(0, rows // 2), slice(rows // 2, None)

    def _latent(self, raw: Raw, attention: str) -> None:
        """kv_b_proj has, for each head, `nope` rows of K and then `v` rows of V."""
        sizes = ("num_attention_heads", "qk_nope_head_dim", "v_head_dim")
        heads, nope, v = (self._size(name) for name in sizes)
        sheet, each = self._matrix(raw), nope + v
        if sheet.shape[0] != heads * each:
            raise FormatError(
                f"{raw.what}: {sheet.shape[0]} rows; config.json has {heads} heads of"
                f" {nope} + {v}, which makes {heads * each}"
            )
        starts = range(0, heads * each, each)
        keys = Stack([sheet.part(slice(at, at + nope)).turned() for at in starts])
        values = Stack([sheet.part(slice(at + nope, at + each)) for at in starts])
        self.add(f"{attention}.k_b_proj.weight", raw.what, keys)
        self.add(f"{attention}.v_b_proj.weight", raw.what, values)

    def _size(self, name: str) -> int:
        value = self.config.get(name)
        if type(value) is not int or not 1 <= value <= 1 << 24:
            raise FormatError(f"config.json: {name} is {value!r:.80}; a whole number expected")
        return value

    def _counts(self) -> dict[str, int]:
        return {name: self._size(name) for name in COUNTS if self.config.get(name) is not None}

    def _count(self, what: str, experts: int) -> None:
        for name, count in self._counts().items():
            if count != experts:
                raise FormatError(f"{what}: {experts} experts, but config.json has {name} {count}")


def _upright(raw: Raw, sheet: Sheet) -> Sheet:
    """Floats stand [inputs, outputs] in the file, blocks of FP4 [outputs, inputs]."""
    if isinstance(sheet, Floats):
        return sheet.turned()
    if isinstance(sheet, Fp4):
        return sheet
    raise FormatError(f"{raw.what}: experts of this family are read in floats and MXFP4 alone")
