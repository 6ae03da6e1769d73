"""A published model's card: what was measured while it was made, and how to make it again.

Nothing here is an estimate or a claim: what was not at hand is said to be missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farthing import machine
from farthing.learn import live
from farthing.learn.corpus import Corpus
from farthing.learn.evaluations import Evaluation, answers, losses, row
from farthing.learn.live import counted
from farthing.learn.rebuilding import again, has_teacher
from farthing.learn.recipe import Recipe
from farthing.learn.shortened import shortened
from farthing.meter.rate import NANO, MachinePrice, cost, dollars
from farthing.store.digest import sha256_of

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Made:
    """All that a card is made from."""

    name: str
    recipe: Recipe
    source: str
    """The recipe's own text."""

    step: int
    facts: Line
    """facts.json of the run."""

    log: Sequence[Line]
    """Of its steps up to this one."""

    corpora: Mapping[str, Corpus | None]
    """Of the recipe's paths, those held out too; None where it is no longer at hand."""

    price: MachinePrice
    evaluations: Sequence[Evaluation] = ()
    licence: str | None = None
    about: str = ""
    """What its maker has to say; stands first."""

    commands: Sequence[str] = ()
    """That rebuild it, in order."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Whose hashes are told, by name."""


def text(made: Made) -> str:
    """README.md."""
    parts = (_head, _opening, _measured, _held_out, _training, _data, _again, _hashes)
    return "\n".join(line for part in parts for line in part(made)) + "\n"


def _head(made: Made) -> Iterator[str]:
    found = {name for corpus in made.corpora.values() if corpus for name in _languages(corpus)}
    languages = sorted(name for name in found if len(name) == 2)
    yield from ("---", f"license: {made.licence or 'unknown'}", "library_name: transformers")
    yield "pipeline_tag: text-generation"
    if languages:
        yield from ("language:", *(f"- {name}" for name in languages))
    yield from ("tags:", "- farthing", f"- {made.recipe.model['model_type']}", "---", "")


def _opening(made: Made) -> Iterator[str]:
    facts, settings = made.facts, made.recipe.model
    yield f"# {made.name}\n"
    if made.about:
        yield f"{made.about.strip()}\n"
    trained = _own_steps(made) * made.recipe.batch.tokens
    yield (
        f"{millions(facts['parameters'])} parameters, {millions(facts['active'])} of them active"
        f" for a token ({settings['model_type']}, {settings['num_hidden_layers']} layers, width"
        f" {settings['hidden_size']}, vocabulary {settings['vocab_size']:,}); trained from"
        f" {_began(facts)} {trained:,} tokens of the data below, and on {_besides(made.recipe)}."
        " Weights are bf16."
    )
    if made.recipe.next_token is not None:
        yield (
            "A next-token head (MTP) stands as the layer after the last; its embedding and head are"
            " the main model's."
        )
    yield f'\n```\nfarthing run {made.name} "..."\n```\n'


def _began(facts: Line) -> str:
    if start := facts.get("started"):
        recipe = f" (recipe `{start['recipe']}`)"
        return f"another run's weights of step {start['step']:,}{recipe} on"
    return "random weights on"


def _besides(recipe: Recipe) -> str:
    taught = _teachers(recipe)
    return f"what a teacher makes of them ({', '.join(taught)})" if taught else "nothing else"


def _own_steps(made: Made) -> int:
    """Without those of the run that it was started from."""
    return made.step - int((made.facts.get("started") or {"step": 0})["step"])


def _teachers(recipe: Recipe) -> list[str]:
    """As the recipe names them: who is asked, or what was kept."""
    if recipe.teacher is None:
        return []
    asked = recipe.teacher.model
    return [asked] if asked else [str(source.logits) for source in recipe.data.train]


def _measured(made: Made) -> Iterator[str]:
    yield from answers(made.evaluations)
    yield from losses(made.evaluations)


