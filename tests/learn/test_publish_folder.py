"""A published folder, held to transformers and to farthing's own reader."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor
from transformers.modeling_layers import MtpModel

from farthing import models, store
from farthing.cli import main
from farthing.errors import FormatError, InputError
from farthing.learn import agreement, pretrained, publish
from farthing.learn import tokenizer as learn
from farthing.models.deepseek_mtp import next_token_tensors
from learn.toy_models import FAMILIES, as_in_checkpoints, leaves, with_next_token
from learn_texts import texts
from models.oracle import checkpoint, some_tokens, their_logits

VOCABULARY = 320
TOO = {"Mixtral": ("mixtral", {"num_local_experts": 4, "num_hidden_layers": 2})}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = learn.train(texts(60), size=VOCABULARY - 10)
    return learn.write(made, tmp_path_factory.mktemp("tok") / "made", context=128, about={})


def made(case: str, **more: Any) -> tuple[dict[str, Any], Any, dict[str, Tensor]]:
    """config.json, transformers' model, and its weights by the page's names."""
    family, changes = (FAMILIES | TOO)[case]
    config, theirs = checkpoint(family, **(changes | {"vocab_size": VOCABULARY} | more))
    return config, theirs, leaves(theirs.state_dict(), config)


SPARSE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
SPARSE_GLM = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LATENT = {
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
SPOKEN: dict[str, dict[str, Any]] = {
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT | {"n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.0},
    "glm4_moe": SPARSE_GLM,
    "granitemoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "llama": {},
    "mistral": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "qwen2": {},
    "qwen2_moe": SPARSE | {"shared_expert_intermediate_size": 32},
    "qwen3": {},
    "qwen3_moe": SPARSE,
}
"""The least that a recipe has to say of a family."""


def with_head(theirs: Any, config: dict[str, Any]) -> dict[str, Tensor]:
    return leaves(as_in_checkpoints(with_next_token(theirs).state_dict(), config), config)


def random_weights(config: dict[str, Any], *, head: bool = False) -> dict[str, Tensor]:
    """Not exact in bf16."""
    torch.manual_seed(3)
    shapes = models.tensors_of(config) | (next_token_tensors(config) if head else {})
    return {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}


@pytest.mark.parametrize("case", [*FAMILIES, *TOO])
def test_transformers_answers_alike(case: str, tokenizer: Path, tmp_path: Path) -> None:
    config, theirs, weights = made(case)
    folder = publish.folder(config, weights, tokenizer, tmp_path / "out")

    again, loading = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )

    assert not any(loading.values()), loading
    assert type(again).__name__ == publish.ARCHITECTURES[config["model_type"]]
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    tokens = some_tokens(40)
    np.testing.assert_array_equal(their_logits(again.eval(), tokens), their_logits(theirs, tokens))


@pytest.mark.parametrize("family", publish.ARCHITECTURES)
def test_what_a_recipe_leaves_unsaid_is_said(family: str, tokenizer: Path, tmp_path: Path) -> None:
    """The defaults of transformers are not the page's: nothing may be left to them."""
    least = {
        "model_type": family,
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "max_position_embeddings": 128,
    }
    config = least | SPOKEN[family]
    folder = publish.folder(config, random_weights(config), tokenizer, tmp_path / "out")

    theirs, loading = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )

    assert not any(loading.values()), loading
    tokens, found = some_tokens(40), pretrained.read(folder)
    expected = their_logits(theirs.eval(), tokens)
    ours = agreement.logits(config, found.weights, tokens).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("copies", [False, True])
