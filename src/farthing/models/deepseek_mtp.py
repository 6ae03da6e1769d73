"""Multi-token prediction (DeepSeek-V3, 2412.19437, section 2.2): one token further.

From the main model's last hidden state at a token and the embedding of the token after it, one
more block guesses the one after that. Embedding and head are the main model's. In a checkpoint it
is the layer after the last, as the released weights have it.
"""

from collections.abc import Mapping
from typing import Any

from farthing import ops
from farthing.errors import FormatError
from farthing.models.deepseek_v3 import DeepseekV3
from farthing.models.tensors import Tensors
from farthing.models.types import Step


class NextToken:
    """`forward(hidden, step, layer)`: logits [R, V] of the tokens after step.tokens.

    hidden [T, D]: the main model's, normalised (`final`), one position before each of step.tokens.
    """

    def __init__(self, model: DeepseekV3, config: Mapping[str, Any], tensors: Tensors) -> None:
        self.model, layer = model, model.shape.layers
        width, self.eps = model.config.width, model.config.norm_eps
        tensors = tensors.under(f"model.layers.{layer}")
        self.token_norm = tensors.take("enorm.weight", width)
        self.hidden_norm = tensors.take("hnorm.weight", width)
        self.merge = tensors.take("eh_proj.weight", width, 2 * width)
        self.block = model.block(tensors, config, layer)
        self.norm = tensors.take("shared_head.norm.weight", width)

    def forward(self, hidden: Any, step: Step, layer: Any) -> Any:
        return self.model.answer(ops.rows(self.final(hidden, step, layer), step))

    def final(self, hidden: Any, step: Step, layer: Any) -> Any:
        """[T, D], normalised: what the head reads."""
        token = ops.embedding(self.model.embed, step.tokens)
        token = ops.rms_norm(token, self.token_norm, eps=self.eps)
        hidden = ops.rms_norm(hidden, self.hidden_norm, eps=self.eps)
        x = ops.linear(ops.join(token, hidden, heads=1), self.merge)
        x = ops.add(x, self.block.attend(x, step, layer))
        x = ops.add(x, self.block.mlp(x))
        return ops.rms_norm(x, self.norm, eps=self.eps)


def next_token_tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that the head adds. FormatError for other families."""
    if config.get("model_type") != "deepseek_v3":
        raise FormatError(
            f"config.json: model_type is {config.get('model_type')!r:.80}; a next-token head is"
            " known of deepseek_v3 alone"
        )
    main, tensors = Tensors(None), Tensors(None)
    NextToken(DeepseekV3(config, main), config, tensors)
    return tensors.taken
