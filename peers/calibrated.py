"""What quantizers made of a reference: ours through its own door, others in venvs of their own."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from time import perf_counter

import gguf
import install
import numpy as np

from farthing.evaluate import opened
from farthing.formats import packed
from farthing.quantize import recipe, run, source, text
from farthing.quantize.recipe import Recipe
from farthing.quantize.text import Samples

OTHERS = {
    "auto-round": ("auto_round_side.py", "4", "32", "50"),
    "llmcompressor": ("llmcompressor_side.py", "4", "32"),
}
"""Their script and its settings; each has a venv .peers/venv-NAME, which install.py makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Quantized weights on the disk, and what they take; as in quality_results.Row."""

    name: str
    path: Path
    linear_bits: float
    all_bits: float
    types: str
    seconds: float


def recipes(*, quick: bool) -> dict[str, Recipe]:
    """Ours by name. The embedding and the head at 8 bits."""
    made = {
        "farthing rtn, 4.5 bits": Recipe.of("rtn", 4, 32),
        "farthing gptq, 4.5 bits": Recipe.of("gptq", 4, 32),
        "farthing gptq, 5.0 bits": Recipe.of("gptq", 4, 32, True),
    }
    if not quick:
        made["farthing awq, 4.5 bits"] = Recipe.of("awq", 4, 32)
    return made


def place(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


def written(plain: Path, samples: int, length: int, seed: int) -> Samples:
    """The calibration text: what the unquantized reference writes."""
    return text.written_by(plain, samples=samples, length=length, seed=seed)


def packed_folder(reference: Path, folder: Path) -> Path:
    """The reference as the engine takes it, in bf16: the same numbers."""
    of = source.open(reference)
    folder.mkdir()
    label = packed.Source(of.name, of.sha256, "huggingface")
    packed.write(folder, of.config, of, source=label, files=of.files())
    return folder


def ours(name: str, reference: Path, under: Path, wanted: Recipe, samples: Samples) -> Made:
    of, folder = source.open(reference), under / place(name)
    layouts = {one: of.layout(one) for one in of.names()}
    chosen = wanted.fitted(layouts)
    began = perf_counter()
    given = samples if chosen.needs_text(layouts) else []
    made = run.quantize(of, given, chosen, under / f"{place(name)}.work", lambda progress: None)
    folder.mkdir()
    label = packed.Source(of.name, of.sha256, "quantized")
    packed.write(folder, made.config, made, source=label, files=of.files())
    return of_folder(name, folder, perf_counter() - began)


def other(name: str, reference: Path, under: Path, samples: Samples) -> Made:
    """A peer on the same calibration text. Its scales and offsets are read as it saved them."""
    script, *words = OTHERS[name]
    ids, folder = under / "samples.npy", under / name
    np.save(ids, np.stack(samples))
    began = perf_counter()
    ran([install.other(name), Path(__file__).with_name(script), reference, folder, *words, ids])
    # auto-round saves into a folder of its own below
    saved = next(folder.rglob("config.json")).parent
    return of_folder(f"{name}, 4.5 bits", saved, perf_counter() - began)


def ran(words: Sequence[str | Path]) -> None:
    """Ends the comparison with the program's last words if it fails. No hub is asked."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | offline)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def of_folder(name: str, folder: Path, seconds: float) -> Made:
    layouts = opened.open(folder).layouts
    size = recipe.size(layouts)
    forms = Counter(
        f"{layout.form.name} g{layout.form.group}" if layout.form else "fp32"
        for layout in layouts.values()
    )
    return Made(
        name=name,
        path=folder,
        linear_bits=size.linear_bits,
        all_bits=size.bits,
        types=counted(forms),
        seconds=seconds,
    )


def of_gguf(name: str, path: Path, seconds: float) -> Made:
    tensors = gguf.GGUFReader(path).tensors
    linear = [t for t in tensors if t.name.startswith("blk.") and len(t.shape) == 2]
    return Made(
        name=name,
        path=path,
        linear_bits=bits(linear),
        all_bits=bits(tensors),
        types=counted(Counter(t.tensor_type.name for t in tensors)),
        seconds=seconds,
    )


def bits(tensors: list[gguf.ReaderTensor]) -> float:
    weights = sum(prod(int(n) for n in tensor.shape) for tensor in tensors)
    return float(8 * sum(int(tensor.n_bytes) for tensor in tensors) / weights)


def counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
