"""Small checkpoints written by hand, whole or damaged, for the tests of formats and store."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"u32": 4, "i32": 5, "f32": 6, "bool": 7, "string": 8, "array": 9, "u64": 10}
PACKING = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_1": (3, 32, 20), "Q8_0": (8, 32, 34)}


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(kind: str, item: Any) -> bytes:
    """An item of a metadata value, after its type: arrays are (kind, items)."""
    if kind == "string":
        return text(item)
    if kind == "array":
        inner, items = item
        head = struct.pack("<IQ", KINDS[inner], len(items))
        return head + b"".join(value(inner, one) for one in items)
    return struct.pack(PACKING[KINDS[kind]], item)


def pair(key: str, kind: str, item: Any) -> bytes:
    return text(key) + struct.pack("<I", KINDS[kind]) + value(kind, item)


def info(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    """`shape` as Hugging Face writes it."""
    dimensions = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    return (
        text(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", kind, offset)
    )


def gguf_bytes(
    pairs: Sequence[bytes],
    tensors: Mapping[str, tuple[Sequence[int], str, bytes]],
    version: int = 3,
) -> bytes:
    """A whole file of named tensors: shape, type's name, bytes."""
    infos, data = [], b""
    for name, (shape, kind, raw) in tensors.items():
        data += b"\0" * (-len(data) % 32)
        infos.append(info(name, shape, TYPES[kind][0], len(data)))
        data += raw
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    head += b"".join(pairs) + b"".join(infos)
    return head + b"\0" * (-len(head) % 32) + data


def toy_settings(architecture: str = "llama", **changed: tuple[str, Any]) -> list[bytes]:
    """Metadata of the toy: 2 heads of 16, one of keys, width 32, one layer, 8 words.

    `changed` replaces or adds `architecture.key`, dots in keys written as __; None leaves it out.
    """
    keys: dict[str, tuple[str, Any] | None] = {
        "block_count": ("u32", 1),
        "context_length": ("u32", 64),
        "embedding_length": ("u32", 32),
        "feed_forward_length": ("u32", 64),
        "attention__head_count": ("u32", 2),
        "attention__head_count_kv": ("u32", 1),
        "attention__layer_norm_rms_epsilon": ("f32", 1e-5),
        "rope__freq_base": ("f32", 10000.0),
    }
    keys |= changed
    made = [pair("general.architecture", "string", architecture)]
    for key, item in keys.items():
        if item is not None:
            made.append(pair(f"{architecture}.{key.replace('__', '.')}", *item))
    return made


def vocabulary(words: int = 8) -> list[bytes]:
    tokens = ["<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"][:words]
    return [
        pair("tokenizer.ggml.model", "string", "gpt2"),
        pair("tokenizer.ggml.pre", "string", "smollm"),
        pair("tokenizer.ggml.tokens", "array", ("string", tokens)),
        pair("tokenizer.ggml.token_type", "array", ("i32", [3, 3] + [1] * (words - 2))),
        pair("tokenizer.ggml.merges", "array", ("string", [])),
        pair("tokenizer.ggml.bos_token_id", "u32", 0),
        pair("tokenizer.ggml.eos_token_id", "u32", 1),
    ]


SHAPES = {
    "token_embd.weight": (8, 32),
    "blk.0.attn_norm.weight": (32,),
    "blk.0.attn_q.weight": (32, 32),
    "blk.0.attn_k.weight": (16, 32),
    "blk.0.attn_v.weight": (16, 32),
    "blk.0.attn_output.weight": (32, 32),
    "blk.0.ffn_norm.weight": (32,),
    "blk.0.ffn_gate.weight": (64, 32),
    "blk.0.ffn_up.weight": (64, 32),
    "blk.0.ffn_down.weight": (32, 64),
    "output_norm.weight": (32,),
}


def toy_tensors(seed: int = 0) -> dict[str, tuple[Sequence[int], str, bytes]]:
    """Every tensor of the toy: matrices in F16, vectors in F32."""
    random, made = np.random.default_rng(seed), {}
    for name, shape in SHAPES.items():
        numbers = random.standard_normal(shape)
        kind = "F32" if len(shape) == 1 else "F16"
        made[name] = (shape, kind, numbers.astype("<f4" if kind == "F32" else "<f2").tobytes())
    return made


def toy_gguf(path: Path, seed: int = 0) -> Path:
    path.write_bytes(gguf_bytes(toy_settings() + vocabulary(), toy_tensors(seed)))
    return path


def safetensors_bytes(header: Mapping[str, Any] | bytes, data: bytes) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


HF_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
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
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 8,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


def hf_name(name: str) -> str:
    stem = name.removeprefix("blk.0.").removesuffix(".weight")
    layer = "model.layers.0." if name.startswith("blk.") else ""
    return f"{layer}{HF_NAMES[stem]}.weight"


def toy_arrays(seed: int = 0) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    random = np.random.default_rng(seed)
    return {
        hf_name(name): random.standard_normal(shape).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def toy_folder(folder: Path, seed: int = 0, shards: int = 1) -> Path:
    """A Hugging Face folder of the toy, its weights in F32, in one file or several."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    words = {word: i for i, word in enumerate(["<s>", "</s>", *"abcdef"])}
    bpe = {"model": {"type": "BPE", "vocab": words, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(bpe))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    arrays = toy_arrays(seed)
    if shards == 1:
        save_file(arrays, folder / "model.safetensors")
        return folder
    files = {name: f"model-{i % shards + 1:05}.safetensors" for i, name in enumerate(arrays)}
    for file in set(files.values()):
        part = {name: arrays[name] for name, where in files.items() if where == file}
        save_file(part, folder / file)
    index = json.dumps({"weight_map": files})
    (folder / "model.safetensors.index.json").write_text(index)
    return folder