def _held_out(made: Made) -> Iterator[str]:
    line = next((line for line in reversed(made.log) if line.get("held_out")), None)
    if line is None:
        return
    yield f"## Held-out text\n\nAfter {line['step']:,} steps; 95 % intervals, rows independent.\n"
    yield from row("corpus", "tokens", "loss, nats", "likeliest is right", "MTP guesses accepted")
    names = shortened(line["held_out"])
    for path, one in line["held_out"].items():
        mean, loss = one["loss"], f"{one['loss']:.4f}"
        if one["error"] is not None:
            off = 1.96 * one["error"]
            loss += f" ({mean - off:.4f} to {mean + off:.4f})"
        accepted = "" if one["accepted"] is None else f"{one['accepted']:.1%}"
        cells = (names[path], f"{one['tokens']:,}", loss, f"{one['right']:.1%}", accepted)
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _training(made: Made) -> Iterator[str]:
    yield "## Training\n"
    facts, last = made.facts, made.log[-1]
    seconds, price = float(last["elapsed"]), made.price
    machines, processes = facts.get("machines", 1), facts.get("processes", 1)
    spent = cost(round(seconds * NANO), price.hour_nanodollars * machines)
    trained = _own_steps(made) * made.recipe.batch.tokens
    several = f"{processes} processes of " if processes > 1 else ""
    several += counted(facts["threads"], "thread")
    each = f"{machines} machines, each " if machines > 1 else ""
    stepped = len(made.log) * made.recipe.batch.tokens / sum(line["seconds"] for line in made.log)
    share = live.share(facts, stepped)
    yield (
        f"{made.step:,} steps of {made.recipe.steps:,}, {seconds / 3600:.2f} hours on"
        f" {several} of {machine.processor()}: {trained / seconds:,.0f} tokens a"
        f" second, evaluation and saving included, and {share:.1%} of the machine's measured peak"
        f" in bf16 products ({facts['peak'] / 1e9:,.0f} GFLOPS) while stepping. That is"
        f" **{dollars(spent)}** at {each}{price.describe()}."
    )
    if found := live.uneven(made.log, live.SETTLED * made.recipe.steps):
        yield (
            f"The busiest expert of a layer got {found[1]:.2f} times the mean, over all steps but"
            f" the first tenth ({live.layer(found[0])}, the least even one)."
        )
    yield (
        f"Last loss {last['loss']:.4f} nats a token. torch {facts['torch']}, farthing"
        f" {facts['farthing']}."
    )
    yield f"\nThe recipe:\n\n```toml\n{made.source.strip()}\n```\n"


def _data(made: Made) -> Iterator[str]:
    yield "## Data\n"
    yield from row("corpus", "share of rows", "documents", "tokens", "bytes a token")
    total = sum(source.share for source in made.recipe.data.train)
    names = shortened(made.corpora)
    for source in made.recipe.data.train:
        share = f"{source.share / total:.1%}"
        yield _corpus(names[source.path], share, made.corpora[source.path])
    for source in made.recipe.data.held_out:
        yield _corpus(names[source.path], "held out", made.corpora[source.path])
    yield ""
    for one in _sources(made):
        yield from _source(one, "")
    yield ""


def _corpus(name: str, share: str, corpus: Corpus | None) -> str:
    if corpus is None:
        return f"| {name} | {share} | not at hand when this was written | | |"
    each = ", ".join(f"{n} {c['bytes_per_token']}" for n, c in _languages(corpus).items())
    cells = (name, share, f"{corpus.documents:,}", f"{len(corpus.tokens):,}", each)
    return "| " + " | ".join(cells) + " |"


def _sources(made: Made) -> list[Line]:
    """Of every corpus, the data sets that it was packed from, each once."""
    found = {
        one["sha256"]: one
        for corpus in made.corpora.values()
        if corpus
        for one in corpus.about.get("data", ())
    }
    return list(found.values())


def _source(source: Line, indent: str) -> Iterator[str]:
    yield f"{indent}- {source['name']}: {source['documents']:,} documents, `{source['sha256']}`"
    card = source.get("card")
    if not card:
        return
    told = [f"made by `{card['made_by']}`"]
    if teacher := card.get("teacher"):
        told.append(", ".join(f"{name} {value}" for name, value in teacher.items()))
    if licence := card.get("licence"):
        told.append(f"licence {licence}")
    if spent := card.get("cost"):
        told.append(f"{dollars(spent['nanodollars'])} for {spent['requests']:,} requests")
    told += [f"{name} {value}" for name, value in card.get("settings", {}).items()]
    yield f"{indent}  {'; '.join(told)}"
    for one in card.get("filters", ()):
        yield f"{indent}  filtered by {one['filter']}: {one['documents']:,} documents dropped"
    for parent in card.get("parents", ()):
        yield from _source(parent, indent + "  ")


def _again(made: Made) -> Iterator[str]:
    taught = any(map(has_teacher, _sources(made)))
    yield from again(made.facts, taught, made.commands)


def _hashes(made: Made) -> Iterator[str]:
    yield "## Hashes\n"
    yield from row("what", "bytes", "sha256")
    for name, path in made.files.items():
        yield f"| {name} | {path.stat().st_size:,} | `{sha256_of([path])}` |"
    yield f"| recipe, all that decides the run | | `{made.recipe.identity}` |"
    short = shortened(made.corpora)
    names = [f"corpus {short[source.path]}, its tokens" for source in made.recipe.data.train]
    names += [f"teacher {name}" for name in _teachers(made.recipe)]
    for name, digest in zip(names, made.facts["data"], strict=True):
        yield f"| {name} | | `{digest}` |"


def _languages(corpus: Corpus) -> dict[str, Any]:
    found: dict[str, Any] = corpus.about.get("languages", {})
    return found


def millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"
