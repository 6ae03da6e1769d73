"""Pages are cut where the residual stream alone is alive."""

from pathlib import Path

import pytest

from farthing.errors import FormatError
from farthing.quantize.sections import plan_of, standins
from quantize import walk_toys as toys


def test_a_dense_layer_gives_two(tmp_path: Path) -> None:
    source = toys.dense(tmp_path, tie_word_embeddings=True)
    plan = plan_of(source.config, source.names())
    assert [s.name for s in plan.sections] == [
        "model.embed_tokens.weight",
        *["model.layers.0"] * 2,
        *["model.layers.1"] * 2,
        "model",
    ]
    ends = [
        [one.name.split(".")[-2] for n in s.notes for one in standins(n)] for s in plan.sections
    ]
    assert ends[1] == ["input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj"]
    assert ends[2] == ["post_attention_layernorm", "gate_proj", "up_proj", "down_proj"]
    assert ends[-1] == ["norm", "embed_tokens"]


@pytest.mark.parametrize("case", ["qwen2_moe", "deepseek_v3", "granitemoe"])
def test_mixtures_and_latents_are_cut_alike(case: str, tmp_path: Path) -> None:
    source = toys.mixed(tmp_path / "model", case)
    plan = plan_of(source.config, source.names())
    assert len(plan.sections) == 2 + 2 * plan.shape.layers
    for section, after in zip(plan.sections, plan.sections[1:], strict=False):
        assert after.source is section.out
        assert section.out.width == source.config["hidden_size"]
    named = {one.name for s in plan.sections for note in s.notes for one in standins(note)}
    assert named == set(source.names())


def test_a_tensor_that_is_not_there(tmp_path: Path) -> None:
    source = toys.dense(tmp_path)
    names = [n for n in source.names() if "1.self_attn.q_proj" not in n]
    with pytest.raises(FormatError, match=r"layers\.1\.self_attn\.q_proj"):
        plan_of(source.config, names)
