"""Recipes: what flags make of each family, what a file says, what is refused before any work."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis.strategies import text

from farthing import models
from farthing.errors import InputError, NotFound
from farthing.formats.types import Layout
from farthing.quantize.recipe import Recipe, size
from farthing.quantize.recipe_file import KEEP, Rule
from farthing.weight import BF16, E2M1, Form

HIGH = Form(bits=8, group=32, scale="f16", offset="none")
DENSE = {
    "model_type": "llama",
    "vocab_size": 8,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
MIXTURE = DENSE | {
    "model_type": "qwen2_moe",
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 64,
    "norm_topk_prob": False,
    "tie_word_embeddings": False,
}
LATENT = DENSE | {
    "model_type": "deepseek_v2",
    "num_key_value_heads": 2,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "topk_method": "greedy",
    "n_group": 1,
    "topk_group": 1,
}


def layouts(config: dict) -> dict[str, Layout]:
    """Of a model in bf16."""
    shapes = models.tensors_of(config)
    return {
        name: Layout(shape, BF16 if len(shape) > 1 and not name.endswith("bias") else None)
        for name, shape in shapes.items()
    }


def chosen(recipe: Recipe, held: dict[str, Layout], name: str) -> tuple[str, Form | None]:
    found = recipe.choice(name, held[name])
    return found.method, found.form


def made(config: dict, **changed) -> tuple[Recipe, dict[str, Layout]]:
    held = layouts(config)
    flags = {"method": "gptq", "bits": 4, "group": 64, "minimum": True} | changed
    recipe = Recipe.of(**flags).fitted(held)
    recipe.check(held)
    return recipe, held


def test_flags_give_linears_the_method_and_keep_the_rest_higher():
    recipe, held = made(DENSE)
    low = Form(bits=4, group=64, scale="f16", offset="min")
    for part in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"):
        assert chosen(recipe, held, f"model.layers.1.{part}.weight") == ("gptq", low)
    assert chosen(recipe, held, "model.embed_tokens.weight") == ("rtn", HIGH)
    assert chosen(recipe, held, "model.norm.weight") == ("keep", None)
    assert chosen(recipe, held, "model.layers.0.input_layernorm.weight") == ("keep", None)


def test_flags_keep_routers_and_give_shared_experts_eight_bits():
    recipe, held = made(MIXTURE)
    for part in ("gate", "shared_expert_gate"):
        assert chosen(recipe, held, f"model.layers.1.mlp.{part}.weight") == ("keep", None)
    for part in ("gate", "up", "down"):
        assert chosen(recipe, held, f"model.layers.1.mlp.shared_expert.{part}_proj.weight") == (
            "rtn",
            HIGH,
        )
        assert chosen(recipe, held, f"model.layers.1.mlp.experts.{part}_proj.weight")[0] == "gptq"
    assert chosen(recipe, held, "lm_head.weight") == ("rtn", HIGH)


def test_flags_give_the_halves_of_a_latent_eight_bits_and_its_projections_the_method():
    recipe, held = made(LATENT)
    for part, method in {
        "k_b_proj": "rtn",
        "v_b_proj": "rtn",
        "q_b_proj": "gptq",
        "kv_a_proj_with_mqa": "gptq",
    }.items():
        assert chosen(recipe, held, f"model.layers.0.self_attn.{part}.weight")[0] == method
    shared = "model.layers.1.mlp.shared_experts.down_proj.weight"
    assert chosen(recipe, held, shared) == ("rtn", HIGH)


def test_what_takes_no_more_already_is_not_rounded_anew():
    held = layouts(MIXTURE)
    held["model.embed_tokens.weight"] = Layout((8, 64), HIGH)
    for part in ("gate", "up", "down"):
        for layer in (0, 1):
            name = f"model.layers.{layer}.mlp.experts.{part}_proj.weight"
            held[name] = Layout(held[name].shape, E2M1)
    recipe = Recipe.of("gptq", 4, 32).fitted(held)
    recipe.check(held)
    assert chosen(recipe, held, "model.embed_tokens.weight") == ("keep", None)
    for name, layout in held.items():
        if ".experts." in name:
            assert chosen(recipe, held, name) == ("keep", None)
        elif "self_attn" in name and layout.form:
            assert chosen(recipe, held, name)[0] == "gptq"


def test_a_model_with_nothing_to_gain_is_kept_whole():
    held = layouts(DENSE)
    low = Form(bits=4, group=32, scale="f16", offset="min")
    held = {name: Layout(one.shape, one.form and low) for name, one in held.items()}
    recipe = Recipe.of("gptq", 4, 32, True).fitted(held)
    assert {recipe.choice(name, one).method for name, one in held.items()} == {"keep"}
    assert chosen(Recipe.of("gptq", 4, 32).fitted(held), held, list(held)[1])[0] == "gptq"


@pytest.mark.parametrize("config", [DENSE, MIXTURE, LATENT], ids=lambda c: c["model_type"])
def test_a_recipe_that_was_written_is_read_back_the_same(config, tmp_path):
    for method, bits, group, minimum in product(
        ("rtn", "awq", "gptq", "keep"), (4, 8), (32, 64, 128), (False, True, "whole")
    ):
        recipe, _ = made(config, method=method, bits=bits, group=group, minimum=minimum)
        (tmp_path / "recipe.toml").write_text(recipe.toml())
        again = Recipe.read(tmp_path / "recipe.toml")
        assert again == recipe and again.toml() == recipe.toml()


@given(text(min_size=1))
def test_any_pattern_survives_being_written(pattern):
    recipe = Recipe(KEEP, (Rule(pattern, KEEP),))
    assert Recipe.parse(recipe.toml()) == recipe


FILE = """
[default]
method = "rtn"
bits = 4
group = 32

