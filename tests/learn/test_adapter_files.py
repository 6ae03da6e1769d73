"""Adapters on disk, held to the `peft` package: what it reads of ours, and we of its."""

import json
import warnings

import pytest
import torch
from packed_rows import packed
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from tuned_models import FAMILIES, VOCABULARY, loss, source, trained

from farthing.errors import FormatError, NotFound
from farthing.learn import adapter as files
from farthing.learn import adapter_write
from farthing.learn.base import read

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from peft import LoraConfig, PeftModel, get_peft_model

ONE = packed([[24]], VOCABULARY)
"""One document of one row, as transformers sees it."""
pytestmark = pytest.mark.filterwarnings("ignore")


def their_loss(theirs):
    with torch.no_grad():
        logits = theirs(ONE.tokens).logits[0]
    return F.cross_entropy(logits, ONE.targets[0, :-1], reduction="sum")


ROUTED = ("experts.gate_proj", "experts.up_proj", "experts.down_proj")
TARGETS = {
    "deepseek_v3": ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", *ROUTED),
}
"""peft 0.21 with transformers 5 takes gate_proj, up_proj and down_proj of these families for routed
experts alone: it leaves out, with a warning, those of shared experts and plain layers."""


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_reads_what_we_write(family, tmp_path):
    theirs = source(tmp_path / "model", family)
    model = read(tmp_path / "model", torch.float32)
    adapter = trained(model, *TARGETS.get(family, ()))
    (tmp_path / "adapter").mkdir()
    adapter_write.write(tmp_path / "adapter", adapter, base="model")

    peft = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()

    ours = loss(model.config, adapter.merged(model.weights), ONE)
    torch.testing.assert_close(their_loss(peft), ours, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "targets", [ROUTED[:2], ROUTED[2:], ROUTED[1:], ("q_proj", *ROUTED[:1])], ids=" ".join
)
def test_peft_reads_parts_of_some_experts_matrices(targets, tmp_path):
    theirs = source(tmp_path / "model", "qwen3_moe")
    model = read(tmp_path / "model", torch.float32)
    adapter = trained(model, *targets)
    (tmp_path / "adapter").mkdir()
    adapter_write.write(tmp_path / "adapter", adapter, base="model")

    peft = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    again = files.read(tmp_path / "adapter", model.config)

    ours = loss(model.config, adapter.merged(model.weights), ONE)
    torch.testing.assert_close(their_loss(peft), ours, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(loss(model.config, again.merged(model.weights), ONE), ours)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_is_read_again(family, tmp_path):
    source(tmp_path / "model", family)
    model = read(tmp_path / "model", torch.float32)
    adapter = trained(model)
    (tmp_path / "adapter").mkdir()
    adapter_write.write(tmp_path / "adapter", adapter, base="model")

    again = files.read(tmp_path / "adapter", model.config)

    assert again.parts.keys() == adapter.parts.keys()
    for name, part in adapter.parts.items():
        assert again.parts[name].scale == pytest.approx(part.scale)
        torch.testing.assert_close(again.parts[name].delta(), part.delta())


CASES = {
    "llama, attention": ("llama", {"target_modules": ["q_proj", "v_proj"]}),
    "llama, stabilised": ("llama", {"target_modules": "all-linear", "use_rslora": True}),
    "llama, patterns": (
        "llama",
        {
            "target_modules": ["q_proj", "down_proj"],
            "rank_pattern": {"down_proj": 2},
            "alpha_pattern": {"layers.1.mlp.down_proj": 32},
        },
    ),
    "qwen3_moe, by name": (
        "qwen3_moe",
        {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]},
    ),
    "qwen3_moe, parameters": (
        "qwen3_moe",
        {
            "target_modules": ["o_proj"],
            "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
        },
    ),
    "qwen3_moe, one parameter": (
        "qwen3_moe",
        {"target_modules": ["o_proj"], "target_parameters": ["mlp.experts.down_proj"]},
    ),
    "deepseek_v3, latent": ("deepseek_v3", {"target_modules": ["kv_b_proj", "kv_a_proj_with_mqa"]}),
    "mixtral, parameters": (
        "mixtral",
        {"target_modules": ["k_proj"], "target_parameters": ["mlp.experts.gate_up_proj"]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_we_read_what_peft_writes(case, tmp_path):
    family, settings = CASES[case]
    theirs = source(tmp_path / "model", family)
    model = read(tmp_path / "model", torch.float32)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=12, **settings)
    peft = get_peft_model(theirs, config).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    peft.save_pretrained(tmp_path / "adapter")

    adapter = files.read(tmp_path / "adapter", model.config)

    ours = loss(model.config, adapter.merged(model.weights), ONE)
    assert abs(float(ours - loss(model.config, model.weights, ONE))) > 0.1
    torch.testing.assert_close(their_loss(peft), ours, rtol=1e-4, atol=1e-3)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    at = tmp_path_factory.mktemp("written")
    source(at / "model", "llama")
    model = read(at / "model", torch.float32)
    adapter_write.write(at, trained(model), base="model")
    return at, model.config


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"use_dora": True}, "use_dora is True"),
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"of_tomorrow": 3}, "of_tomorrow is 3"),
        ({"r": 0}, "r is 0"),
        ({"lora_alpha": "many"}, "lora_alpha is 'many'"),
        ({"alpha_pattern": {"(a+)+$": 2}}, "only plain names"),
    ],
)
def test_settings_that_are_not_understood_are_refused_by_name(changes, said, written, tmp_path):
    at, config = written
    settings = json.loads((at / files.CONFIG).read_text()) | changes
    (tmp_path / files.CONFIG).write_text(json.dumps(settings))
    (tmp_path / files.WEIGHTS).write_bytes((at / files.WEIGHTS).read_bytes())

    with pytest.raises(FormatError) as refused:
        files.read(tmp_path, config)
    assert said in str(refused.value)


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda t: t.pop(FIRST), "no matching lora_A and lora_B"),
        (lambda t: t.update({FIRST: t[FIRST][:2].clone()}), "no matching lora_A and lora_B"),
        (lambda t: t.update({FIRST: t[FIRST][:, :7].clone()}), "it is of another model"),
        (lambda t: t.update({"base_model.model.lm_head.lora_A.weight": t[FIRST] + 0}), "no matrix"),
        (lambda t: t.update({"weight": t[FIRST] + 0}), "only base_model.model."),
        (lambda t: t.update({FIRST: t[FIRST][0].clone()}), "as matrices"),
        (lambda t: t.clear(), "holds no tensor"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(change, said, written, tmp_path):
    at, config = written
    tensors = load_file(at / files.WEIGHTS)
    change(tensors)
    save_file(tensors, tmp_path / files.WEIGHTS)
    (tmp_path / files.CONFIG).write_bytes((at / files.CONFIG).read_bytes())

    with pytest.raises(FormatError) as refused:
        files.read(tmp_path, config)
    assert said in str(refused.value)


def test_no_adapter_and_no_safetensors_are_said(written, tmp_path):
    at, config = written
    with pytest.raises(NotFound, match=r"adapter_config\.json is missing"):
        files.read(tmp_path, config)
    (tmp_path / files.CONFIG).write_bytes((at / files.CONFIG).read_bytes())
    (tmp_path / files.WEIGHTS).write_bytes(b"\x80\x04pickle")
    with pytest.raises(FormatError, match="can't be read"):
        files.read(tmp_path, config)
