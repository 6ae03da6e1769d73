"""The work behind `farthing eval`: what was asked, and what was found."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from farthing.cli import eval_plot, eval_tasks, models, pages, prompts
from farthing.cli.measured import keep_scores
from farthing.cli.progress import counting
from farthing.errors import InputError, NotFound
from farthing.evaluate import measure, opened, record, texts
from farthing.evaluate.divergence import Tokens
from farthing.evaluate.opened import Opened
from farthing.evaluate.tasks import Score, Task
from farthing.evaluate.tasks.kept import Kept, kept
from farthing.evaluate.texts import Texts
from farthing.formats.quality import Row
from farthing.tokenizer import Tokenizer

MOST_TOKENS = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The flags that figures depend on; see cli/eval.py."""

    model: str
    against: str | None = None
    text: Path | None = None
    tokens: int = 4096
    length: int = 512
    seed: int = 0
    kv_bits: int | None = None
    weights_only: bool = False
    tasks: tuple[str, ...] = ()
    chat: bool = False
    limit: int | None = None
    unsafe: bool = False

    def command(self) -> str:
        """What gives the same figures again: the flags that differ from their defaults."""
        words = ["farthing", "eval", self.model]
        for field in fields(self)[1:]:
            value, name = getattr(self, field.name), field.name.replace("_", "-")
            if value is True:
                words.append(f"--{name}")
            elif value != field.default:
                values = value if isinstance(value, tuple) else (value,)
                words += [word for one in values for word in (f"--{name}", str(one))]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Rows are of the levers, their tokens beside them; both are empty if none were asked for."""

    model: Opened
    against: Opened
    command: str
    saved: bool = False
    longer: Sequence[Row] = ()
    """Rows of these levers that were measured on more tokens, and stay in quality.json."""
    rows: Sequence[Row] = ()
    tokens: Sequence[Tokens] = ()
    texts: Texts | None = None
    scores: Sequence[Score] = ()
    reference_scores: Sequence[Score] = ()
    kept: Kept | None = None

    def tokenizer(self) -> Tokenizer | None:
        """None where neither brings one; ids are shown then."""
        try:
            return tokenizer_of(self.against, self.model)
        except NotFound:
            return None


def tokenizer_of(against: Opened, model: Opened) -> Tokenizer:
    """The reference's, or that of what was made from it. NotFound if neither has one."""
    try:
        return against.tokenizer()
    except NotFound:
        return model.tokenizer()


def check(asked: Asked, report: Path | None) -> None:
    """All that can be known to be wrong before any work."""
    if not 2 <= asked.length <= MOST_TOKENS:
        raise InputError(f"length is {asked.length}; it must be from 2 to {MOST_TOKENS}")
    if not 0 <= asked.tokens <= MOST_TOKENS or asked.tokens == 1:
        raise InputError(f"tokens is {asked.tokens}; it must be 0, or from 2 to {MOST_TOKENS}")
    if asked.tokens == 0 and not asked.tasks:
        raise InputError("tokens is 0, which leaves tasks alone: add --tasks")
    if asked.weights_only and asked.against is None:
        raise InputError("--weights-only compares weights with others: add --against REFERENCE")
    if asked.weights_only and asked.tasks:
        raise InputError("tasks run on the engine, and --weights-only is without: drop one of them")
    if report is not None:
        pages.check(report)
        eval_plot.check()


def run(asked: Asked, *, save: bool) -> Found:
    """Rows are saved, if asked, before tasks begin; scores after them, for `farthing board`."""
    tasks = eval_tasks.named(asked.tasks, chat=asked.chat, limit=asked.limit, unsafe=asked.unsafe)
    model, origin = subjects(asked)
    against = origin or model
    keep = save and model.is_packed and bool(tasks)
    if save := save and model.is_packed and asked.tokens > 0:
        record.must_be_writable(model)
    rows: list[Row] = []
    tokens: list[Tokens] = []
    text = None
    if asked.tokens:
        text = text_of(against, model, asked)
        rows, tokens = levers(asked, model, origin, text)
    longer = record.save(model, rows) if save else []
    scores, theirs = answers(asked, model, origin, tasks)
    if keep:
        keep_scores(model.path, scores, kv_bits=asked.kv_bits or 16)
    return Found(
        model=model,
        against=against,
        command=asked.command(),
        saved=save,
        longer=longer,
        rows=rows,
        tokens=tokens,
        texts=text,
        scores=scores,
        reference_scores=theirs,
        kept=kept(scores, theirs, seed=asked.seed) if theirs else None,
    )


def levers(
    asked: Asked, model: Opened, origin: Opened | None, text: Texts
) -> tuple[list[Row], list[Tokens]]:
    with counting("measuring", text.tokens) as told:
        measured = measure.measure(
            model,
            origin,
            text,
            kv_bits=asked.kv_bits or 16,
            weights_only=asked.weights_only,
            seed=asked.seed,
            told=told,
        )
    return record.rows_of(measured, origin or model, text), [one.tokens for one in measured]


def answers(
    asked: Asked, model: Opened, origin: Opened | None, tasks: Sequence[Task]
) -> tuple[list[Score], list[Score]]:
    """The model's scores, and the reference's if there is one, both on the engine."""
    ours = eval_tasks.scores(model, tasks, asked.kv_bits or 16)
    return ours, [] if origin is None else eval_tasks.scores(origin, tasks)


def subjects(asked: Asked) -> tuple[Opened, Opened | None]:
    """What is measured, and what it is measured against if not itself."""
    model = find(asked.model)
    if not model.is_packed and not asked.weights_only:
        raise InputError(
            f"{asked.model} is not packed, and the engine runs packed models: `farthing pull"
            f" {asked.model}` packs it, or --weights-only reads its weights as they are"
        )
    return model, None if asked.against is None else find(asked.against)


def find(name: str) -> Opened:
    """A checkpoint by its name here, or by path. The default model is fetched if it is absent."""
    path = Path(name).expanduser()
    if ("/" in name or path.suffix == ".gguf") and path.exists():
        return opened.open(path)
    return opened.open(models.folder(name))


def text_of(reference: Opened, model: Opened, asked: Asked) -> Texts:
    """The user's text, by the reference's tokenizer; or the reference's own."""
    length, tokens = asked.length, asked.tokens
    if asked.text is None:
        with reference.as_packed() as folder, counting("writing", tokens) as told:
            return texts.written(folder, seed=asked.seed, length=length, tokens=tokens, told=told)
    file, tokenizer = asked.text, tokenizer_of(reference, model)
    parts = prompts.read(file) if file.suffix == ".jsonl" else [prompts.whole(file)]
    ids = [id for part in parts for id in tokenizer.encode(part, add_special=True)]
    found = texts.cut(ids, length=length, tokens=tokens, what=f"user: {file.name}")
    if found.tokens < min(tokens, len(ids) - 1):
        left = len(ids) - 1 - found.tokens
        print(f"farthing: the last {left} tokens of {file} fill no sequence", file=sys.stderr)
    return found
