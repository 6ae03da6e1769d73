"""Facts of a short English text as JSON: who, when, how much. What is not there is null."""

import json
from collections.abc import Callable
from functools import partial
from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, whole
from farthing.learn.tasks.types import Draw, Family, Fields, crossed
from farthing.learn.tasks.words import names_en as names
from farthing.learn.tasks.words import phrases
from farthing.learn.tasks.words import things_en as things

Made = tuple[dict[str, object], dict[str, object]]
"""What a body shows beside the values, and the values by their keys."""

ASK = (
    "Extract {keys} as JSON.\n\n{text}",
    "Read the text and return a JSON object with the keys {keys}.\n\nText: {text}",
    "{text}\n\nGive {keys} from the text above as JSON.",
    "Turn this into JSON with {keys}:\n{text}",
    "From the message below, extract {keys}. Answer in JSON.\n\n{text}",
    "Text: {text}\nFields: {keys}\nJSON:",
    "{text}\n\nReturn JSON with the fields {keys}.",
    "Write a JSON object with {keys} for this text: {text}",
    "Fill in the keys {keys} from this note, as JSON.\n{text}",
    "I need {keys} in JSON. Use null for what is missing.\n\n{text}",
    "Convert to JSON. Keys: {keys}.\n\n{text}",
    "Find {keys} in the following text and answer with JSON only.\n\n{text}",
    "{text}\n\nExtract: {keys}\nFormat: JSON",
    "What are {keys} here? Answer as a JSON object.\n{text}",
)
HELD = (
    "Extract the fields {keys} from this text as a JSON object.\n\n{text}",
    "{text}\n\nAnswer in JSON with the keys {keys}.",
    "Return {keys} as JSON for the following message:\n{text}",
    "Text: {text}\nGive a JSON object with {keys}.",
)


def asked(
    make: Callable[[Random], Made],
    absent: tuple[str, ...],
    join: Callable[[Random, list[str]], str],
) -> Draw:
    """Some of the keys that `make` knows, in any order; now and then one that is not there."""

    def draw(rng: Random) -> tuple[Fields, str]:
        shown, values = make(rng)
        keys = list(values) if rng.random() < 0.4 else f.subset(rng, list(values), 2)
        if rng.random() < 0.08:
            keys.insert(whole(rng, 0, len(keys)), pick(rng, absent))
        answer = json.dumps({key: values.get(key) for key in keys}, ensure_ascii=False)
        return values | shown | {"keys": join(rng, keys)}, answer

    return draw


def listed(rng: Random, keys: list[str]) -> str:
    if len(keys) == 1 or rng.random() < 0.5:
        return ", ".join(keys)
    return f"{', '.join(keys[:-1])} and {keys[-1]}"


def contact(rng: Random) -> Made:
    first, last = pick(rng, names.FIRST), pick(rng, names.SURNAMES)
    values: dict[str, object] = {
        "name": f"{first} {last}",
        "phone": f.phone_en(rng),
        "email": f.email(rng, first, last),
        "city": pick(rng, names.CITIES),
    }
    return {"first": first}, values


def staff(rng: Random) -> Made:
    job = pick(rng, things.KINDS["job"])
    values: dict[str, object] = {
        "name": f.person_en(rng),
        "age": whole(rng, 18, 79),
        "job": job,
        "company": f.firm_en(rng),
        "city": pick(rng, names.CITIES),
    }
    return {"a_job": things.a(job)}, values


def event(rng: Random) -> Made:
    date, minutes = f.day(rng), f.quarters(rng)
    what = f"{pick(rng, TOPICS)} {pick(rng, MEETINGS)}"
    values: dict[str, object] = {
        "event": what,
        "date": f.iso(date),
        "time": f.clock(minutes),
        "place": pick(rng, ROOMS),
    }
    return {"day": f.date_en(rng, date), "hour": f.time_en(rng, minutes)}, values


def invoice(rng: Random) -> Made:
    date, amount = f.day(rng), f.cents(rng) * whole(rng, 1, 9)
    values: dict[str, object] = {
        "number": f"{pick(rng, ('INV', 'A', 'R', 'B', 'NO', 'X'))}-{whole(rng, 100, 99999)}",
        "vendor": f.firm_en(rng),
        "customer": f.person_en(rng),
        "date": f.iso(date),
        "total": f.units(amount),
    }
    return {"day": f.date_en(rng, date), "sum": f.dollars(amount)}, values


def order(rng: Random) -> tuple[Fields, str]:
    """Lines of products, how many and at what price."""
    lines, told = [], []
    for product in f.several(rng, things.PRODUCTS, whole(rng, 1, 3)):
        count, price = whole(rng, 1, 12), f.cents(rng)
        lines.append({"product": product, "quantity": count, "price": f.units(price)})
        what = f"{count} {product if count == 1 else things.several(product)}"
        told.append(f"{what} at {f.dollars(price)}{'' if count == 1 else ' each'}")
    shown = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    name = f.person_en(rng)
    answer = json.dumps({"customer": name, "items": lines}, ensure_ascii=False)
    return {"customer": name, "lines": shown, "keys": "customer, items"}, answer


