"""`farthing learn data tasks`: tasks that a program can check, and texts made by grammar."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from farthing.cli import command


def tasks(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    count: int = 100_000,
    kinds: str = "tasks",
    languages: str = "en,zh",
    seed: int = 0,
    split: Literal["train", "test"] = "train",
    turns: int = 1,
    questions: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Make tasks whose answers are known, as chats to train on; or questions to test with.

    The same seed gives the same bytes. Templates of the test split never occur in training, so
    that a score on them is of what was learned, not of what was seen.

    Examples:

        farthing learn data tasks -o data/tasks --count 1000000
        farthing learn data tasks -o data/texts --kinds texts --languages zh
        farthing learn data tasks -o data/held-out --split test --count 2000 --seed 1
        farthing learn data tasks -o tests --questions --count 200
        farthing eval mite --chat --tokens 0 --tasks tests/arithmetic-en.jsonl

    Parameters
    ----------
    output
        A new folder; it appears whole, or not at all.
    count
        How many documents; with --questions, how many of each kind and language.
    kinds
        Which of them, joined by commas; "tasks" stands for all tasks, "texts" for all texts made by
        grammar.
    languages
        en, zh, or en,zh.
    seed
        Decides all that is drawn.
    split
        Whose templates.
    turns
        Up to so many tasks stand in one chat, of one language.
    questions
        Write a file of question and answer a kind and language, of the test split, as
        `farthing eval --tasks` reads them.
    as_json
        Print one JSON object.
    """
    from farthing.learn.tasks import files

    asked, spoken = kinds.split(","), languages.split(",")
    told: dict[str, object] = {"folder": str(output)}
    if questions:
        paths = files.questions(output, asked, spoken, count, seed)
        told |= {"files": [path.name for path in paths], "questions": count * len(paths)}
    else:
        made_by = command.text()
        shards = files.write(output, asked, spoken, count, seed, split, made_by, turns)
        told["files"] = [shard.name for shard in shards]
        told["documents"] = sum(shard.documents for shard in shards)
    if as_json:
        print(json.dumps(told))
    else:
        what = "questions" if questions else "documents"
        print(f"{output}: {told[what]:,} {what}")
