"""English sentences and lists, changed by a rule: person, tense, number, case, words replaced."""

from collections.abc import Callable
from functools import partial
from random import Random

from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.types import Draw, Family, Fields
from farthing.learn.tasks.words import acts_en as acts
from farthing.learn.tasks.words import names_en as names
from farthing.learn.tasks.words import things_en as things

_family = partial(Family, kind="rewrite", language="en")


def act(rng: Random) -> tuple[str, str, str]:
    """A verb, its object, and perhaps where or when."""
    verb, thing = pick(rng, acts.ACTS)
    form = rng.random()
    rest = f" {pick(rng, acts.TIMES)}" if form < 0.4 else ""
    return verb, thing, rest or (f" {pick(rng, acts.SPOTS)}" if form < 0.8 else "")


def clause(rng: Random) -> str:
    """In the past, with a name."""
    verb, thing, rest = act(rng)
    return f"{pick(rng, names.FIRST)} {acts.past(verb)} {thing}{rest}."


def sentences(before: Callable[[str], str], after: Callable[[str], str]) -> Draw:
    """From a form of the verb to another, its subject and its object as they are."""

    def draw(rng: Random) -> tuple[Fields, str]:
        verb, thing, rest = act(rng)
        who = pick(rng, names.FIRST) if rng.random() < 0.6 else pick(rng, ("She", "He"))
        return {
            "text": f"{who} {before(verb)} {thing}{rest}.",
            "verb": verb,
        }, f"{who} {after(verb)} {thing}{rest}."

    return draw


def to_he(rng: Random) -> tuple[Fields, str]:
    verb, thing, rest = act(rng)
    pronoun = pick(rng, ("he", "she"))
    text = f"I {verb} {thing}{rest}."
    return {
        "text": text,
        "who": pronoun,
    }, f"{pronoun.capitalize()} {acts.third(verb)} {thing}{rest}."


def to_i(rng: Random) -> tuple[Fields, str]:
    verb, thing, rest = act(rng)
    who = pick(rng, names.FIRST)
    text = f"{who} {acts.third(verb)} {thing}{rest}."
    return {"text": text, "who": who}, f"I {verb} {thing}{rest}."


def asking(rng: Random) -> tuple[Fields, str]:
    verb, thing, rest = act(rng)
    who = pick(rng, names.FIRST)
    return {"text": f"{who} {acts.past(verb)} {thing}{rest}."}, f"Did {who} {verb} {thing}{rest}?"


def negated(rng: Random) -> tuple[Fields, str]:
    if rng.random() < 0.5:
        what = f"The {pick(rng, things.NOUNS)} {pick(rng, ('is', 'was'))}"
        adjective = pick(rng, acts.ADJECTIVES)
        return {"text": f"{what} {adjective}."}, f"{what} not {adjective}."
    verb, thing, rest = act(rng)
    who = pick(rng, names.FIRST)
    past = f"{who} {acts.past(verb)} {thing}{rest}."
    return {"text": past}, f"{who} did not {verb} {thing}{rest}."


def replaced(rng: Random) -> tuple[Fields, str]:
    first, second, third = several(rng, things.NOUNS, 3)
    form = int(rng.random() * 4)
    text = (
        f"The {first} is next to the {second}.",
        f"We saw the {second} behind the {first}.",
        f"{pick(rng, names.FIRST)} likes the {first} and the {second}.",
        f"My {first} is {pick(rng, acts.ADJECTIVES)}, but the {second} is new.",
    )[form]
    return {"text": text, "old": first, "new": third}, text.replace(f" {first}", f" {third}", 1)


def name_changed(rng: Random) -> tuple[Fields, str]:
    text = clause(rng)
    old, rest = text.split(" ", 1)
    new = pick(rng, names.FIRST)
    return {"text": text, "old": old, "new": new}, f"{new} {rest}"


def cased(change: Callable[[str], str]) -> Draw:
    def draw(rng: Random) -> tuple[Fields, str]:
        found = several(rng, things.COUNTABLE, whole(rng, 1, 4))
        text = " ".join(found)
        text = text.upper() if change is str.lower else text
        return {"text": text}, change(text)

    return draw