def test_transformers_loads_the_next_token_head(
    copies: bool, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, theirs, weights = made("V3, tied, scaled")
    head = with_head(theirs, config)
    folder = publish.folder(config, weights | head, tokenizer, tmp_path / "out", copies=copies)
    # transformers knows the released model's number of layers alone
    layer = rf"model\.layers\.{config['num_hidden_layers']}.*"
    monkeypatch.setattr(type(theirs), "_keys_to_ignore_on_load_unexpected", [layer])
    again = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    found = MtpModel.from_pretrained(again)

    assert again.config.num_mtp_layers == 1
    state = as_in_checkpoints(found.state_dict(), config)
    state = leaves(state, config)
    assert state.keys() == head.keys()
    for name, tensor in head.items():
        want = tensor if tensor.ndim == 1 else tensor.bfloat16().float()
        assert torch.equal(state[name], want), name


@pytest.mark.parametrize("case", [*FAMILIES, *TOO])
def test_farthing_reads_back_what_was_written(case: str, tokenizer: Path, tmp_path: Path) -> None:
    config, _, _ = made(case)
    weights = random_weights(config)
    folder = publish.folder(config, weights, tokenizer, tmp_path / "out")

    found = pretrained.read(folder)

    assert found.weights.keys() == weights.keys()
    for name, tensor in weights.items():
        want = tensor if tensor.ndim == 1 else tensor.bfloat16().float()
        assert torch.equal(found.weights[name], want), name


def test_pulled_it_has_the_same_numbers_and_answers(
    tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, theirs, weights = made("V3, tied, scaled", v_head_dim=16)
    weights |= with_head(theirs, config)
    folder = publish.folder(config, weights, tokenizer, tmp_path / "toy")

    pulled = store.pull(str(folder))
    assert pulled.unused == ["model.layers.2.* (40 tensors): a multi-token prediction layer"]
    published, packed = pretrained.read(folder), pretrained.read(pulled.model.folder)
    for name, tensor in published.weights.items():
        assert torch.equal(packed.weights[name], tensor), name
    assert main(["run", "toy", "天气很好", "--max-tokens", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usage"]["completion_tokens"] <= 5


def test_the_folder_carries_its_tokenizer_and_template(tokenizer: Path, tmp_path: Path) -> None:
    config, _, weights = made("Llama")
    folder = publish.folder(config, weights, tokenizer, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "再来 12"}]

    given = theirs.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]

    assert given == publish.Tokenizer.open(folder).chat(messages)
    settings = json.loads((folder / "config.json").read_bytes())
    assert (settings["bos_token_id"], settings["eos_token_id"]) == (0, 1)
    generation = transformers.GenerationConfig.from_pretrained(folder)
    assert generation.eos_token_id == [1, 5]


def test_a_weight_that_is_no_number_is_named_and_nothing_is_left(
    tokenizer: Path, tmp_path: Path
) -> None:
    config, _, weights = made("Llama")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.nan)
    with pytest.raises(InputError, match=r"model\.norm\.weight holds what is no number"):
        publish.folder(config, weights, tokenizer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_config_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    config, _, weights = made("Llama")
    del weights["lm_head.weight"]
    with pytest.raises(FormatError, match=r"lm_head\.weight is missing"):
        publish.folder(config, weights, tokenizer, tmp_path / "out")


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    config, _ = checkpoint("llama", num_hidden_layers=1)
    with pytest.raises(InputError, match="310 tokens, and the model 97"):
        publish.folder(config, random_weights(config), tokenizer, tmp_path / "out")


def test_a_family_that_is_not_written_is_named(tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="'gpt_oss' are not written"):
        publish.folder({"model_type": "gpt_oss"}, {}, tokenizer, tmp_path / "out")


def test_a_folder_that_is_there_is_never_overwritten(tokenizer: Path, tmp_path: Path) -> None:
    config, _, weights = made("Llama")
    publish.folder(config, weights, tokenizer, tmp_path / "out")
    with pytest.raises(InputError, match="exists"):
        publish.folder(config, weights, tokenizer, tmp_path / "out")


def test_the_real_model_comes_in_as_it_runs(smollm2: Path) -> None:
    """Quantized codes as the numbers they stand for, whatever the file."""
    found = pretrained.read(smollm2)
    assert sum(weight.numel() for weight in found.weights.values()) == 134_515_008
    assert {weight.dtype for weight in found.weights.values()} == {torch.float32}
