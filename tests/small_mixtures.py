"""Every family with experts or latents, as a user meets it: a small checkpoint of transformers,
saved to a folder, pulled, packed. Shared by tests of the native side, the engine and the server.

Widths are such that the native side runs them; weights are those that say something (see oracle).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from farthing import store
from models import deepseek_checkpoints as deepseek
from models.oracle import checkpoint
from server.toy_model import write_toy

VOCABULARY = 259
"""The toy tokenizer's: three special tokens and every byte."""
LIKELY = slice(67, 91)
"""Tokens that answers are made of: letters from a to x."""
TOLD = 8
QUERIES = ("q_proj.weight", "q_b_proj.weight", "q_norm.weight")
ROUTERS = ("mlp.gate.weight", "router.weight")
BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
EIGHT: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24}
OLMOE: dict[str, Any] = {
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "pad_token_id": None,
    "eos_token_id": None,
}
LOCAL: dict[str, Any] = {"num_local_experts": 6, "num_experts_per_tok": 2}
LATENT = deepseek.SHARED | {"num_key_value_heads": 4, "v_head_dim": 16, "n_shared_experts": 1}
YARN = {"rope_parameters": deepseek.YARN}
ONE_MSCALE = {"rope_parameters": deepseek.YARN | {"mscale": 1.0}}
GPT_OSS: dict[str, Any] = LOCAL | {
    "num_local_experts": 8,
    "head_dim": 16,
    "intermediate_size": 96,
    "sliding_window": 7,
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 500.0,
        "factor": 8.0,
        "truncate": False,
        "original_max_position_embeddings": 32,
    },
}
GLM: dict[str, Any] = deepseek.EXPERTS | {
    "head_dim": 16,
    "partial_rotary_factor": 0.5,
    "use_qk_norm": True,
    "attention_bias": True,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
}
FP4 = "gpt_oss, mxfp4"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_moe": ("qwen3_moe", EIGHT | {"head_dim": 24, "norm_topk_prob": True}),
    "qwen2_moe": ("qwen2_moe", EIGHT | {"shared_expert_intermediate_size": 40}),
    "mixtral": ("mixtral", LOCAL),
    "olmoe": ("olmoe", OLMOE),
    "deepseek": ("deepseek", {"norm_topk_prob": False}),
    "deepseek_v2": ("deepseek_v2", LATENT | YARN),
    "deepseek_v2, low queries, groups": (
        "deepseek_v2",
        LATENT | deepseek.LIMITED | ONE_MSCALE | {"q_lora_rank": 24},
    ),
    "deepseek_v3": (
        "deepseek_v3",
        LATENT | deepseek.GROUPS | ONE_MSCALE | {"q_lora_rank": 24, "norm_topk_prob": True},
    ),
    "kimi_k2": ("kimi_k2", LATENT | deepseek.ONE_GROUP | YARN | {"q_lora_rank": 32}),
    "glm4_moe": ("glm4_moe", GLM),
    "gpt_oss": ("gpt_oss", GPT_OSS),
    FP4: ("gpt_oss", GPT_OSS),
    "granitemoe": (
        "granitemoe",
        LOCAL
        | {
            "embedding_multiplier": 2.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.2,
            "logits_scaling": 4.0,
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Pulled:
    """The packed folder, and the model of transformers that it came from."""

    folder: Path
    theirs: Any


def pulled(at: Path, case: str, **changes: Any) -> Pulled:
    """Saves, pulls (to FARTHING_HOME) and packs the model of a case; `at` is made."""
    theirs = source(at, case, **changes)
    return Pulled(store.pull(str(at)).model.folder, theirs)


def source(at: Path, case: str, **changes: Any) -> Any:
    """The folder as the hub would have it, tokenizer and all; returns transformers' model."""
    family, given = CASES[case]
    given = BASE | given | changes
    if family == "deepseek":
        config, theirs = deepseek.plain_heads(given)
        _clear(theirs)
        _by_hand(at, config, theirs)
    else:
        _, theirs = checkpoint(family.replace("kimi_k2", "deepseek_v3"), **given)
        _clear(theirs)
        if case == FP4:
            theirs.save_pretrained(at, state_dict=theirs.state_dict() | _fp4(theirs))
            _without_floats(at)
        else:
            theirs.save_pretrained(at)
        _config(at, model_type=family)
    write_toy(at)
    return theirs


def _clear(theirs: Any) -> None:
    """So that rounding seldom decides what comes out.

    A few tokens are far likelier than others. Routers go by the first numbers of the stream alone,
    which no layer adds to: of two experts the same is the better one, however numbers are rounded.
    Attention looks at many tokens rather than at one of two.
    """
    hidden = theirs.config.hidden_size
    with torch.no_grad():
        theirs.lm_head.weight *= 0.125
        theirs.lm_head.weight[LIKELY] *= 8
        theirs.model.embed_tokens.weight *= 4
        for name, parameter in theirs.named_parameters():
            if name.endswith(ROUTERS):
                parameter[:, TOLD:] = 0
                parameter[:, :TOLD] *= 4
            elif name.endswith(QUERIES):
                parameter *= 0.25
            elif "o_proj" in name or "down_proj" in name:
                across = parameter.shape.index(hidden)
                parameter.narrow(across, 0, TOLD).zero_()


def _config(at: Path, **changes: Any) -> None:
    path = at / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _by_hand(at: Path, config: dict[str, Any], theirs: Any) -> None:
    """A model that has no class in transformers, its experts one by one as on the hub."""
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in theirs.state_dict().items():
        stem, _, kind = name.rpartition(".experts.")
        if not stem:
            tensors[name] = tensor
            continue
        parts = {"down": tensor}
        if kind == "gate_up_proj":
            parts = dict(zip(("gate", "up"), tensor.chunk(2, dim=1), strict=True))
        for part, stack in parts.items():
            for e, one in enumerate(stack):
                tensors[f"{stem}.experts.{e}.{part}_proj.weight"] = one.clone()
    at.mkdir(parents=True)
    save_file(tensors, at / "model.safetensors")
    (at / "config.json").write_text(json.dumps(config))


def _fp4(theirs: Any) -> dict[str, torch.Tensor]:
    """Random MXFP4 experts as gpt-oss has them; transformers' model takes their exact numbers."""
    torch.manual_seed(6)
    found = {}
    for name, parameter in theirs.named_parameters():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            continue
        experts, columns, rows = parameter.shape
        shape = (experts, rows, columns // 32)
        blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8)
        if "down" in name:
            blocks[:, :TOLD] = 0
        scales = torch.randint(122, 125, shape, dtype=torch.uint8)
        numbers = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        parameter.data.copy_(numbers)
        found |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
    return found


def _without_floats(at: Path) -> None:
    """Experts in FP4 take the place of those in floats."""
    path = at / "model.safetensors"
    tensors = load_file(path)
    kept = {n: t for n, t in tensors.items() if f"{n}_blocks" not in tensors}
    save_file(kept, path)
    _config(at, quantization_config={"quant_method": "mxfp4"})
