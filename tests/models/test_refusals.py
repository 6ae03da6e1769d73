"""A config that a page cannot run is refused by name, before a weight is read."""

from typing import Any

import pytest
from oracle import checkpoint, ours

from farthing import models
from farthing.errors import FormatError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
}
QWEN = LLAMA | {"model_type": "qwen2"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "model_type is None"),
        ({"model_type": "gpt2"}, "'gpt2'.*does not run;.* llama, mistral, .*qwen3_moe"),
        ({"model_type": "x", "auto_map": {"AutoConfig": "x.py"}}, "auto_map.*none is ever run"),
        ({"model_type": ["llama"]}, "model_type"),
        (LLAMA | {"hidden_act": "gelu"}, "hidden_act is 'gelu'; known: silu"),
        (LLAMA | {"num_attention_heads": 0}, "num_attention_heads is 0"),
        (LLAMA | {"num_hidden_layers": 1 << 60}, "num_hidden_layers"),
        (LLAMA | {"hidden_size": -48}, "hidden_size is -48"),
        (LLAMA | {"vocab_size": "97"}, "vocab_size is '97'"),
        (LLAMA | {"vocab_size": True}, "vocab_size is True"),
        (LLAMA | {"num_key_value_heads": 2}, "3 attention heads do not share 2"),
        (LLAMA | {"head_dim": 12}, "12 wide; expected a multiple of 8"),
        (LLAMA | {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
        (LLAMA | {"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'"),
        (LLAMA | {"attention_bias": 3}, "attention_bias is 3"),
        (LLAMA | {"sliding_window": 64}, "llama with a sliding_window"),
        (LLAMA | {"model_type": "mistral", "layer_types": ["full_attention"] * 2}, "layer_types"),
        (LLAMA | {"model_type": "mistral", "sliding_window": 0}, "sliding_window is 0"),
        (QWEN | {"layer_types": ["full_attention"]}, "not a list of 2 kinds"),
        (QWEN | {"layer_types": ["full_attention", "chunked"]}, "'chunked' is not known"),
        (QWEN | {"layer_types": ["sliding_attention"] * 2}, "no sliding_window is in use"),
    ],
)
def test_a_wrong_config_is_named(config: dict[str, Any], message: str) -> None:
    _, theirs = checkpoint("llama", num_hidden_layers=2)
    with pytest.raises(FormatError, match=message):
        ours(config, theirs)


def test_a_missing_tensor_is_named() -> None:
    with pytest.raises(FormatError, match=r"no tensor model\.embed_tokens\.weight"):
        models.load(LLAMA, {})


def test_a_tensor_of_another_shape_is_named() -> None:
    config, theirs = checkpoint("llama")
    with pytest.raises(FormatError, match=r"q_proj\.weight is \[48, 48\].*\[96, 48\]"):
        ours(config | {"head_dim": 32}, theirs)


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        (LLAMA, (0, 0)),
        (LLAMA | {"model_type": "mistral"}, (4096, 4096)),
        (LLAMA | {"model_type": "mistral", "sliding_window": None}, (0, 0)),
        (QWEN | {"sliding_window": 7, "max_window_layers": 1}, (0, 0)),
        (QWEN | {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}, (0, 7)),
    ],
)
def test_the_shape_tells_what_a_cache_needs(
    config: dict[str, Any], windows: tuple[int, ...]
) -> None:
    _, theirs = checkpoint(config["model_type"], num_hidden_layers=2)
    shape = ours(config, theirs).shape
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head_dim) == (2, 3, 1, 16)
    assert (shape.vocabulary, shape.max_context, shape.windows) == (97, 128, windows)
