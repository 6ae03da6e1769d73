"""A model whose weights lie on no quantization's grid, made from one whose weights do.

SmolLM2 ships in Q4_1: sixteen levels for 32 weights, and quantizing them to that form again loses
nothing and proves nothing. Two ways off: *dithered*, other weights of about the same model, as the
original's were before they were rounded; *rotated*, other weights of the very same function.

Knows Llama's names, and no files. Shapes: N outputs, K inputs, D model width.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from farthing.errors import FormatError
from farthing.formats.types import Tensors
from farthing.weight import Matrix, bf16_to_f32, f32_to_bf16

Weights = NDArray[np.float32]
State = dict[str, Weights]
"""Matrices [N, K] and vectors [N] by their Hugging Face names."""

EMBEDDING, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
READERS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}
"""Of each norm of a block, what reads the stream behind it."""
WRITERS = ("self_attn.o_proj", "mlp.down_proj")
"""What a block adds to the stream."""


def dithered(tensors: Tensors, seed: int) -> State:
    """Every weight of a matrix plus uniform noise of up to half its block's step.

    FormatError for a matrix that has no step (bf16), where there is nothing to undo.
    """
    random, state = np.random.default_rng(seed), {}
    for name in tensors.names():
        read = tensors.tensor(name)
        if not isinstance(read, Matrix):
            state[name] = rounded(read)
            continue
        noise = random.uniform(-0.5, 0.5, read.shape).astype(np.float32)
        state[name] = rounded(read.dequantize() + noise * steps(name, read))
    return state


def steps(name: str, matrix: Matrix) -> Weights:
    """[N, K] how far the next level of each weight lies. FormatError as in `dithered`."""
    if matrix.form.bits == 16 or matrix.form.lookup != "none":
        raise FormatError(f"{name}: {matrix.form.name} has no even steps; int4 or int8 expected")
    scale, _ = matrix.groups()
    return np.abs(np.repeat(scale, matrix.form.group, 1)[:, : matrix.shape[1]])


def exact(tensors: Tensors) -> State:
    """The weights as they are, in fp32."""
    read = ((name, tensors.tensor(name)) for name in tensors.names())
    return {n: t.dequantize() if isinstance(t, Matrix) else np.asarray(t) for n, t in read}


def rotated(config: Mapping[str, object], state: State, seed: int) -> State:
    """The same function in other weights: the residual stream turned by a random rotation.

    A norm without weights commutes with a rotation, so each norm's weights go first into the
    matrices that read behind it (and become ones); then what reads the stream is turned on its
    input side and what writes to it on its output side. The head reads behind the last norm and
    the embedding does not, so that they part: the model is no longer tied. In fp64, not rounded.

    QuaRot's turn (2404.00456), with a rotation that is random throughout. FormatError for a model
    that is not plain Llama.
    """
    if config.get("model_type") != "llama" or config.get("attention_bias"):
        raise FormatError(f"model_type {config.get('model_type')!r}: only plain llama is rotated")
    turn = rotation(state[NORM].size, seed)
    made = dict(state)
    made[EMBEDDING] = _f32(state[EMBEDDING] @ turn)
    made[HEAD] = _f32(state.get(HEAD, state[EMBEDDING]) * _wide(state[NORM]) @ turn)
    made[NORM] = np.ones_like(state[NORM])
    for prefix in blocks(state):
        for norm, readers in READERS.items():
            weight = _wide(state[f"{prefix}.{norm}.weight"])
            made[f"{prefix}.{norm}.weight"] = np.ones_like(weight, np.float32)
            for reader in readers:
                name = f"{prefix}.{reader}.weight"
                made[name] = _f32(state[name] * weight @ turn)
        for writer in WRITERS:
            name = f"{prefix}.{writer}.weight"
            made[name] = _f32(turn.T @ state[name])
    return made


def rotation(width: int, seed: int) -> NDArray[np.float64]:
    """[D, D] orthogonal, drawn evenly from all of them (Mezzadri 2007, math-ph/0609050)."""
    drawn = np.random.default_rng(seed).standard_normal((width, width))
    turn, upper = np.linalg.qr(drawn)
    return np.asarray(turn * np.sign(np.diag(upper)))


def rounded(values: Weights) -> Weights:
    """To bf16 and back: the numbers that a file of 16 bits holds."""
    plain = np.ascontiguousarray(values, np.float32)
    return bf16_to_f32(f32_to_bf16(plain)).reshape(values.shape)


def blocks(state: State) -> Iterator[str]:
    """model.layers.0, model.layers.1, ..."""
    layer = 0
    while f"model.layers.{layer}.input_layernorm.weight" in state:
        yield f"model.layers.{layer}"
        layer += 1


def _wide(values: Weights) -> NDArray[np.float64]:
    return values.astype(np.float64)


def _f32(values: NDArray[np.float64]) -> Weights:
    return values.astype(np.float32)