def plurals(rng: Random) -> tuple[Fields, str]:
    found = several(rng, things.NOUNS, whole(rng, 1, 4))
    return {"text": ", ".join(found)}, ", ".join(map(things.plural, found))


def singulars(rng: Random) -> tuple[Fields, str]:
    found = several(rng, things.NOUNS, whole(rng, 1, 4))
    return {"text": ", ".join(map(things.plural, found))}, ", ".join(found)


def turned(rng: Random) -> tuple[Fields, str]:
    found = several(rng, things.NOUNS, whole(rng, 3, 6))
    return {"text": " ".join(found)}, " ".join(reversed(found))


def removed(rng: Random) -> tuple[Fields, str]:
    found = several(rng, things.NOUNS, whole(rng, 3, 6))
    gone = pick(rng, found)
    left = ", ".join(one for one in found if one != gone)
    return {"text": ", ".join(found), "word": gone}, left


def digits_turned(rng: Random) -> tuple[Fields, str]:
    text = str(whole(rng, 100, 999_999))
    return {"text": text}, text[::-1]


def joined(rng: Random) -> tuple[Fields, str]:
    """A list of words as a sentence has them."""
    found = several(rng, things.COUNTABLE, whole(rng, 3, 5))
    return {"text": ", ".join(found)}, f"{', '.join(found[:-1])} and {found[-1]}"


