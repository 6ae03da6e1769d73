"""The references that quantizers are held to: SmolLM2's weights off the grid they ship on.

Each is a folder: a Hugging Face checkpoint in bf16, and reference.gguf with the same numbers for
llama.cpp. Rounded to 16 bits once, the file is the reference: everybody starts from what it holds.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from farthing import formats
from farthing.bench.off_grid import HEAD, State, dithered, exact, rotated, rounded
from farthing.formats import safetensors
from farthing.formats.types import Checkpoint
from farthing.tokenizer import gguf as vocabulary
from farthing.weight import f32_to_bf16

NAMES = ("dithered", "rotated")
SEED = 20261122
GGUF = "reference.gguf"
OF_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": HEAD,
}


def made(name: str, shipped: Path, under: Path) -> Path:
    """The folder of a reference, written once: beside, then renamed."""
    folder = under / f"{name}-{SEED}"
    if folder.exists():
        return folder
    checkpoint = formats.open(shipped)
    state, config = drawn(name, checkpoint)
    beside = under / f".{name}.{os.getpid()}"
    beside.mkdir(parents=True)
    try:
        write_folder(beside, config, state, checkpoint)
        write_gguf(beside / GGUF, shipped, config, state)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def drawn(name: str, checkpoint: Checkpoint) -> tuple[State, dict[str, Any]]:
    """The weights of a reference, exact in bf16, and its config.json."""
    config = dict(checkpoint.config)
    if name == "dithered":
        return dithered(checkpoint, SEED), config
    state = rotated(config, exact(checkpoint), SEED)
    config["tie_word_embeddings"] = False
    return {name: rounded(values) for name, values in state.items()}, config


def write_folder(folder: Path, config: dict[str, Any], state: State, whose: Checkpoint) -> None:
    config = config | {"torch_dtype": "bfloat16"}
    texts = vocabulary.files(whose.metadata) | {"config.json": json.dumps(config, indent=2)}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    tensors = {
        name: safetensors.Tensor("BF16", values.shape, codes(values).view(np.uint8).reshape(-1))
        for name, values in state.items()
    }
    safetensors.write(folder / "model.safetensors", tensors, {"format": "pt"})


def codes(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.ascontiguousarray(f32_to_bf16(values))


def write_gguf(path: Path, shipped: Path, config: dict[str, Any], state: State) -> None:
    """Keys and vocabulary as shipped; matrices in BF16, vectors in F32, as llama.cpp keeps them."""
    reader = gguf.GGUFReader(shipped)
    writer = gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = field.contents()
        if field.name == "general.file_type":
            value = gguf.LlamaFileType.MOSTLY_BF16
        writer.add_key_value(field.name, value, field.types[0], inner)
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    for theirs, name, head in names(config["num_hidden_layers"]):
        if name not in state:
            continue
        values = state[name]
        if head in heads:
            values = interleaved(values, config[heads[head]])
        if values.ndim == 1:
            writer.add_tensor(theirs, values)
        else:
            raw = codes(values).view(np.uint8)
            writer.add_tensor(theirs, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def names(layers: int) -> list[tuple[str, str, str]]:
    """GGUF's name, Hugging Face's, and GGUF's within the block."""
    found = [(theirs, ours, "") for theirs, ours in OUTER.items()]
    for layer in range(layers):
        for theirs, ours in OF_BLOCK.items():
            place = f"model.layers.{layer}.{ours}.weight"
            found.append((f"blk.{layer}.{theirs}.weight", place, theirs))
    return found


def interleaved(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of q and k as llama files hold them: the two halves of a head taken in turn."""
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)
