"""What transformers holds in memory, as the tensors that readers hand out and pages take."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from farthing import weight
from farthing.ops.reference_linear import Tensor

NAMES = {
    "block_sparse_moe.": "mlp.",
    "mlp.router.": "mlp.gate.",
    "experts.gate_up_proj_bias": "experts.gate_up_proj.bias",
    "experts.down_proj_bias": "experts.down_proj.bias",
}


def canonical(state: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A state_dict of NumPy or torch arrays by canonical names. Experts are [E, N, K]."""
    found: dict[str, Any] = {}
    for name, tensor in state.items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        if not (name == "lm_head.weight" and config.get("tie_word_embeddings")):
            found |= _of_one(name, tensor, config)
    return found


def matrices(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """As `bind` takes them: matrices in bf16, which loses nothing in tests, stacks as lists."""

    def of(name: str, tensor: Any) -> Tensor:
        if tensor.ndim == 3:
            return [weight.dense(one) for one in tensor]
        is_matrix = tensor.ndim == 2 and not name.endswith(".bias")
        return weight.dense(tensor) if is_matrix else np.asarray(tensor)

    return {name: of(name, tensor) for name, tensor in tensors.items()}


def _of_one(name: str, tensor: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    if name.endswith("kv_b_proj.weight"):
        return dict(_keys_and_values(name, tensor, config))
    if ".experts." not in name:
        return {name: tensor}
    if not name.endswith(".bias"):
        name = f"{name}.weight"
        if config.get("model_type") == "gpt_oss":
            tensor = tensor.swapaxes(1, 2)
    if "gate_up_proj" not in name:
        return {name: tensor}
    half = tensor.shape[1] // 2
    gate, up = tensor[:, :half], tensor[:, half:]
    if config.get("model_type") == "gpt_oss":
        gate, up = tensor[:, 0::2], tensor[:, 1::2]
    return {name.replace("gate_up", "gate"): gate, name.replace("gate_up", "up"): up}


def _keys_and_values(
    name: str, tensor: Any, config: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    nope, rank = config["qk_nope_head_dim"], config["kv_lora_rank"]
    heads = tensor.reshape(-1, nope + config["v_head_dim"], rank)
    yield name.replace("kv_b_proj", "k_b_proj"), heads[:, :nope].swapaxes(1, 2)
    yield name.replace("kv_b_proj", "v_b_proj"), heads[:, nope:]