FAMILIES: list[Family] = [
    _family(
        name="past",
        draw=sentences(acts.third, acts.past),
        train=(
            "Put this sentence into the past tense: {text}",
            "Write in the past: {text}",
            "{text}\nChange to the past tense.",
            "Say that it happened yesterday, in the past tense: {text}",
            "Past tense: {text}",
            "Turn the present into the past. {text}",
        ),
        test=("Write this sentence in the past tense: {text}", "{text}\nPut it into the past."),
        share=3,
    ),
    _family(
        name="present",
        draw=sentences(acts.past, acts.third),
        train=(
            "Put this sentence into the present tense: {text}",
            "Write in the present: {text}",
            "{text}\nChange to the present tense.",
            "Present tense: {text}",
            "Turn the past into the present. {text}",
        ),
        test=(
            "Write this sentence in the present tense: {text}",
            "{text}\nPut it into the present.",
        ),
        share=2,
    ),
    _family(
        name="future",
        draw=sentences(acts.past, lambda verb: f"will {verb}"),
        train=(
            "Put this sentence into the future with will: {text}",
            "Write in the future: {text}",
            "{text}\nChange to the future tense.",
            "Future tense: {text}",
        ),
        test=("Write this sentence in the future tense: {text}",),
        share=2,
    ),
    _family(
        name="continuous",
        draw=sentences(acts.third, lambda verb: f"is {acts.ing(verb)}"),
        train=(
            "Say that it is happening now: {text}",
            "Write in the present continuous: {text}",
            "{text}\nUse the -ing form.",
            "It is going on right now. Rewrite: {text}",
        ),
        test=("Rewrite with the -ing form: {text}",),
        share=2,
    ),
    _family(
        name="to-he",
        draw=to_he,
        train=(
            'Change "I" to "{who}": {text}',
            "Rewrite in the third person with {who}: {text}",
            "{text}\nSay it of someone else, with {who}.",
            'Use "{who}" in place of "I". {text}',
        ),
        test=('Rewrite this with "{who}" in place of "I": {text}',),
        share=2,
    ),
    _family(
        name="to-i",
        draw=to_i,
        train=(
            'Change "{who}" to "I": {text}',
            "Rewrite in the first person: {text}",
            "{text}\nYou are {who}. Say it of yourself.",
            'Use "I" in place of "{who}". {text}',
        ),
        test=('Rewrite this with "I" in place of "{who}": {text}',),
        share=2,
    ),
    _family(
        name="asking",
        draw=asking,
        train=(
            "Make a yes-no question of this: {text}",
            "{text}\nTurn it into a question with Did.",
            "Ask whether it is so: {text}",
            "Write as a question: {text}",
        ),
        test=("Turn this sentence into a question: {text}",),
        share=2,
    ),
    _family(
        name="negated",
        draw=negated,
        train=(
            "Make this negative: {text}",
            "{text}\nSay the opposite with not.",
            'Rewrite with "not": {text}',
            "Negate: {text}",
            "Write that it is not so. {text}",
        ),
        test=("Rewrite this as a negative sentence: {text}", "{text}\nMake it negative."),
        share=2,
    ),
    _family(
        name="replaced",
        draw=replaced,
        train=(
            'Replace "{old}" with "{new}": {text}',
            "Write {new} in place of {old}. {text}",
            "{text}\nChange {old} to {new}.",
            'In this sentence, put "{new}" where "{old}" is: {text}',
            "Swap the word {old} for {new}: {text}",
        ),
        test=(
            "In the sentence, replace {old} with {new}: {text}",
            '{text}\nPut "{new}" in place of "{old}".',
        ),
        share=3,
    ),
    _family(
        name="name",
        draw=name_changed,
        train=(
            "It was {new}, not {old}. Correct this: {text}",
            "{text}\nWrite it about {new}.",
            "Same sentence, but the name is {new}: {text}",
            "Rename {old} to {new}: {text}",
        ),
        test=("It was not {old} but {new}. Correct the sentence: {text}",),
        share=2,
    ),
    _family(
        name="upper",
        draw=cased(str.upper),
        train=(
            "Write in capital letters: {text}",
            "Convert to upper case: {text}",
            "{text}\nALL CAPS, please.",
            "Uppercase: {text}",
            "Make every letter a capital: {text}",
        ),
        test=("Write this in upper case: {text}", "{text}\nChange to capital letters."),
        share=2,
    ),
    _family(
        name="lower",
        draw=cased(str.lower),
        train=(
            "Write in small letters: {text}",
            "Convert to lower case: {text}",
            "{text}\nno capitals, please.",
            "Lowercase: {text}",
        ),
        test=("Write this in lower case: {text}",),
    ),
    _family(
        name="title",
        draw=cased(str.title),
        train=(
            "Begin every word with a capital letter: {text}",
            "Convert to title case: {text}",
            "{text}\nCapitalize each word.",
        ),
        test=("Write this in title case: {text}",),
    ),
    _family(
        name="plurals",
        draw=plurals,
        train=(
            "Write the plural: {text}",
            "Give the plural of {text}.",
            "{text}\nMore than one, please: write the plurals.",
            "Make plural: {text}",
            "What is the plural form? {text}",
        ),
        test=("Give the plural forms: {text}", "{text}\nWrite these in the plural."),
        share=2,
    ),
    _family(
        name="singulars",
        draw=singulars,
        train=(
            "Write the singular: {text}",
            "Give the singular of {text}.",
            "{text}\nJust one of each: write the singular.",
            "Make singular: {text}",
        ),
        test=("Give the singular forms: {text}",),
    ),
    _family(
        name="turned",
        draw=turned,
        train=(
            "Write the words in reverse order: {text}",
            "{text}\nLast word first.",
            "Reverse the order of the words: {text}",
            "Say these words backwards, one by one: {text}",
        ),
        test=("Reverse the words: {text}", "{text}\nWrite the words from last to first."),
        share=2,
    ),
    _family(
        name="removed",
        draw=removed,
        train=(
            "Remove {word} from the list: {text}",
            "{text}\nWrite the list without {word}.",
            'Delete "{word}": {text}',
            "Leave out {word}. {text}",
            "Take {word} away from this list: {text}",
        ),
        test=("Write this list without {word}: {text}", "{text}\nRemove {word}."),
        share=2,
    ),
    _family(
        name="digits",
        draw=digits_turned,
        train=(
            "Write the digits of {text} in reverse.",
            "Reverse the number {text}.",
            "{text} backwards is",
            "Read {text} from right to left.",
        ),
        test=("Reverse the digits of {text}.", "{text}\nWrite this number backwards."),
        share=2,
    ),
    _family(
        name="joined",
        draw=joined,
        train=(
            'Join with commas and "and": {text}',
            "Write as in a sentence, with and before the last: {text}",
            "{text}\nPut and before the last item.",
        ),
        test=('Write this list with "and" before the last item: {text}',),
    ),
]
