"""`farthing learn tune`: a model learns a field of its own, by low-rank parts."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def tune(
    model: str,
    /,
    *,
    data: tuple[Path, ...],
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    rank: int = 8,
    alpha: float = 16.0,
    targets: tuple[str, ...] = ("all-linear",),
    rate: float = 1e-3,
    warmup: float = 0.05,
    epochs: int = 1,
    length: int = 512,
    rows: int = 16,
    together: int = 8,
    recompute: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    dtype: Literal["bf16", "fp32"] = "bf16",
    quantized: Annotated[bool, Parameter(negative=())] = False,
    spelled: float = 1.0,
    resume: Annotated[bool, Parameter(negative=())] = False,
    threads: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Fine-tune a model on your chats or texts: LoRA, or QLoRA on its packed INT4 weights.

    The model stays as it is; small matrices beside its own learn. They are written as an adapter in
    PEFT's format, which `farthing learn merge` adds to the model for good. Of chats only what the
    assistant says is learned, of texts everything. ^C saves and stops; --resume goes on to the same
    bits.

    Examples:

        farthing learn tune smollm2-135m --data mine.jsonl -o runs/mine --epochs 3
        farthing learn merge smollm2-135m runs/mine -o mine
        farthing learn tune smol-4bit --quantized --data mine.jsonl -o runs/small

    Parameters
    ----------
    model
        A name that `farthing ls` shows, a packed folder, a Hugging Face folder or a GGUF file.
    data
        Data sets (folders of JSONL), .jsonl or .txt files; the flag may stand there several times.
    output
        The run's folder: checkpoints, the log, and in the end the adapter.
    rank
        Of each pair of small matrices.
    alpha
        The pair's product counts alpha / rank.
    targets
        Which matrices get a pair, by the names that PEFT gives them: q_proj, mlp.experts.up_proj,
        ...; all-linear means all of the blocks but routers.
    rate
        Of learning, at its highest.
    warmup
        Share of the steps over which the rate rises; then it falls as a cosine.
    epochs
        How often all documents are seen.
    length
        Tokens in a row; rows hold whole documents.
    rows
        In a step.
    together
        Rows that go through the model at once: less takes less memory.
    recompute
        Run blocks again on the way back: much less memory, a third more time, the same bits.
    seed
        Of the small matrices and of the documents' order.
    dtype
        Of products: bf16, or fp32.
    quantized
        Keep packed matrices packed, and make numbers of their codes as they are used.
    spelled
        Refuse a tokenizer that spells more than this share of a language's tokens letter by letter.
    resume
        Go on from the folder's last checkpoint, or begin if there is none yet.
    threads
        Of torch; 0 means one for each core.
    as_json
        Print the log's lines in place of one live line.
    """
    from farthing.cli import torch_needed

    torch_needed.check()
    # torch is first imported here
    from farthing.cli.learn_job import shown, stopped
    from farthing.cli.quantize_plan import place
    from farthing.learn.tune import Settings
    from farthing.learn.tuning import Tuning

    settings = Settings(
        rank=rank,
        alpha=alpha,
        targets=targets,
        rate=rate,
        warmup=warmup,
        epochs=epochs,
        length=length,
        rows=rows,
        together=together,
        recompute=recompute,
        seed=seed,
        dtype=dtype,
        quantized=quantized,
    )
    tuning = Tuning(
        place(model), data, output, settings, resume=resume, threads=threads, spelled=spelled
    )
    with stopped() as by, shown(tuning.live(), as_json=as_json) as screen:
        screen.note(tuning.opening())
        for note in tuning.notes:
            screen.note(note)
        done = tuning.go(lambda: bool(by), screen.told, screen.note)
    if done:
        print(f"{output}: an adapter; `farthing learn merge {model} {output} -o FOLDER` adds it")
        return 0
    print(
        f"farthing: stopped at step {tuning.tune.done} of {tuning.tune.steps}, saved in {output};"
        " --resume goes on with it",
        file=sys.stderr,
    )
    return 128 + by[0]
