"""Questions of days and hours, in English."""

from functools import partial

from farthing.learn.tasks.dates import (
    between,
    clock_after,
    days_in,
    later,
    leap,
    spoken_en,
    to_12,
    to_24,
    took,
    weekday,
    written_en,
)
from farthing.learn.tasks.types import Family
from farthing.learn.tasks.words import names_en

_family = partial(Family, kind="dates", language="en")

FAMILIES: list[Family] = [
    _family(
        name="written",
        draw=written_en,
        train=(
            "Write {date} as YYYY-MM-DD.",
            "Convert {date} to the form YYYY-MM-DD.",
            "{date}\nGive this date as YYYY-MM-DD.",
            "What is {date} in ISO format?",
            "Change the date {date} to year-month-day.",
            "ISO date for {date}:",
            "Format as YYYY-MM-DD: {date}",
            "Normalize this date: {date} (YYYY-MM-DD)",
        ),
        test=("Give {date} in the form YYYY-MM-DD.", "{date}\nWrite this date in ISO format."),
        share=3,
    ),
    _family(
        name="spoken",
        draw=spoken_en,
        train=(
            "Write {date} with the name of the month.",
            "Spell out the date {date}.",
            "{date}\nWrite this date in words, like May 4, 2020.",
            "How do you write {date} in a letter?",
            "Convert {date} to the form Month day, year.",
        ),
        test=("Write the date {date} like May 4, 2020.", "{date}\nSpell out this date."),
        share=2,
    ),
    _family(
        name="after",
        draw=weekday(names_en.DAYS, 1),
        train=(
            "Today is {day}. What day is it in {count} days?",
            "If today is {day}, which day of the week comes {count} days later?",
            "What weekday is {count} days after {day}?",
            "It is {day}. {count} days from now it will be",
            "Count {count} days on from {day}. Which day is it?",
            "Starting on {day}, wait {count} days. What day is it then?",
        ),
        test=(
            "Which day of the week is {count} days after {day}?",
            "Today is {day}. Which day is it {count} days later?",
        ),
        share=2,
    ),
    _family(
        name="before",
        draw=weekday(names_en.DAYS, -1),
        train=(
            "Today is {day}. What day was it {count} days ago?",
            "What weekday was {count} days before {day}?",
            "It is {day}. Which day of the week was it {count} days earlier?",
            "Count {count} days back from {day}. Which day is it?",
            "Go back {count} days from {day}. What day is that?",
        ),
        test=("Which day of the week was {count} days before {day}?",),
    ),
    _family(
        name="later",
        draw=later,
        train=(
            "What is the date {count} days after {date}?",
            "Add {count} days to {date}.",
            "{date} plus {count} days is",
            "A parcel sent on {date} takes {count} days. On what date does it arrive?",
            "Which date comes {count} days after {date}?",
            "Start: {date}. Length: {count} days. End:",
        ),
        test=("Which date is {count} days after {date}?", "Take {date} and add {count} days."),
        share=2,
    ),
    _family(
        name="between",
        draw=between,
        train=(
            "How many days are there from {date} to {end}?",
            "Count the days between {date} and {end}.",
            "{date} to {end}: how many days?",
            "A trip begins on {date} and ends on {end}. How many days later is that?",
            "Days from {date} until {end}:",
        ),
        test=("How many days lie between {date} and {end}?",),
        share=2,
    ),
    _family(
        name="to-24",
        draw=to_24,
        train=(
            "Write {time} in 24-hour time.",
            "Convert {time} to the 24-hour clock.",
            "What is {time} on a 24-hour clock?",
            "{time} in 24-hour format:",
            "Change {time} to 24-hour form.",
            "{time}\nGive this time as HH:MM, 24 hours.",
        ),
        test=("Give {time} on the 24-hour clock.", "{time}\nConvert to 24-hour format."),
        share=2,
    ),
    _family(
        name="to-12",
        draw=to_12,
        train=(
            "Write {time} with am or pm.",
            "Convert {time} to the 12-hour clock.",
            "What is {time} on a 12-hour clock?",
            "{time} in 12-hour format:",
            "Change {time} to am/pm form.",
        ),
        test=("Give {time} on the 12-hour clock.", "{time}\nConvert to 12-hour format."),
        share=2,
    ),
    _family(
        name="clock",
        draw=clock_after,
        train=(
            "It is {time}. What time is it in {minutes} minutes?",
            "What time is it {minutes} minutes after {time}?",
            "A film starts at {time} and lasts {minutes} minutes. When does it end?",
            "Add {minutes} minutes to {time}.",
            "The bus leaves at {time} and drives for {minutes} minutes. When does it arrive?",
            "{time} plus {minutes} minutes is",
        ),
        test=(
            "A lesson begins at {time} and takes {minutes} minutes. When does it end?",
            "What is the time {minutes} minutes after {time}?",
        ),
        share=3,
    ),
    _family(
        name="took",
        draw=took,
        train=(
            "How many minutes are there from {time} to {end}?",
            "A class begins at {time} and ends at {end}. How many minutes is that?",
            "From {time} until {end}: how many minutes?",
            "The train left at {time} and arrived at {end}. How many minutes did it take?",
            "Minutes between {time} and {end}:",
        ),
        test=(
            "How many minutes pass from {time} to {end}?",
            "The film began at {time} and ended at {end}. How many minutes was it?",
        ),
        share=3,
    ),
    _family(
        name="leap",
        draw=leap("yes", "no"),
        train=(
            "Is {year} a leap year? Answer yes or no.",
            "Was or will {year} be a leap year? yes or no",
            "Leap year: {year}? (yes/no)",
            "Does February {year} have 29 days? Answer yes or no.",
        ),
        test=("Is the year {year} a leap year? (yes/no)",),
    ),
    _family(
        name="days-in",
        draw=days_in(names_en.MONTHS),
        train=(
            "How many days does {month} have?",
            "How many days are there in {month}?",
            "Number of days in {month}:",
        ),
        test=("How many days are in {month}?",),
    ),
]
