"""`farthing quantize`: fewer bits a weight, at the least loss."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from farthing.cli import blas


def quantize(
    model: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    method: Literal["gptq", "awq", "rtn", "keep"] | None = None,
    bits: Literal[4, 8] | None = None,
    group: Literal[32, 64, 128] | None = None,
    minimum: Annotated[bool | None, Parameter(negative=())] = None,
    recipe: Path | None = None,
    text: Path | None = None,
    samples: int = 128,
    length: int = 512,
    seed: int = 0,
    format: Literal["packed", "hf", "gguf"] = "packed",
    threads: int = 0,
    plan: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Quantize a model: fewer bits a weight, chosen so that its answers change least.

    Linear layers become what the flags say. Embedding, head, shared experts and the halves of a
    latent get 8 bits, routers and norms stay as they are; a recipe decides all of that one by one.
    gptq and awq look at what flows through the model while it reads texts: yours, or texts that
    the model first writes itself. ^C is safe at any time: the same command goes on from there.

    Examples:

        farthing quantize ./SmolLM2-135M -o smol-4bit     4 bits, by gptq
        farthing quantize smol -o ./out --text mine.jsonl on your own chats
        farthing quantize smol --plan > recipe.toml       edit this, then
        farthing quantize smol -o mine --recipe recipe.toml
        farthing quantize smol -o m.gguf --format gguf    for llama.cpp

    Parameters
    ----------
    model
        A name that `farthing ls` shows, a packed folder, a Hugging Face folder or a GGUF file.
    output
        A name for `farthing ls` and `farthing run`, or a new folder (a path with a slash); with
        --format hf and gguf always a path. Unfinished work lies beside it.
    method
        gptq (the default: least loss), awq, rtn (to the nearest: quick, reads no text) or keep.
    bits
        4 (the default) or 8.
    group
        How many weights share a scale: 32 (the default), 64 or 128. 32 takes half a bit a weight.
    minimum
        Keep each group's minimum beside its scale: as much again. For hf in whole steps of the
        scale, which is what that format holds.
    recipe
        A TOML file that says for each tensor what becomes of it, in place of the four flags above.
    text
        Calibrate on this: plain text, or JSONL whose lines have a "text" or chat "messages".
    samples
        How many texts to calibrate on.
    length
        Tokens in each.
    seed
        Of the texts that the model writes itself.
    format
        packed (farthing's own), hf (compressed-tensors: vLLM, SGLang, transformers), or gguf.
    threads
        Threads of the engine and of NumPy's products; 0 means one for each core.
    plan
        Do nothing yet: print the recipe, and how large its model would be.
    as_json
        Print one JSON object in place of tables.
    """
    blas.prepare(threads, beside=2)
    # NumPy is first imported here.
    import farthing.cli.quantize_report as report
    from farthing.cli.quantize_job import Job
    from farthing.cli.quantize_plan import Flags, planned

    flags = Flags(method=method, bits=bits, group=group, minimum=minimum)
    found = planned(model, flags, recipe, format)
    if plan:
        report.plan(found, as_json=as_json)
        return
    job = Job.of(
        found,
        output,
        text=text,
        samples=samples,
        length=length,
        seed=seed,
        threads=threads,
    )
    if not as_json:
        report.before(found)
    done = job.run()
    if as_json:
        print(json.dumps(report.facts(found, done)))
    else:
        report.after(found, done)
