"""Questions of rules, in English."""

from functools import partial

from farthing.learn.tasks.classifying import (
    LABELS,
    TOPICS,
    band_rule,
    kind_rule,
    limit_rule,
    list_rule,
    named_rule,
    parity_rule,
    told_en,
    word_rule,
)
from farthing.learn.tasks.types import Family, crossed
from farthing.learn.tasks.words import names_en, things_en

_family = partial(Family, kind="classify", language="en")

_WORD = (
    'If the text has the word "{first}", answer {a}. If it has "{second}", answer {b}. Otherwise'
    " answer {other}.\n\nText: {text}",
    "Rules: {first} -> {a}; {second} -> {b}; else -> {other}\nText: {text}\nLabel:",
    "Label the message: {a} when it mentions {first}, {b} when it mentions {second}, {other} if"
    " neither.\n{text}",
    "{text}\n\nIs it about {first}? Then write {a}. About {second}? Then write {b}. If not, write"
    " {other}.",
    "Sort this message. {a}: has {first}. {b}: has {second}. {other}: has none of them.\n{text}",
    'Messages with "{second}" go to {b}, those with "{first}" go to {a}, all others to {other}.'
    " Where does this go?\n{text}",
)
FAMILIES: list[Family] = [
    _family(
        name="word",
        draw=word_rule(TOPICS, LABELS, [f"the {noun}" for noun in things_en.COUNTABLE]),
        train=_WORD,
        test=(
            'Answer {a} if the text has "{first}", {b} if it has "{second}", and {other} if it has'
            " neither.\nText: {text}",
            "{text}\n\nRules: if it mentions {first}, write {a}; if it mentions {second}, write"
            " {b}; otherwise {other}.",
        ),
        share=4,
    ),
    _family(
        name="limit",
        draw=limit_rule(LABELS),
        train=crossed(
            (
                "{text} of {limit} or more is {a}; anything less is {b}. {text}: {value}",
                "If the {text} is at least {limit}, answer {a}, otherwise {b}. The {text} is"
                " {value}.",
                "Rule: {text} >= {limit} means {a}, else {b}.\n{text} = {value}\nAnswer:",
                "Write {b} for a {text} below {limit} and {a} for all others. {text} {value}:",
            ),
            ("score", "age", "weight", "count", "size"),
        ),
        test=crossed(
            (
                "Answer {a} if the {text} is {limit} or more, and {b} if it is less. The {text} is"
                " {value}.",
                "{text}: {value}\nRule: at least {limit} is {a}, below that is {b}.",
            ),
            ("score", "age", "size"),
        ),
        share=3,
    ),
    _family(
        name="band",
        draw=band_rule(LABELS),
        train=(
            "Below {low}: {a}. From {low} to below {high}: {b}. {high} and more: {c}. Value:"
            " {value}",
            "If the number is less than {low}, write {a}; if it is less than {high}, write {b};"
            " otherwise write {c}. The number is {value}.",
            "Rules: x < {low} -> {a}; {low} <= x < {high} -> {b}; x >= {high} -> {c}\nx = {value}",
            "The number is {value}. It is {a} under {low}, {c} from {high} up, and {b} between.",
        ),
        test=(
            "Number: {value}. Write {a} if it is below {low}, {b} if it is from {low} to below"
            " {high}, and {c} if it is {high} or more.",
        ),
        share=3,
    ),
    _family(
        name="parity",
        draw=parity_rule(LABELS),
        train=(
            "If the number is even, answer {a}; if it is odd, answer {b}. Number: {value}",
            "Even numbers are {a}, odd numbers are {b}. What is {value}?",
            "Rule: even -> {a}, odd -> {b}. {value} ->",
            "{value}\nWrite {a} for even and {b} for odd.",
        ),
        test=("Answer {a} if {value} is even and {b} if it is odd.",),
        share=2,
    ),
    _family(
        name="kind",
        draw=kind_rule(things_en.KINDS, LABELS),
        train=(
            "If the word is {first}, answer {a}; if it is {second}, answer {b}; otherwise answer"
            " {other}. Word: {word}",
            "Rules: {first} -> {a}; {second} -> {b}; anything else -> {other}\n{word} ->",
            "{word}\nIs it {first} ({a}), {second} ({b}) or something else ({other})?",
            "Label: {a} = {first}, {b} = {second}, {other} = none of these. {word}:",
        ),
        test=(
            "Answer {a} for {first}, {b} for {second} and {other} for anything else. The word is"
            " {word}.",
        ),
        share=3,
    ),
    _family(
        name="list",
        draw=list_rule(things_en.NOUNS, LABELS, ", "),
        train=(
            "List: {items}\nIf {word} is in the list, answer {a}, otherwise {b}.",
            "Write {a} if {word} is one of these, and {b} if not: {items}",
            "{items}\nIs {word} there? Then {a}. If not, {b}.",
            "Rule: in the list -> {a}, not in the list -> {b}. List: {items}. Word: {word}",
        ),
        test=("Answer {a} if {word} is in this list and {b} if it is not: {items}",),
        share=3,
    ),
    _family(
        name="named",
        draw=named_rule(told_en, LABELS, names_en.FIRST),
        train=(
            "If the text is about {first}, answer {a}; about {second}, answer {b}; else {other}."
            "\n{text}",
            "{first} is {a}. {second} is {b}. Everyone else is {other}. Who did this? {text}",
            "Rules: {first} -> {a}; {second} -> {b}; others -> {other}\n{text}\nLabel:",
        ),
        test=(
            "{text}\nAnswer {a} if this is about {first}, {b} if it is about {second}, and {other}"
            " if not.",
        ),
        share=2,
    ),
]
