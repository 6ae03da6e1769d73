"""The quality half of the headline: both sides against the same weights in fp32. Needs torch."""

import json
import os
import shutil
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import msgspec
import torch
from headline_results import OURS, PEER, TaskShare
from transformers_reading import TransformersReading

from farthing.bench.off_grid import rounded
from farthing.config import EngineConfig
from farthing.evaluate import measure, opened, texts
from farthing.evaluate.interval import starts
from farthing.evaluate.readings import Reading, engine_reading, reference_reading
from farthing.evaluate.tasks import made, native
from farthing.evaluate.tasks.page import Page
from farthing.evaluate.tasks.reference import Reference
from farthing.formats import packed, safetensors
from farthing.weight import f32_to_bf16

LENGTH = 512
SEED = 11
TOPICS = ("typesmethods", "class", "with", "naming")
FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def folder_of(model: Path, under: Path) -> Path:
    """The model as a Hugging Face folder in bf16, dequantized once: beside, then renamed."""
    folder = under / f"{model.name}-{packed.identity(model)[:12]}"
    if folder.exists():
        return folder
    beside = under / f".{model.name}.{os.getpid()}"
    beside.mkdir(parents=True)
    try:
        for name in FILES:
            if (model / name).exists():
                shutil.copy(model / name, beside / name)
        config = json.loads((beside / "config.json").read_text()) | {"torch_dtype": "bfloat16"}
        (beside / "config.json").write_text(json.dumps(config, indent=2))
        safetensors.write(beside / "model.safetensors", weights(model), {"format": "pt"})
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def weights(model: Path) -> dict[str, safetensors.Tensor]:
    found, held = {}, opened.open(model)
    for name in held.layouts:
        codes = f32_to_bf16(rounded(held.floats(name)))
        found[name] = safetensors.Tensor("BF16", codes.shape, codes.view("u1").reshape(-1))
    return found


def quality(model: Path, theirs: Path, *, tokens: int, items: int) -> dict[str, Any]:
    """Same top and KL of both sides on text that the model itself writes and on prose; tasks."""
    judge = reference_reading(model)
    sides: dict[str, Reading] = {
        OURS: engine_reading(model),
        PEER: TransformersReading(theirs, judge.shape, torch.bfloat16),
    }
    tokenizer = opened.open(model).tokenizer()
    own = texts.written(model, seed=SEED, length=LENGTH, tokens=tokens // 2)
    ids = tokenizer.encode("\n\n".join(topics[name] for name in TOPICS))
    prose = texts.cut(ids, length=LENGTH, tokens=tokens // 2, what="Python's manual")
    sequences = [*own.sequences, *prose.sequences]
    blocks = starts([*own.lengths, *prose.lengths])
    found = measure.compare(judge, list(sides.values()), sequences)
    losses = {name: measure.loss(one, blocks) for name, one in zip(sides, found, strict=True)}
    shares = list(tasks(model, judge, sides[PEER], tokenizer, items))
    return {
        "same_top": {name: loss.same_top.mean for name, loss in losses.items()},
        "losses": {name: msgspec.to_builtins(loss) for name, loss in losses.items()},
        "tokens": sum(own.lengths) + sum(prose.lengths),
        "tasks": [one.record() for one in shares],
        "shares": shares,
    }


def tasks(model: Path, judge: Any, peer: Any, tokenizer: Any, items: int) -> list[TaskShare]:
    """Made by a program (evaluate/tasks/made.py): multiple choice, and words to be written."""
    models: dict[str, Any] = {
        "reference": Page(judge, tokenizer),
        "peer": Reference(peer, tokenizer),
        "ours": native.open(model, EngineConfig()),
    }
    found = []
    for task in (made.choices(count=items), made.answers(count=items // 4)):
        scores = {name: task.scores(one, told)[0] for name, one in models.items()}
        means = {name: score.share.mean for name, score in scores.items()}
        chance = scores["reference"].chance
        found.append(TaskShare(task=task.name, chance=chance, **means))
    return found


def told(what: str, done: int, total: int) -> None:
    """Nobody waits."""