def trip(rng: Random) -> Made:
    date, minutes = f.day(rng), f.quarters(rng)
    start, end = f.several(rng, names.CITIES, 2)
    by, letter = pick(rng, (("train", "T"), ("flight", "F"), ("bus", "B"), ("ferry", "S")))
    values: dict[str, object] = {
        "passenger": f.person_en(rng),
        "from": start,
        "to": end,
        "date": f.iso(date),
        "departure": f.clock(minutes),
        "number": f"{letter}{whole(rng, 10, 9999)}",
    }
    return {"day": f.date_en(rng, date), "hour": f.time_en(rng, minutes), "by": by}, values


TOPICS = phrases("""
budget|sales|safety|design|team|spring|chess|science|history|music|poetry|cooking|photo|garden|
board|project|parents|book|yoga|science|staff|summer|autumn|charity|film|jazz|language|
marketing|research
""")
MEETINGS = phrases("""
meeting|workshop|lecture|concert|review|fair|festival|training|dinner|party|seminar|tour|club|
class|exhibition|conference|lunch|contest|auction|breakfast
""")
ROOMS = [
    *(f"{hall} Hall" for hall in names.STREETS[:24]),
    *(f"Room {number}" for number in range(1, 40)),
    *(f"the {name} Hotel" for name in names.FIRM_HEADS[:24]),
    *(f"{name} Park" for name in names.FIRM_HEADS[24:40]),
    *(
        "the town library",
        "the main office",
        "the school gym",
        "the city museum",
        "the old theatre",
    ),
]

_family = partial(Family, kind="extract", language="en")
_ORDER = tuple(one.replace("{keys}", "customer and items") for one in ASK[:9])
_LINES = (
    "Extract the order as JSON: customer, and items with product, quantity and price.\n\n{text}",
    "{text}\n\nWrite the order as JSON with customer and items (product, quantity, price).",
    "Order: {text}\nJSON with customer and items (product, quantity, price):",
    *_ORDER,
)

