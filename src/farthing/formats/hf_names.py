"""What families call their tensors, put into one language, and which of them are left out."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from farthing.errors import FormatError

EXPERT = re.compile(
    r"(model\.layers\.\d+\.mlp\.experts)\.(0|[1-9]\d{0,5})\.((?:gate|up|down)_proj\.weight)"
)
FUSED = re.compile(r"(model\.layers\.\d+\.mlp\.experts)\.(gate_up|down)_proj(_bias)?")
LATENT = re.compile(r"(model\.layers\.\d+\.self_attn)\.kv_b_proj\.weight")

_LAYER = re.compile(r"model\.layers\.(0|[1-9]\d{0,5})\..+")
_MIXTRAL = re.compile(r"(\.mlp\.experts\.\d+)\.w([123])\.weight$")
_W = {"1": "gate_proj", "2": "down_proj", "3": "up_proj"}
_RENAMED = (
    (".block_sparse_moe.input_linear.weight", ".mlp.experts.gate_up_proj"),
    (".block_sparse_moe.output_linear.weight", ".mlp.experts.down_proj"),
    (".block_sparse_moe.router.layer.weight", ".mlp.gate.weight"),
    (".block_sparse_moe.", ".mlp."),
    (".mlp.router.", ".mlp.gate."),
)


def canonical(name: str) -> str:
    """Mixtral's, Granite's and gpt-oss's names as Qwen and DeepSeek would write them."""
    if _LAYER.fullmatch(name):
        for theirs, ours in _RENAMED:
            name = name.replace(theirs, ours)
        name = _MIXTRAL.sub(lambda found: f"{found[1]}.{_W[found[2]]}.weight", name)
    return name


def left_out(names: Collection[str], config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """name -> (pattern, reason) of the tensors that the base model does without.

    Raises FormatError for a layer beyond the last one that is no multi-token prediction layer.
    """
    tied, layers = config.get("tie_word_embeddings"), config.get("num_hidden_layers")
    found = {}
    for name in names:
        layer = _LAYER.fullmatch(name)
        if layer and type(layers) is int and int(layer[1]) >= layers:
            at = f"model.layers.{layer[1]}"
            if f"{at}.eh_proj.weight" not in names:
                raise FormatError(
                    f"tensor {name[:80]!r}: num_hidden_layers of config.json is {layers}, and"
                    f" this is of no multi-token prediction layer; one of the two is wrong"
                )
            found[name] = f"{at}.*", "a multi-token prediction layer"
        elif name.endswith("rotary_emb.inv_freq"):
            found[name] = "*.rotary_emb.inv_freq", "follows from config.json"
        elif tied and name == "lm_head.weight":
            found[name] = name, "config.json ties it to the embedding"
    return found


def lines(found: Mapping[str, tuple[str, str]]) -> list[str]:
    """What `left_out` found, one line a pattern."""
    return [
        f"{pattern} ({count} tensors): {reason}" if "*" in pattern else f"{pattern}: {reason}"
        for (pattern, reason), count in Counter(found.values()).items()
    ]
