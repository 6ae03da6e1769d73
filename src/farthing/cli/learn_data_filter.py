"""`farthing learn data filter`: what is worth training on, of what there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from farthing.cli import command
from farthing.cli.progress import bars

if TYPE_CHECKING:
    from farthing.learn.card import Card
    from farthing.learn.filters import Filter

Name = Literal[
    "characters", "phrases", "ends", "length", "language", "repetition", "answers", "leaks"
]


def filter(
    data: tuple[Path, ...],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    least_words: int = 40,
    most_words: int = 4000,
    strictness: float = 1.0,
    language: str | None = None,
    cut_off: Literal["trim", "drop"] = "trim",
    duplicates: float = 0.8,
    held_out: tuple[Path, ...] = (),
    leak_words: int = 13,
    without: tuple[Name, ...] = (),
    as_text: Annotated[bool, Parameter(negative=())] = False,
    parquet: Annotated[bool, Parameter(negative=())] = False,
    licence: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Keep what is worth training on: dropped is what is broken, repeated, wrong or leaked.

    Length, language and repetition are asked of prose; tasks (documents with an answer) are checked
    by a program instead. What each filter dropped, and why, is told and stands on the card.

    Examples:

        farthing learn data filter data/prose -o data/prose-clean --as-text
        farthing learn data filter data/answers -o data/right --held-out data/held-out

    Parameters
    ----------
    data
        Data sets, or .jsonl or .parquet files.
    output
        A new folder.
    least_words
        Of prose; a Chinese character is a word.
    most_words
        Of prose.
    strictness
        About repetition: above 1 drops more, below 1 less.
    language
        What every text must be in (en or zh); by default, what the document says it is in.
    cut_off
        A text that reached its longest length is trimmed to its last whole sentence, or dropped.
    duplicates
        Texts that share this much of their runs of five words are one: the first stays; of tasks
        only equal ones are. 0: not looked for.
    held_out
        Data sets or files of questions that a model is tested with: what gives them away is
        dropped. Templates of our own tests always are.
    leak_words
        So many words in a row of a held-out text are a leak.
    without
        Filters to leave out.
    as_text
        Write the answers as plain texts, without the questions.
    parquet
        Write Parquet instead of JSONL; wants pyarrow (`pip install 'farthing[parquet]'`).
    licence
        For the card; by default, the sources' if they have all the same.
    as_json
        Print the card as JSON.
    """
    from farthing.learn import card
    from farthing.learn.filtering import Filtering
    from farthing.learn.filters import (
        Answers,
        Characters,
        Ends,
        Language,
        Length,
        Phrases,
        Repetition,
    )
    from farthing.learn.leaks import Leaks, read
    from farthing.learn.minhash import Near

    every: list[Filter] = [
        Characters(),
        Phrases(),
        Ends(cut_off == "drop"),
        Length(least_words, most_words),
        Language(language),
        Repetition(strictness),
        Answers(),
    ]
    if "leaks" not in without:
        every.append(Leaks((one for path in held_out for one in read(path)), leak_words))
    job = Filtering(
        sources=data,
        output=output,
        filters=[one for one in every if one.name not in without],
        near=Near(duplicates) if duplicates else None,
        as_text=as_text,
        as_parquet=parquet,
        licence=licence,
        made_by=command.text(),
    )
    with bars() as tell:
        made = job.run(tell)
    if as_json:
        print((output / card.CARD).read_text(), end="")
    else:
        _tell(output, made)


def _tell(output: Path, made: "Card") -> None:
    read = int(made.settings["read"])
    print(f"{output}: {made.documents:,} of {read:,} documents, {made.characters:,} characters")
    for one in made.filters:
        if one.documents or one.changed:
            why = ", ".join(f"{n:,} {reason}" for reason, n in one.why.items())
            mended = f"; {one.changed:,} changed" if one.changed else ""
            print(f"  {one.filter}: {one.documents:,} dropped ({why}){mended}".replace(" ()", ""))