FAMILIES: list[Family] = [
    _family(
        name="contact",
        draw=asked(contact, ("fax", "age", "company", "birthday", "country"), listed),
        train=crossed(
            ASK,
            (
                "Hi, this is {name} from {city}. You can call me at {phone} or write to {email}.",
                "{name} lives in {city}. Phone: {phone}. Email: {email}.",
                "Please add {name} to the list: {email}, {phone}, {city}.",
                "Our new customer in {city} is {name}. Reach {first} at {email} or {phone}.",
                "My name is {name} and I live in {city}. My number is {phone}, my mail {email}.",
                "Contact {name} ({city}) by phone {phone} or by email {email}.",
                "I moved to {city} last month. New number: {phone}. Mail: {email}. Best, {name}",
                "For questions ask {name}, {phone}. {first} works in {city}; mail goes to {email}.",
                "To: {email}\nDear {name}, we tried to call {phone}. Are you still in {city}?",
                "{phone} is the number of {name}, who is based in {city}. The address is {email}.",
                "Name {name}, city {city}, phone {phone}, mail {email}",
                "Met {name} at the fair today. {first} is from {city}. Card says {email}, {phone}.",
                "Send the parcel to {city}. It is for {name}; tel. {phone}, {email}.",
                "If {name} does not answer at {phone}, write to {email}. The office is in {city}.",
            ),
        ),
        test=crossed(
            HELD,
            (
                "Hello, I am {name}. I live in {city}, and you can reach me at {email} or {phone}.",
                "{name} from {city} called today. The number is {phone} and the mail is {email}.",
                "Please write to {name} at {email} or call {phone}. The city is {city}.",
            ),
        ),
        share=3,
    ),
    _family(
        name="staff",
        draw=asked(staff, ("phone", "email", "salary", "country"), listed),
        train=crossed(
            ASK,
            (
                "{name}, {age}, works as {a_job} at {company} in {city}.",
                "At {company} in {city} we met {name}, {a_job} of {age} years.",
                "{name} is {age} years old and lives in {city}. The job: {job} at {company}.",
                "{company} has a new {job}: {name} ({age}) from {city}.",
                "I am {name}, {age} years old, {a_job} in {city}. My employer is {company}.",
                "The {job} {name} turned {age} today. Everyone at {company} in {city} sang.",
                "After ten years in {city}, {name} ({age}) is still {a_job} with {company}.",
                "Profile: {name}; age {age}; {job}; {company}; {city}",
                "{city}: {company} hires {name} as {job}. Age: {age}.",
                "Say hello to {name}. At {age}, this {job} moved to {city} to join {company}.",
                "In {city} there is {a_job} called {name}, aged {age}, who works for {company}.",
                "{name} left {city} at {age}? No: still there, still {a_job} at {company}.",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{name} is {a_job} of {age} years. The firm is {company}, the city {city}.",
                "In {city}, {company} has {a_job} named {name}, who is {age} years old.",
                "{name} ({age}) lives in {city} and works for {company} as {a_job}.",
            ),
        ),
        share=2,
    ),
    _family(
        name="event",
        draw=asked(event, ("price", "speaker", "phone", "organizer"), listed),
        train=crossed(
            ASK,
            (
                "The {event} is on {day} at {hour} in {place}.",
                "Join us for the {event}! {day}, {hour}, {place}.",
                "On {day} we hold the {event} at {place}. It starts at {hour}.",
                "Reminder: {event}, {place}, {day}, {hour}. Please be on time.",
                "Please note that the {event} has moved to {place}. New date: {day}, at {hour}.",
                "Come to {place} on {day}. The {event} begins at {hour}.",
                "Don't forget the {event} at {hour} on {day}! We meet at {place}.",
                "At {hour} on {day}, {place} opens its doors for the {event}.",
                "Event: {event}\nWhere: {place}\nWhen: {day}, {hour}",
                "We booked {place} for the {event} on {day} from {hour}.",
                "The {event} at {place} was cancelled last week and is now on {day} at {hour}.",
                "{day}, {hour}: {event} ({place}). Bring a friend.",
                "Is {hour} on {day} good for you? The {event} would be in {place}.",
            ),
        ),
        test=crossed(
            HELD,
            (
                "We meet in {place} for the {event}. It is on {day} and starts at {hour}.",
                "The {event} begins at {hour} on {day}. The place is {place}.",
                "{place} is the place of the {event} on {day}, {hour}.",
            ),
        ),
        share=3,
    ),
    _family(
        name="invoice",
        draw=asked(invoice, ("tax", "phone", "discount", "address"), listed),
        train=crossed(
            ASK,
            (
                "Invoice {number} from {vendor} to {customer}, dated {day}. Total: {sum}.",
                "{vendor} sent invoice {number} on {day}. {customer} has to pay {sum}.",
                "Dear {customer}, please pay {sum} for invoice {number} of {day}. Thanks, {vendor}",
                "On {day}, {customer} received invoice {number} over {sum} from {vendor}.",
                "{vendor}\nInvoice no. {number}\nDate: {day}\nBill to: {customer}\nAmount: {sum}",
                "The bill {number} of {vendor} for {customer} comes to {sum}. It is of {day}.",
                "We, {vendor}, charge {customer} {sum}. Number {number}, date {day}.",
                "{customer} paid {sum} to {vendor} for invoice {number} ({day}).",
                "Total due: {sum}. Customer: {customer}. Invoice {number}, {day}, {vendor}.",
                "Receipt {number}: {sum} from {customer} on {day}. Thank you! {vendor}",
                "Did you get invoice {number}? {vendor} wants {sum} from {customer} since {day}.",
                "{day}: {vendor} billed {customer} for {sum}, invoice {number}.",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{vendor} charged {customer} {sum} on {day}. The invoice number is {number}.",
                "Invoice {number}: {customer} has to pay {sum} to {vendor}. Date: {day}.",
                "Dear {customer}, your invoice {number} of {day} comes to {sum}. {vendor}",
            ),
        ),
        share=3,
    ),
    _family(
        name="order",
        draw=order,
        train=crossed(
            _LINES,
            (
                "{customer} orders {lines}.",
                "Hello, I would like {lines}. Regards, {customer}",
                "New order from {customer}: {lines}.",
                "Please send {lines} to {customer}.",
                "{customer} bought {lines} in our shop today.",
                "For {customer}: {lines}.",
                "This is {customer}. Put {lines} on my account, please.",
                "We sold {lines} to {customer}.",
                "In the basket of {customer}: {lines}.",
                "{customer} called and wants {lines}.",
            ),
        ),
        test=crossed(
            (
                "Return the order as JSON with customer and items (product, quantity, price).\n\n"
                "{text}",
                "{text}\n\nExtract customer and items as JSON.",
            ),
            (
                "{customer} would like {lines}.",
                "Today {customer} ordered {lines}.",
                "Please pack {lines} for {customer}.",
            ),
        ),
        share=3,
    ),
    _family(
        name="trip",
        draw=asked(trip, ("price", "seat", "gate", "class"), listed),
        train=crossed(
            ASK,
            (
                "{passenger} takes {by} {number} from {from} to {to} on {day} at {hour}.",
                "Ticket: {passenger}, {from} to {to}, {by} {number}, {day}, departs {hour}.",
                "On {day}, {by} {number} leaves {from} for {to} at {hour}. Passenger: {passenger}.",
                "Booking for {passenger}: {by} {number}, from {from}, {hour} on {day}, to {to}.",
                "Dear {passenger}, your {by} {number} to {to} leaves {from} on {day}, {hour}.",
                "{passenger} travels to {to} on {day}. The {by} {number} leaves {from} at {hour}.",
                "At {hour} on {day}, {passenger} leaves {from} by {by} ({number}) for {to}.",
                "{by} {number}, {day}: {from} {hour}, then {to}. Name: {passenger}",
                "Off to {to}, {passenger}! The {by} {number} from {from} goes on {day} at {hour}.",
            ),
        ),
        test=crossed(
            HELD,
            (
                "{passenger} goes from {from} to {to} on {day}. The {by} {number} goes at {hour}.",
                "On {day} at {hour}, {passenger} takes {by} {number} to {to}. It leaves {from}.",
            ),
        ),
        share=2,
    ),
]