[[rule]]
match = "*.mlp.*"
method = "gptq"
bits = 8
group = 128
minimum = true

[[rule]]
match = "model.layers.1.mlp.up_proj.weight"
method = "keep"
"""


def test_the_last_rule_that_matches_wins():
    held, recipe = layouts(DENSE), Recipe.parse(FILE)
    recipe.check(held)
    low = Form(bits=4, group=32, scale="f16", offset="none")
    wide = Form(bits=8, group=128, scale="f16", offset="min")
    assert chosen(recipe, held, "model.layers.0.self_attn.q_proj.weight") == ("rtn", low)
    assert chosen(recipe, held, "model.layers.0.mlp.up_proj.weight") == ("gptq", wide)
    assert chosen(recipe, held, "model.layers.1.mlp.up_proj.weight") == ("keep", None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[default]", "[defaults]", "'defaults'; known are default, rule"),
        ('[default]\nmethod = "rtn"\nbits = 4\ngroup = 32\n', "", r"no \[default\]"),
        ("[[rule]]", "[rule]", "twice|overwrite|rule"),
        ("bits = 8", "bits = 3", r"rule 1 \('\*\.mlp\.\*'\): bits is 3; it is one of 4 or 8"),
        ("bits = 8", "bits = true", "bits is True"),
        ("group = 128", "group = 16", "group is 16; it is one of 32 or 64 or 128"),
        ("group = 128", "", "has no group"),
        ("minimum = true", "minimum = 1", "minimum is 1; it is one of false or true or whole"),
        ("minimum = true", "zero = true", "'zero'; known are match, method, bits"),
        ('"gptq"', '"best"', "method is 'best'; it is one of keep or rtn or awq or gptq"),
        ('match = "*.mlp.*"', "", "rule 1 has no match"),
        ('method = "keep"', 'method = "keep"\nbits = 4', "keeps, and has 'bits'"),
        ("bits = 8", "bits = = 8", "not TOML"),
    ],
)
def test_what_is_not_understood_is_named(old, new, told, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError, match=told) as caught:
        Recipe.read(path)
    assert str(path) in str(caught.value)


def test_a_recipe_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"mine\.toml: no such recipe"):
        Recipe.read(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_bytes(b"# \xff")
    with pytest.raises(InputError, match="not UTF-8 text at byte 2"):
        Recipe.read(tmp_path / "mine.toml")
    with pytest.raises(InputError, match="can't be read"):
        Recipe.read(tmp_path)


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ("model.layers.2.*", r"rule 3 \('model.layers.2.\*'\) names no tensor of this model"),
        ("*norm*", "names only vectors such as model.layers.0.input_layernorm.weight"),
    ],
)
def test_a_rule_that_would_change_nothing_is_refused(match, told):
    recipe = Recipe.parse(FILE + f'[[rule]]\nmatch = "{match}"\nmethod="rtn"\nbits=8\ngroup=32\n')
    with pytest.raises(InputError, match=told):
        recipe.check(layouts(DENSE))


def test_a_rule_that_keeps_vectors_is_true_and_taken():
    Recipe.parse(FILE + '[[rule]]\nmatch = "*norm*"\nmethod = "keep"\n').check(layouts(DENSE))


@pytest.mark.parametrize(
    ("name", "method", "told"),
    [
        ("model.layers.0.mlp.gate.weight", "rtn", "a router runs in bf16 only"),
        ("model.layers.0.mlp.shared_expert_gate.weight", "gptq", "a router runs in bf16 only"),
        ("model.embed_tokens.weight", "gptq", "an embedding multiplies no input"),
        ("model.embed_tokens.weight", "awq", "an embedding multiplies no input"),
    ],
)
def test_what_no_kernel_runs_is_refused_by_name(name, method, told):
    recipe, held = made(MIXTURE)
    rule = f'[[rule]]\nmatch = "{name}"\nmethod = "{method}"\nbits = 8\ngroup = 32\n'
    with pytest.raises(InputError, match=told) as caught:
        Recipe.parse(recipe.toml() + rule).check(held)
    assert name in str(caught.value)


def test_only_methods_that_look_at_inputs_need_text():
    held = layouts(DENSE)
    assert Recipe.of("gptq", 4, 32).needs_text(held)
    assert Recipe.of("awq", 4, 32).needs_text(held)
    assert not Recipe.of("rtn", 4, 32).needs_text(held)
    assert Recipe.parse(FILE).needs_text(held)


def test_bits_a_weight_are_known_from_shapes_alone():
    held = layouts(DENSE)
    for group, minimum, bits in ((32, False, 4.5), (32, True, 5.0), (64, True, 4.5)):
        told = size(held, Recipe.of("gptq", 4, group, minimum))
        assert told.linear_bits == bits
    plain = size(held)
    assert plain.linear_bits == 16 and plain.parameters == told.parameters
    assert told.linear_bits < told.bits < plain.bits
