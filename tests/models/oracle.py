"""Small random checkpoints made by transformers, and both sides' logits. Shared by tests here."""

from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from farthing import models
from farthing.ops import reference
from farthing.ops.reference_cache import Cache, Step
from farthing.ops.reference_linear import bind
from models.canonical import canonical, matrices

Logits = NDArray[np.float32]


def checkpoint(family: str, **config: Any) -> tuple[dict[str, Any], Any]:
    """A random model of transformers, fp32, and its config.json as a dict.

    Weights are large enough that logits spread over several units, and exact in bf16.
    """
    small = {
        "vocab_size": 97,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
    }
    torch.manual_seed(5)
    made = transformers.AutoConfig.for_model(family, **(small | config))
    theirs = transformers.AutoModelForCausalLM.from_config(made, attn_implementation="eager")
    return made.to_dict(), randomised(theirs)


def randomised(theirs: Any) -> Any:
    theirs = theirs.eval().float()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            centre = 1.0 if "norm" in name else 0.0
            values = centre + 0.25 * torch.randn_like(parameter)
            parameter.copy_(values.bfloat16().float())
        for name, buffer in theirs.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.25 * torch.randn_like(buffer))
    return theirs


def ours(config: dict[str, Any], theirs: Any) -> Any:
    """The same model, its weights taken by name; matrices as bf16, which loses nothing here."""
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    return models.load(config, bind(matrices(canonical(state, config))))


def their_logits(theirs: Any, tokens: list[int]) -> Logits:
    with torch.no_grad():
        return theirs(torch.tensor([tokens])).logits[0].float().numpy()


def our_logits(model: Any, tokens: list[int], chunk: int = 0) -> Logits:
    """Logits of every token; `chunk` tokens a step, 0 for all at once."""
    cache = Cache.empty(model.shape.layers)
    size = chunk or len(tokens)
    return np.concatenate(
        [
            model.forward(Step.of([(0, at, tokens[at : at + size])]), cache)
            for at in range(0, len(tokens), size)
        ]
    )


def their_routing(theirs: Any, tokens: list[int]) -> list[tuple[Any, Any]]:
    """Of each layer of experts: the experts of each token, ascending, and their weights."""
    found: list[tuple[Any, Any]] = []

    def keep(module: Any, given: tuple[Any, ...]) -> None:
        ids, order = given[1].sort(dim=-1)
        found.append((ids.numpy(), given[2].gather(1, order).float().numpy()))

    hooks = [
        module.register_forward_pre_hook(keep)
        for name, module in theirs.named_modules()
        if name.endswith(".experts")
    ]
    their_logits(theirs, tokens)
    for hook in hooks:
        hook.remove()
    return found


def our_routing(model: Any, tokens: list[int]) -> list[tuple[Any, Any]]:
    """The same of ours."""
    found: list[tuple[Any, Any]] = []

    def keep(*given: Any) -> Any:
        routed = route(*given)
        found.append((routed.ids, routed.weights))
        return routed

    route = reference.route
    with patch.object(reference, "route", keep):
        our_logits(model, tokens)
    return found


def some_tokens(count: int, vocabulary: int = 97, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(0, vocabulary, count).tolist()
