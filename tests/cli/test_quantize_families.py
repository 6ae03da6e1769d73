"""`farthing quantize` on every family with experts or latents: its flags give a model that runs."""

import json
from pathlib import Path

import pytest

from farthing.cli import main
from farthing.formats import packed
from farthing.weight import BF16, E2M1
from quantize import walk_toys as toys
from small_mixtures import CASES, FP4

LOW = toys.INT4
EIGHT = ("shared_expert", "k_b_proj", "v_b_proj", "embed_tokens", "lm_head")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a case's model, made when first asked for."""
    folder = tmp_path_factory.mktemp("models")

    def made(case: str) -> Path:
        place = folder / case.replace(", ", "-").replace(" ", "-")
        if not place.exists():
            toys.mixed(place, case)
        return place

    return made


@pytest.mark.parametrize("case", CASES)
def test_flags_fit_every_family(case, model, tmp_path, capsys):
    assert main(["quantize", str(model(case)), "-o", str(tmp_path / "out"), "--method", "rtn"]) == 0
    found = packed.open(tmp_path / "out").tensors
    for name, one in found.items():
        if one.form is None:
            assert len(one.shape) == 1 or name.endswith((".bias", "_bias"))
        elif name.endswith(("mlp.gate.weight", "shared_expert_gate.weight")):
            assert one.form == BF16
        elif any(part in name for part in EIGHT) and "gate.weight" not in name:
            assert (one.form.bits, one.form.group) == (8, 32), name
        else:
            assert one.form == (E2M1 if case == FP4 and ".experts." in name else LOW), name
    assert main(["run", str(tmp_path / "out"), "abc", "--max-tokens", "2"]) == 0


@pytest.mark.parametrize("case", ["qwen2_moe", "deepseek_v3"])
def test_every_expert_says_what_it_saw(case, model, tmp_path, capsys):
    command = ["quantize", str(model(case)), "-o", str(tmp_path / "out"), "--json"]
    assert main([*command, "--samples", "3", "--length", "96"]) == 0
    made = json.loads(capsys.readouterr().out)["matrices"]
    experts = [one for one in made if ".experts." in one["name"]]
    shape = packed.open(tmp_path / "out").tensors["model.layers.1.mlp.experts.up_proj.weight"].shape
    assert len([one for one in experts if "layers.1." in one["name"]]) == 3 * shape[0]
    assert all(one["seen"] > one["borrowed"] >= 0 or one["borrowed"] == one["seen"] for one in made)
    assert all(one["seen"] > 0 for one in experts)
