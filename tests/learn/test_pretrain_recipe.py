"""A recipe that can't be meant is refused by the field's name."""

import pytest

from farthing.errors import InputError, NotFound
from farthing.learn import recipe
from learn import toy_run

SPARSE, DENSE = toy_run.SPARSE, toy_run.DENSE


def refusal(folder, **changed) -> str:
    path = toy_run.recipe(folder, **changed)
    with pytest.raises(InputError) as error:
        recipe.read(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tokns": 1}, "unknown field 'tokns' in the recipe; known: name,"),
        ({"batch": {"token": 1}}, "unknown field 'token' in [batch]; known: tokens, together"),
        ({"data": {"train": [{"path": "a", "shar": 1}]}}, "'shar' in [data.train[0]]"),
        ({"model": SPARSE | {"n_shared_expert": 1}}, "n_shared_expert is nothing that deepseek_v3"),
        ({"model": DENSE | {"num_attention_heads": 5, "num_key_value_heads": 5}}, "6 wide"),
        ({"model": DENSE | {"num_key_value_heads": 3}}, "4 attention heads do not share 3"),
        ({"model": SPARSE | {"num_experts_per_tok": 9}}, "num_experts_per_tok is 9"),
        ({"model": {"model_type": "gpt5"}}, "[model] model_type is 'gpt5'"),
        ({"model": DENSE, "next_token": {}}, "a next-token head is known of deepseek_v3 alone"),
        ({"data": {"length": 512}}, "batch.together is 128"),
        ({"batch": {"together": 100}}, "batch.together is 100; expected a multiple of data.length"),
        ({"model": SPARSE | {"max_position_embeddings": 16}}, "at least data.length = 32"),
        ({"schedule": {"warmup": 13}}, "schedule.warmup is 13 steps"),
        ({"optimizer": {"momentum": 1.0}}, "$.optimizer.momentum"),
        ({"data": {"train": []}}, "$.data.train"),
        ({"data": {"train": [{"path": "train", "share": 0.0}]}}, "share"),
        ({"data": {"held_out": [{"path": "a"}, {"path": "a"}]}}, "names a corpus twice"),
        ({"name": "a/b"}, "$.name"),
        ({"dtype": "fp16"}, "$.dtype"),
        ({"seed": -1}, "$.seed"),
    ],
)
def test_a_wrong_field_is_named(changed, told, tmp_path):
    assert told in refusal(tmp_path, **changed)


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "\x00", "[" * 5000])
def test_what_is_no_toml_is_refused(text, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"recipe\.toml"):
        recipe.read(path)


def test_a_giant_or_missing_file_is_no_recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    with pytest.raises(NotFound):
        recipe.read(path)
    path.write_bytes(b"#" * (recipe.LARGEST + 1))
    with pytest.raises(InputError, match="that is no recipe"):
        recipe.read(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        recipe.read(path)


def test_only_what_decides_the_weights_is_the_recipes_identity(tmp_path):
    def identity(**changed) -> str:
        return recipe.read(toy_run.recipe(tmp_path, **changed)).identity

    same = identity()
    assert identity(save={"minutes": 5.0}, evaluate={"steps": 7}, name="other") == same
    assert identity(batch={"recompute": True}) == same
    written = {"kind": "wsd", "decay": 1 / 5, "least": 0}
    assert identity(dtype="bf16", schedule=written) == same, "defaults that are written out"
    for changed in (
        {"seed": 2},
        {"optimizer": {"rate": 0.02}},
        {"dtype": "fp32"},
        {"next_token": {}},
        {"steps": 13},
        {"model": DENSE},
        {"balance": {"until": 0.5}},
    ):
        assert identity(**changed) != same, changed


def test_an_identity_stays_what_it_was(tmp_path):
    """Else no run that has begun could go on with this version."""
    known = "26a8e541b2e918c03c591e1f4c0bcc4d6d739a6d32dfa0b35d0c1920a2aaf555"
    assert recipe.read(toy_run.recipe(tmp_path)).identity == known


@pytest.mark.parametrize("tokens, steps", [(512, 2), (513, 3), (767, 3)])
def test_all_tokens_are_trained_on(tokens, steps, tmp_path):
    """The last step is as large as the others."""
    path = toy_run.recipe(tmp_path, tokens=tokens)
    assert recipe.read(path).steps == steps
