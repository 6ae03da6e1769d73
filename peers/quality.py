"""Which quantizer loses least: farthing's and llama.cpp's on the same weights and held-out text.

`make bench-quality` runs it. The references are made off the grid that SmolLM2 ships on, two ways
(references.py). Of every quantizer the weights alone differ: all are read by the same fp32 page,
the embedding and the head at 8 bits in each (llama.cpp would give the rotated reference's embedding
the file's form: a row says what that does). Ours and its calibration see text that the reference
wrote with another seed than what is measured on; beside it stands ordinary prose. Ends with one
JSON line.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pydoc_data.topics import topics
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import calibrated
import importance
import install
import references
from compare import shipped_gguf
from quality_levers import levers, table
from quality_results import Found, Pair, Row, record

from farthing import machine
from farthing.evaluate import measure, opened, texts
from farthing.evaluate.interval import starts
from farthing.evaluate.readings import reference_reading
from farthing.evaluate.texts import Texts

ROOT = install.ROOT / "quality"
LENGTH = 512
MEASURED, CALIBRATION = 7, 1
"""Seeds of the text that is measured on, and of calibration's."""
IMPORTANCE = 64
"""Samples that llama.cpp's importance matrix is collected on: a mean square settles soon."""
TOPICS = ("typesmethods", "class", "with", "naming")
"""Of Python's own manual, which every Python carries: the prose."""
TOGETHER = 4
"""Models held in fp32 at once, the reference apart."""
OURS_4_5, OURS_5_0 = "farthing gptq, 4.5 bits", "farthing gptq, 5.0 bits"
PAIRS = (
    Pair("kl_q4_0_over_ours_4_5", "llama.cpp Q4_0", OURS_4_5),
    Pair("kl_q4_1_over_ours_5_0", "llama.cpp Q4_1", OURS_5_0),
    Pair("kl_q4_k_m_over_ours_5_0", "llama.cpp Q4_K_M", OURS_5_0),
)
LLAMA = {"llama.cpp Q4_0": "q4_0", "llama.cpp Q4_1": "q4_1", "llama.cpp Q4_K_M": "q4_k_m"}


def main() -> int:
    options, began = arguments(), perf_counter()
    install.llama()
    shipped, load_before = shipped_gguf(), os.getloadavg()
    found: list[Found] = []
    more: dict[str, Any] = {}
    for name in options.references:
        say(f"reference: {name}")
        reference = references.made(name, shipped, ROOT)
        with scratch() as folder:
            made, measured = compared(name, reference, folder, options)
            found.append(made)
            print(made.table(PAIRS), flush=True)
            if not more:
                best = folder / calibrated.place(OURS_4_5)
                more["levers"] = levers(best, measured.sequences, measured.lengths)
                print(table(more["levers"]), flush=True)
    more |= {
        "levers_of": f"{OURS_4_5}, {options.references[0]}, against its own weights in fp32",
        "calibration": {"samples": options.samples, "tokens": LENGTH, "text": "its own"},
        "threads": machine.cores().usable,
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "seconds": round(perf_counter() - began, 1),
    }
    print(json.dumps(record(found, PAIRS, more)))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, less text")
    parser.add_argument("--references", nargs="+", choices=references.NAMES)
    parser.add_argument("--samples", type=int, help="of calibration, 512 tokens each")
    parser.add_argument("--tokens", type=int, help="measured on, of each of the two texts")
    parser.add_argument("--others", nargs="*", default=(), choices=tuple(calibrated.OTHERS))
    options = parser.parse_args()
    options.references = options.references or references.NAMES
    options.samples = options.samples or (32 if options.quick else 128)
    options.tokens = options.tokens or (1024 if options.quick else 2560)
    return options


def compared(
    name: str, reference: Path, folder: Path, options: argparse.Namespace
) -> tuple[Found, Texts]:
    """All rows of one reference, and the text they were measured on."""
    checkpoint = opened.open(reference)
    plain = calibrated.packed_folder(reference, folder / "plain")
    samples = calibrated.written(plain, options.samples, LENGTH, CALIBRATION)
    made = list(quantizers(reference, folder, samples, options))
    own, prose = held_out(checkpoint, plain, options.tokens)
    text = Texts(f"{own.what}; {prose.what}", [*own.sequences, *prose.sequences])
    blocks, half = starts(text.lengths), own.tokens
    judge, found = reference_reading(checkpoint), Found(name, blocks)
    found.texts.update({"its own": slice(0, half), "prose": slice(half, None)})
    for at in range(0, len(made), TOGETHER):
        part = made[at : at + TOGETHER]
        say(f"measuring {', '.join(one.name for one in part)}")
        readings = [reference_reading(one.path) for one in part]
        tokens = measure.compare(judge, readings, text.sequences)
        for one, of in zip(part, tokens, strict=True):
            found.rows[one.name] = Row(
                name=one.name,
                linear_bits=one.linear_bits,
                all_bits=one.all_bits,
                seconds=one.seconds,
                types=one.types,
                loss=measure.loss(of, blocks),
                kl=of.kl,
            )
    return found, text


def quantizers(
    reference: Path, folder: Path, samples: Any, options: argparse.Namespace
) -> Iterator[calibrated.Made]:
    """Each quantizer run on the reference, ours first."""
    for name, recipe in calibrated.recipes(quick=options.quick).items():
        say(f"quantizing: {name}")
        yield calibrated.ours(name, reference, folder, recipe, samples)
    for name, form in LLAMA.items():
        say(f"quantizing: {name}")
        yield llama(name, reference, folder, form, "--embedding")
    if "rotated" in reference.name:
        yield llama("llama.cpp Q4_0, embedding too", reference, folder, "q4_0")
    if not options.quick:
        say("collecting llama.cpp's importance matrix")
        found = importance.collect(opened.open(reference), samples[:IMPORTANCE])
        path = importance.save(folder / "importance.npz", found)
        words = ("--embedding", "--importance", str(path))
        yield llama("llama.cpp Q4_0, importance matrix", reference, folder, "q4_0", *words)
    for other in options.others:
        say(f"quantizing: {other}")
        yield calibrated.other(other, reference, folder, samples)


def llama(name: str, reference: Path, folder: Path, form: str, *words: str) -> calibrated.Made:
    path = folder / f"{calibrated.place(name)}.gguf"
    script = Path(__file__).with_name("llama_quantizer.py")
    began = perf_counter()
    calibrated.ran([install.PYTHON, script, reference / references.GGUF, path, form, *words])
    return calibrated.of_gguf(name, path, perf_counter() - began)


def held_out(checkpoint: opened.Opened, plain: Path, tokens: int) -> tuple[Texts, Texts]:
    """What the reference writes with a seed of its own, and prose."""
    own = texts.written(plain, seed=MEASURED, length=LENGTH, tokens=tokens)
    ids = checkpoint.tokenizer().encode("\n\n".join(topics[name] for name in TOPICS))
    return own, texts.cut(ids, length=LENGTH, tokens=tokens, what="Python's manual")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk of the references, gone afterwards."""
    ROOT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=ROOT) as folder:
        yield Path(folder)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
