"""Which bytes of a GGUF file make which of our tensors: stacks, halves of fused ones, row order.

All are taken over exactly, block by block, but three: F16 and F32 round to bf16 (`blocks`); routers
and gates of another form than bf16 do; and so does the K part of a `kv_b` that is not split, which
has to be transposed, so that its groups would lie across the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.gguf_file import Entry, File
from farthing.formats.gguf_gather import Found, gather
from farthing.formats.gguf_names import FREQUENCIES, PERMUTED, layer_of, name_from_gguf
from farthing.formats.gguf_sizes import Sizes
from farthing.formats.types import ALL, ROUNDED, Shape, Vector
from farthing.weight import BF16, Form, Matrix, dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of our tensors: `shape` and `form` as in Layout, `sources` the file's names.

    Matrix e of a stack is rows e * stride + begin and on of the one source, or all of source e; a
    matrix is as if e were 0. With heads, the rows of each are permuted for interleaved rotation;
    turned is stored transposed.
    """

    sources: tuple[str, ...]
    shape: Shape
    form: Form | None
    begin: int = 0
    stride: int = 0
    heads: int = 0
    turned: bool = False


def parts_of(
    where: str, architecture: str, entries: Mapping[str, Entry], config: Mapping[str, Any]
) -> tuple[dict[str, Part], list[str]]:
    """Our names -> where they lie, and one line for each layer that the model does without.

    Raises FormatError naming a tensor that is unknown, missing or of another shape.
    """
    sizes = Sizes.of(config)
    found: dict[str, Part] = {}
    predicting: dict[int, int] = {}
    for one in gather(where, entries):
        layer = layer_of(one.name)
        if layer is not None and layer >= sizes.layers:
            predicting[layer] = predicting.get(layer, 0) + len(one.sources)
        elif one.name != FREQUENCIES:
            made = _parts(where, architecture, one, entries[one.sources[0]].block.form, sizes)
            for twice in made.keys() & found.keys():
                both = f"{one.sources[0]} and {found[twice].sources[0]}"
                raise FormatError(f"{where}: {both} are both {twice}")
            found |= made
    _check_predicting(where, sorted(predicting), config)
    sizes.check_whole(where, found)
    lines = (
        f"model.layers.{layer}.* ({count} tensors): a multi-token prediction layer"
        for layer, count in sorted(predicting.items())
    )
    return found, list(lines)


def read(file: File, part: Part, rows: slice = ALL, index: int | None = None) -> Matrix | Vector:
    """The numbers of a part, rounded to bf16 where its form differs from the file's."""
    many = len(part.sources) > 1
    source = part.sources[index or 0 if many else 0]
    block, raw = file.entries[source].block, file.raw(source)
    if part.form is None:
        values = block.vector(raw).reshape(part.shape)
        return (values[_order(part)] if part.heads else values)[rows]
    lines = _lines(part, raw, index)
    if part.turned:
        return dense(np.ascontiguousarray(block.matrix(lines).dequantize().T[rows]))
    matrix = block.matrix(lines[_order(part)[rows]] if part.heads else lines[rows])
    return matrix if matrix.form == part.form else dense(matrix.dequantize())


def values(file: File, part: Part, index: int | None = None) -> Vector:
    """The same numbers whole, as fp32, with nothing rounded to bf16."""
    source = part.sources[index or 0 if len(part.sources) > 1 else 0]
    block, raw = file.entries[source].block, file.raw(source)
    if part.form is None:
        found = block.vector(raw).reshape(part.shape)
    else:
        found = block.floats(_lines(part, raw, index))
    if part.heads:
        found = found[_order(part)]
    return np.ascontiguousarray(found.T) if part.turned else found


def _lines(part: Part, raw: NDArray[Any], index: int | None) -> NDArray[Any]:
    """The file's rows that make a matrix, or matrix `index` of a stack."""
    assert (index is None) == (len(part.shape) == 2), f"{part.sources[0]}: matrix {index}"
    first = part.begin if len(part.sources) > 1 else (index or 0) * part.stride + part.begin
    return raw[first : first + (part.shape[-1] if part.turned else part.shape[-2])]


def _parts(where: str, architecture: str, one: Found, form: Form, sizes: Sizes) -> dict[str, Part]:
    ours = name_from_gguf(architecture, one.name)
    what = f"{where}: tensor {one.shown} {list(one.shape)}"
    if ours is None:
        raise FormatError(
            f"{what} has no place in a model of architecture {architecture}; it is not supported"
        )
    expected = sizes.expected(ours)
    if expected is None and len(one.shape) > 2:
        raise FormatError(f"{what}: one or two dimensions expected")
    if expected is not None and one.shape not in expected:
        raise FormatError(f"{what}: {list(expected[0])} expected, by {sizes.reasons}")
    shape = expected[0] if expected else one.shape
    part = Part(sources=one.sources, shape=shape, form=_form(ours, form, shape))
    if len(shape) == 3:
        part = replace(part, stride=shape[1])
    if architecture in PERMUTED:
        part = replace(part, heads=_heads(what, ours, shape[0], sizes))
    return _split(ours, part, sizes)


def _form(ours: str, form: Form, shape: Shape) -> Form | None:
    if len(shape) == 1 or ours.endswith("bias"):
        return None
    return BF16 if ours.endswith(ROUNDED) else form


def _split(ours: str, part: Part, sizes: Sizes) -> dict[str, Part]:
    """Two of ours that llama.cpp keeps in one; otherwise the part itself."""
    stem = ours.rpartition(".")[0]
    if stem.endswith("experts.gate_up_proj"):  # an expert's gate first, then its up
        half = (sizes.experts, sizes.inner, sizes.width)
        stem = stem.removesuffix("gate_up_proj")
        return {
            f"{stem}gate_proj.weight": replace(part, shape=half),
            f"{stem}up_proj.weight": replace(part, shape=half, begin=sizes.inner),
        }
    if stem.endswith("kv_b_proj"):  # a head's keys first, then its values
        stem = stem.removesuffix("kv_b_proj")
        stride = sizes.nope + sizes.value
        keys = replace(part, shape=sizes.keys, form=BF16, stride=stride, turned=True)
        values = replace(part, shape=sizes.values, stride=stride, begin=sizes.nope)
        return {f"{stem}k_b_proj.weight": keys, f"{stem}v_b_proj.weight": values}
    return {ours: part}


def _heads(what: str, ours: str, rows: int, sizes: Sizes) -> int:
    heads = {"q_proj": sizes.heads, "k_proj": sizes.kv_heads}.get(ours.split(".")[-2])
    if heads is None:
        return 0
    if not heads or rows % (2 * heads):
        raise FormatError(f"{what} has {rows} rows for {heads} heads")
    return heads


def _order(part: Part) -> NDArray[np.intp]:
    """Where each of Hugging Face's rows lies in the file, for permuted q and k."""
    return np.arange(part.shape[0]).reshape(part.heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _check_predicting(where: str, layers: list[int], config: Mapping[str, Any]) -> None:
    """Only as many layers may lie behind the last as `nextn_predict_layers` says."""
    past = config["num_hidden_layers"] + config.get("num_nextn_predict_layers", 0)
    if layers and layers[-1] >= past:
        raise FormatError(
            f"{where}: tensors of blk.{layers[-1]}, and block_count makes it {past} layers"
        )
