"""English talks, letters and notices, whose figures agree with one another."""

from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe
from farthing.learn.tasks.words import acts_en as acts
from farthing.learn.tasks.words import names_en as names
from farthing.learn.tasks.words import phrases, things_en, words

BUILDINGS = words("""
library station museum bank school church hospital market theatre bakery pharmacy hotel
""")
DISHES = phrases("""
tomato soup|fried rice|chicken pie|fish and chips|a cheese sandwich|pancakes|bean stew|a mushroom
omelette|noodles|a green salad|roast potatoes|lentil curry
""")
BUSY = phrases("""
work|see the dentist|attend a class|meet my sister|take the dog to the vet|babysit|help my father
""")


def shop(rng: Random) -> Cast:
    price, count = whole(rng, 2, 90), whole(rng, 2, 6)
    less = max(1, price - whole(rng, 1, max(1, price // 5)))
    paid = (less * count // 20 + 1) * 20
    what = pick(rng, things_en.PRODUCTS)
    return {
        "thing": what,
        "things": things_en.several(what),
        "price": price,
        "less": less,
        "count": pick(rng, (str(count), words("x x two three four five six")[count])),
        "total": less * count,
        "paid": paid,
        "change": paid - less * count,
        "colour": pick(rng, things_en.KINDS["colour"]),
    }


def way(rng: Random) -> Cast:
    there, here = several(rng, BUILDINGS, 2)
    metres = whole(rng, 3, 15) * 100
    return {
        "there": there,
        "here": here,
        "street": f"{pick(rng, names.STREETS)} {pick(rng, names.ROADS)}",
        "turn": pick(rng, ("left", "right")),
        "bus": whole(rng, 2, 60),
        "stops": pick(rng, words("two three four five six seven")),
        "metres": metres,
        "minutes": -(-metres // 300) * 5,
    }


def meeting(rng: Random) -> Cast:
    a, b = several(rng, names.FIRST, 2)
    hour = whole(rng, 2, 6)
    return {
        "a": a,
        "b": b,
        "day": pick(rng, names.DAYS),
        "place": pick(rng, BUILDINGS),
        "hour": f"{hour} o'clock",
        "later": f"{hour + 1} o'clock",
        "what": " ".join(pick(rng, acts.ACTS)),
        "busy": pick(rng, BUSY),
        "bring": things_en.a(pick(rng, things_en.COUNTABLE)),
    }


def restaurant(rng: Random) -> Cast:
    first, second = several(rng, DISHES, 2)
    one, two = whole(rng, 5, 25), whole(rng, 5, 25)
    return {
        "first": first,
        "second": second,
        "one": one,
        "two": two,
        "total": one + two,
        "minutes": pick(rng, words("five ten fifteen twenty")),
        "drink": pick(rng, things_en.KINDS["drink"]),
    }


def letter(rng: Random) -> Cast:
    to, by = several(rng, names.FIRST, 2)
    verb, thing = pick(rng, acts.ACTS)
    other, what = pick(rng, acts.ACTS)
    return {
        "to": to,
        "by": by,
        "city": pick(rng, names.CITIES),
        "weeks": pick(rng, words("two three four five six")),
        "did": f"{acts.past(verb)} {thing}",
        "doing": f"{acts.ing(other)} {what}",
        "spot": pick(rng, acts.SPOTS),
        "when": pick(rng, acts.TIMES),
        "adjective": pick(
            rng,
            words("""
quiet busy friendly cheerful large small old pleasant lovely
"""),
        ),
        "pet": pick(rng, ("dog", "cat", "rabbit", "parrot", "hamster", "goldfish")),
        "pet_name": pick(rng, names.FIRST),
        "month": pick(rng, names.MONTHS),
    }


def notice(rng: Random) -> Cast:
    date, minutes = f.day(rng), f.quarters(rng)
    what, bring = pick(
        rng,
        (
            ("book sale", "a bag"),
            ("fire drill", "your badge"),
            ("tree planting", "gloves"),
            ("blood donation", "your passport"),
            ("spring clean", "a broom"),
            ("sports day", "running shoes"),
            ("quiz night", "a pen"),
            ("choir practice", "your song book"),
        ),
    )
    return {
        "what": what,
        "bring": bring,
        "day": f"{names.MONTHS[date[1] - 1]} {date[2]}",
        "hour": f.time_en(rng, minutes),
        "place": pick(rng, BUILDINGS),
        "who": f.person_en(rng),
        "phone": f.phone_en(rng),
        "count": whole(rng, 2, 12) * 10,
    }


SHOP: tuple[Beat, ...] = (
    ("Clerk: Good morning. Can I help you?", "Clerk: Hello, what can I do for you?"),
    ("Customer: How much is the {thing}?", "Customer: Do you have {things} in {colour}?"),
    ("Clerk: Yes, it is {price} dollars.", "Clerk: We do. One costs {price} dollars."),
    ("Customer: What if I take {count}?", "Customer: Is it cheaper if I buy {count}?"),
    (
        "Clerk: Then you pay {less} dollars for each.",
        "Clerk: In that case it is {less} dollars each.",
    ),
    ("Customer: All right, {count} then.", "Customer: Good. Please give me {count}."),
    ("Clerk: That makes {total} dollars.", "Clerk: {total} dollars in all, please."),
    ("Customer: Here are {paid}.", "Customer: Here you are, {paid} dollars."),
    ("Clerk: And {change} back. Thank you!", "Clerk: Your change is {change} dollars. Goodbye!"),
)
WAY: tuple[Beat, ...] = (
    ("A: Excuse me, where is the {there}?", "A: Sorry, how do I get to the {there}?"),
    beat("""
B: Go along {street} and turn {turn} at the {here}.
B: It is on {street}, next to the {here}. Walk {metres} metres and turn {turn}.
"""),
    ("A: Is it far?", "A: How long does it take?"),
    ("B: About {minutes} minutes on foot.", "B: {metres} metres, so {minutes} minutes or so."),
    ("A: Is there a bus?", "A: Could I take a bus?"),
    (
        "B: Yes, number {bus}. It is {stops} stops.",
        "B: Take the {bus} and get off after {stops} stops.",
    ),
    ("A: Thank you very much.", "A: Thanks a lot!"),
    ("B: You're welcome.", "B: Not at all. Have a nice day!"),
)
MEETING: tuple[Beat, ...] = (
    ("{a}: Hi {b}, are you free on {day}?", "{a}: Hello {b}! Do you have time on {day}?"),
    ("{b}: I think so. Why?", "{b}: Yes, what do you have in mind?"),
    ("{a}: We could {what}.", "{a}: I would like to {what}. Will you come along?"),
    ("{b}: Good idea! When?", "{b}: With pleasure. At what time?"),
    ("{a}: How about {hour} at the {place}?", "{a}: Let's meet at the {place} at {hour}."),
    (
        "{b}: At {hour} I have to {busy}. Is {later} all right?",
        "{b}: I can't, I must {busy}. {later}?",
    ),
    ("{a}: {later} is fine. Please bring {bring}.", "{a}: Of course, {later} then. Bring {bring}."),
    ("{b}: I will. See you on {day}!", "{b}: All right, {later} at the {place}."),
)
RESTAURANT: tuple[Beat, ...] = (
    ("Waiter: Good evening. Are you ready to order?", "Waiter: What would you like?"),
    ("Guest: How much is {first}?", "Guest: What do you take for {first}?"),
    ("Waiter: {one} dollars.", "Waiter: That is {one} dollars."),
    (
        "Guest: I'll have {first}, and {second} for my friend.",
        "Guest: One {first} and one {second}.",
    ),
    (
        "Waiter: That is {two} dollars for {second}. Some {drink}?",
        "Waiter: Certainly; that one is {two}.",
    ),
    ("Guest: No, thank you. How long does it take?", "Guest: Fine. Will it be long?"),
    ("Waiter: About {minutes} minutes.", "Waiter: It is ready in {minutes} minutes."),
    ("Guest: The bill, please.", "Guest: It was very good. What do I owe you?"),
    ("Waiter: {total} dollars, please.", "Waiter: {one} and {two}, that makes {total} dollars."),
)
LETTER: tuple[Beat, ...] = (
    ("Dear {to},\n", "Hello {to},\n"),
    ("I have been in {city} for {weeks} weeks now.", "Thank you for your letter from {city}."),
    ("The people here are {adjective}.", "It is a {adjective} place."),
    ("Yesterday I {did} {spot}.", "Last week I {did} {spot}, and it was fun."),
    ("I am also {doing}, mostly {when}.", "My sister is busy {doing}."),
    maybe("""
We have a {pet} now. Its name is {pet_name}.
Do you remember {pet_name}, our {pet}? It is well.
"""),
    ("Please write soon.", "When will you visit me?", "I hope to see you in {month}."),
    ("\nYours,\n{by}", "\nBest wishes,\n{by}"),
)
NOTICE: tuple[Beat, ...] = (
    ("Notice\n", "To everybody\n", ""),
    ("The {what} takes place on {day} at {hour}.", "There is a {what} on {day}, {hour}."),
    ("We meet in front of the {place}.", "Please come to the {place} on time."),
    ("Bring {bring}.", "Don't forget to bring {bring}."),
    ("There is room for {count} people.", ""),
    ("Questions? Call {who}, {phone}.", "For more, ask {who} ({phone})."),
)

PLOTS: dict[str, list[Plot]] = {
    "talk": [
        Plot(name="shop", cast=shop, beats=SHOP, between="\n"),
        Plot(name="way", cast=way, beats=WAY, between="\n"),
        Plot(name="meeting", cast=meeting, beats=MEETING, between="\n"),
        Plot(name="restaurant", cast=restaurant, beats=RESTAURANT, between="\n"),
    ],
    "letter": [
        Plot(name="letter", cast=letter, beats=LETTER, between=" ", share=2),
        Plot(name="notice", cast=notice, beats=NOTICE, between=" "),
    ],
}
