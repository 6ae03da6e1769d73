"""`farthing learn VERB`: the table of training's verbs, one module a verb.

The modules are light: each imports farthing.learn, and with it torch, only when its verb runs.
"""

import os
from importlib import import_module

from cyclopts import App, Parameter

VERBS = {
    "pretrain": "learn_pretrain:pretrain",
    "report": "learn_report:report",
    "compare": "learn_compare:compare",
    "tokenizer": "learn_tokenizer:tokenizer",
    "publish": "learn_publish:publish",
    "check": "learn_check:check",
    "tune": "learn_tune:tune",
    "merge": "learn_merge:merge",
    "distil": "learn_distil:distil",
    "data tasks": "learn_data_tasks:tasks",
    "data sample": "learn_data_sample:sample",
    "data filter": "learn_data_filter:filter",
    "data pack": "learn_data_pack:pack",
    "data logits": "learn_data_logits:logits",
}
"""What is typed after `farthing learn`, and where in farthing.cli its function is. The function's
docstring is the verb's help; its first line stands in the table."""


SPINS = "1000"
"""Rounds that a thread of torch waits awake, some 20 us. Its OpenMP would wait for milliseconds: on
a busy machine two threads then took seven times as much of the processor, and five times as long.
"""


def patient() -> None:
    """Before torch is imported, and unless the user decided it."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def table() -> App:
    made = _app(
        "learn",
        "Train, distil and fine-tune the models that farthing serves.",
        "Training wants torch",
    )
    data = _app(
        "data",
        "Make what models learn from: tasks, samples, filtered and packed text.",
        "`sample` wants httpx, `logits` torch",
    )
    for place, (words, where) in enumerate(VERBS.items()):
        *above, name = words.split()
        module, function = where.split(":")
        verb = getattr(import_module(f"farthing.cli.{module}"), function)
        (data if above else made).command(verb, name=name, sort_key=place)
    if any(words.startswith("data ") for words in VERBS):
        data.sort_key = len(VERBS)
        made.command(data)
    return made


def _app(name: str, help: str, wants: str) -> App:
    return App(
        name=name,
        help=help,
        help_epilogue=f"{wants}: `pip install 'farthing[learn]'`.",
        default_parameter=Parameter(negative_iterable=()),
    )


patient()
learn = table()
