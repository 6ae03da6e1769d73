"""What a token needs of a model: of published shapes, and by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from farthing import cli, models
from farthing.bench import skeleton
from farthing.cli.awake import awake, of
from farthing.formats.packed_header import size_of
from farthing.formats.types import Layout
from farthing.ops.record import Recording
from farthing.weight import Form

INT4 = Form(bits=4, group=32, scale="f16", offset="none")


def hollow(name: str, shape: tuple[int, ...]):
    """A tensor of that shape that lies nowhere; vectors and biases are fp32."""
    form = None if len(shape) == 1 or name.endswith("bias") else INT4
    data = np.broadcast_to(np.uint8(0), size_of(Layout(shape, form)))
    return SimpleNamespace(name=name, shape=shape, form=form, data=data, vector=lambda: data)


def needs(config, tensors):
    held = {name: hollow(name, shape) for name, shape in tensors.items()}
    model = models.load(config, held)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    return of(recording, model.shape.max_context)


@pytest.mark.parametrize(
    ("name", "total", "active", "context"),
    [
        ("qwen3-30b-a3b", 30.5, 3.3, 48 * 2 * 4 * 128 * 2),
        ("olmoe-1b-7b", 6.9, 1.3, 16 * 2 * 16 * 128 * 2),
        ("deepseek-v2-lite", 15.7, 2.7, 27 * 576 * 2),
        ("gpt-oss-20b", 20.9, 4.2, 24 * 2 * 8 * 64 * 2),
    ],
)
def test_a_known_shape_has_known_figures(name, total, active, context):
    shape = skeleton.read(name)
    found = needs(shape.config, shape.tensors)
    assert (found.parameters / 1e9, found.active / 1e9) == pytest.approx((total, active), abs=0.06)
    assert found.context_bytes == context


def toy(experts: int, top_k: int):
    """One layer: width 32, heads 2 of 16 and one of keys, experts 32 wide, 8 words, untied."""
    config = {
        "model_type": "qwen3_moe",
        "vocab_size": 8,
        "hidden_size": 32,
        "intermediate_size": 64,
        "moe_intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "num_experts": experts,
        "num_experts_per_tok": top_k,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    }
    return needs(config, models.tensors_of(config))


def test_a_token_needs_its_experts_and_all_that_is_shared():
    found, whole = toy(8, 2), toy(8, 8)
    shared = 32 * 32 + 2 * 16 * 32 + 32 * 32 + 8 * 32 + 2 * 16 + 3 * 32 + 8 * 32
    expert = 3 * 32 * 32
    assert found.parameters == whole.parameters == shared + 8 * expert + 8 * 32
    assert found.active == found.parameters - 6 * expert
    assert whole.active == whole.parameters
    assert found.chosen_bytes == found.expert_bytes // 4
    assert found.expert_bytes == whole.chosen_bytes == 8 * 3 * 4096
    assert found.token_bytes == found.always_bytes + 2 * 3 * 4096
    assert found.context_bytes == 2 * (16 + 16)


def test_a_dense_model_reads_all_its_matrices(smollm2):
    found = awake(smollm2)
    assert found.parameters == found.active == 134_515_008
    assert (found.expert_bytes, found.context_bytes) == (0, 30 * 2 * 3 * 64 * 2)
    assert found.token_bytes == 66_355_200 + 30_081_024
    assert [awake(smollm2, bits).context_bytes for bits in (16, 8, 4)] == [23_040, 12_240, 7_344]


def test_show_says_it_in_words_and_in_numbers(smollm2_home, capsys):
    assert cli.main(["show", "smollm2-135m"]) == 0
    shown = capsys.readouterr().out
    assert "134.5 M a token (100.0%)" in shown
    assert "8,192 tokens, 23,040 bytes of cache each" in shown
    assert cli.main(["show", "smollm2-135m", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["active_parameters"], told["awake_share"]) == (told["parameters"], 1)
    assert (told["token_bytes"], told["context_bytes"]) == (96_436_224, 23_040)
