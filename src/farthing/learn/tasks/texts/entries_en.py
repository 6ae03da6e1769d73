"""English entries: towns, people and firms that are made up, and what is true of creatures."""

from random import Random

from farthing.learn.tasks import fields as f
from farthing.learn.tasks.fields import pick, several, whole
from farthing.learn.tasks.texts.beats import Beat, Cast, Plot, beat, maybe, table
from farthing.learn.tasks.words import names_en as names
from farthing.learn.tasks.words import phrases, things_en, words

HEADS = words("""
Ash Bell Birch Brook Clear Cold Crow Dun East Elm Fair Falk Glen Gold Hazel High Holm King Lang
Mar Mill North Oak Old Pen Red Rock Rose Sand Stan Stone Sun Thorn Wald West White Wil Win Wood
""")
TAILS = words("""
bridge bury by combe dale field ford gate ham haven hill hurst ley mere mouth port stead ton
wick
""")
COUNTIES = words("""
Arden Brennick Calder Dorran Eskdale Fenmoor Garth Harrow Invern Kelso Lorne Marl Selwyn
""")
TRADES = words("""
wool timber glass paper salt coal fishing shipbuilding brewing pottery tourism software
furniture clocks leather cheese cider slate bricks engines
""")
SIGHTS = phrases("""
a stone bridge|a ruined castle|an old lighthouse|a wooden church|a market hall|a botanical garden|a
railway museum|a windmill|a waterfall|a Roman road|a deep cave|a clock tower
""")
SUBJECTS = words("""
history chemistry botany physics geology music painting mathematics medicine law astronomy
geography engineering zoology poetry
""")

CREATURES = table(
    ("name", "kind", "looks", "lives", "eats", "fact"),
    """
The giant panda|bear|black and white fur|the mountain forests of China|bamboo|it spends most of
 the day eating
The barn owl|bird|a white face shaped like a heart|barns and hollow trees|mice and voles|it flies
 almost without a sound
The blue whale|mammal|a long grey body|all the great oceans|tiny shrimps called krill|it is the
 largest animal on earth
The honeybee|insect|brown and yellow stripes|hives and hollow trees|nectar and pollen|it dances
 to tell others where flowers are
The octopus|mollusc|eight long arms|the bottom of the sea|crabs and shellfish|it has three hearts
 and blue blood
The camel|mammal|one or two humps|deserts and dry plains|grass and thorny shrubs|its humps store
 fat and not water
The emperor penguin|bird|a black back and a white front|the coast of Antarctica|fish and
 squid|the father keeps the egg warm on his feet
The kangaroo|mammal|strong hind legs and a long tail|the grasslands of Australia|grass and
 leaves|a newborn is about as small as a bean
The bat|mammal|thin wings of skin|caves and old roofs|insects and fruit|it finds its way by the
 echo of its voice
The chameleon|reptile|eyes that turn on their own|warm forests|insects|it can change the colour
 of its skin
The beaver|rodent|a flat tail and orange teeth|rivers and lakes|bark and twigs|it builds dams out
 of branches
The hedgehog|mammal|thousands of short spines|gardens and hedges|beetles and worms|it rolls into
 a ball when it is afraid
The polar bear|bear|thick white fur|the ice of the Arctic|seals|its skin is black under the fur
The giraffe|mammal|a very long neck and brown patches|the plains of Africa|leaves of tall
 trees|it has seven bones in its neck, as people do
The seahorse|fish|a head like a horse|warm shallow seas|tiny shrimps|the father carries the young
The firefly|insect|a tail that glows|damp meadows|snails and nectar|it uses its light to find a
 mate
The salmon|fish|silver scales|rivers and the sea|insects and small fish|it swims back to the
 river where it was born
The spider|arachnid|eight legs|gardens, woods and houses|flies and other insects|it is not an
 insect, which has six legs
The swallow|bird|a forked tail|barns and open fields|flying insects|it flies thousands of miles
 to spend winter in the south
The tortoise|reptile|a hard shell|dry land and islands|grass and fruit|it may live for more than
 a hundred years
The squirrel|rodent|a bushy tail|woods and parks|nuts and seeds|it buries nuts and forgets some,
 which grow into trees
The elephant|mammal|a long trunk and large ears|Africa and Asia|grass, bark and fruit|it drinks
 by sucking water into its trunk
The frog|amphibian|bulging eyes and long hind legs|ponds and wet fields|flies and worms|it begins
 life as a tadpole with gills
The ostrich|bird|long legs and a bare neck|the plains of Africa|seeds and grass|it cannot fly but
 runs faster than a horse
""",
)
MATTERS = table(
    ("name", "what", "how", "use"),
    """
A rainbow|an arc of colours in the sky|It appears when sunlight is bent and reflected in drops of
 rain|To see one, stand with your back to the sun
The tide|the rise and fall of the sea|It is caused mostly by the pull of the moon|Fishermen plan
 their trips by it
A compass|a tool that shows directions|Its needle is a magnet that points to the north|Sailors
 have used it for about a thousand years
Paper|a thin sheet made of fibres|It was invented in China and is made mostly of wood
 today|Books, letters and boxes are made of it
Glass|a hard material that light goes through|It is made by melting sand with soda and
 lime|Windows, bottles and lenses are made of it
A volcano|an opening in the ground through which hot rock comes out|The melted rock is called
 magma below the ground and lava above it|Its ash makes the soil rich
An earthquake|a sudden shaking of the ground|It happens when rocks deep below slip past each
 other|During one, it is wise to shelter under a strong table
The moon|the only natural satellite of the earth|It goes around the earth in about twenty-seven
 days and shines by the light of the sun|People first landed on it in 1969
Salt|a white mineral|It is taken from mines or from the water of the sea|It makes food taste
 better and keeps it fresh
A thermometer|an instrument that measures how hot or cold something is|Water freezes at 0 degrees
 Celsius and boils at 100|Doctors use one to find a fever
Steel|a metal made of iron with a little carbon|It is made in great furnaces|Bridges, cars and
 tools are built of it
A lever|a bar that turns on a fixed point|The longer the arm, the easier it is to lift a
 weight|Scissors and seesaws are levers
Lightning|a flash of electricity in a storm|The thunder comes later because sound is slower than
 light|It is dangerous to stand under a tall tree
Wool|the hair of sheep|It is cut once a year, washed, and spun into yarn|It keeps people warm
 because it holds air
Tea|a drink made from the leaves of a bush|Green tea and black tea come from the same plant|It
 came to Europe from China
A glacier|a slow river of ice|It forms where more snow falls than melts|It carves wide valleys as
 it moves
""",
)


def town(rng: Random) -> Cast:
    head, other = several(rng, HEADS, 2)
    first, second = several(rng, TRADES, 2)
    year = whole(rng, 1100, 1880)
    return {
        "name": head + pick(rng, TAILS),
        "county": pick(rng, COUNTIES),
        "side": pick(rng, words("north south east west north-east south-west")),
        "people": f"{whole(rng, 2, 320)},{whole(rng, 0, 999):03}",
        "river": f"River {pick(rng, HEADS)}e",
        "hill": f"{other} Hill",
        "height": whole(rng, 90, 980),
        "first": first,
        "second": second,
        "year": year,
        "rail": whole(rng, 1840, 1910),
        "miles": whole(rng, 5, 120),
        "city": pick(rng, names.CITIES),
        "sight": pick(rng, SIGHTS),
        "day": pick(rng, names.DAYS),
        "month": pick(rng, names.MONTHS),
        "schools": whole(rng, 3, 40),
    }


def life(rng: Random) -> Cast:
    born, age = whole(rng, 1790, 1930), whole(rng, 48, 94)
    female = rng.random() < 0.5
    last = pick(rng, names.SURNAMES)
    subject = pick(rng, SUBJECTS)
    return {
        "name": f"{pick(rng, names.GIRLS if female else names.BOYS)} {last}",
        "last": last,
        "He": "She" if female else "He",
        "he": "she" if female else "he",
        "his": "her" if female else "his",
        "His": "Her" if female else "His",
        "Subject": subject.capitalize(),
        "born": born,
        "died": born + age,
        "age": age,
        "month": pick(rng, names.MONTHS),
        "day": whole(rng, 1, 28),
        "city": pick(rng, names.CITIES),
        "other": pick(rng, names.CITIES),
        "subject": subject,
        "entered": born + whole(rng, 17, 21),
        "began": born + whole(rng, 23, 31),
        "wrote": born + whole(rng, 33, 46),
        "book": pick(
            rng, ("A Short Guide to", "Notes on", "The Elements of", "Lectures on", "Letters on")
        ),
        "teacher": f.person_en(rng),
        "father": things_en.a(pick(rng, things_en.KINDS["job"])),
        "children": pick(rng, words("two three four five six")),
        "likes": pick(
            rng, phrases("chess|long walks|gardening|the violin|fishing|old maps|rowing")
        ),
    }


def firm(rng: Random) -> Cast:
    year = whole(rng, 1890, 2015)
    first, second = several(rng, things_en.PRODUCTS, 2)
    return {
        "name": f.firm_en(rng),
        "city": pick(rng, names.CITIES),
        "where": f.address_en(rng),
        "boss": f.person_en(rng),
        "year": year,
        "few": pick(rng, words("three four five six seven eight nine ten twelve")),
        "first": things_en.several(first),
        "second": things_en.several(second),
        "later": year + whole(rng, 2, 9),
        "staff": whole(rng, 3, 90) * 10,
        "shops": whole(rng, 3, 80),
        "countries": whole(rng, 3, 40),
    }


def creature(rng: Random) -> Cast:
    return pick(rng, CREATURES)


def matter(rng: Random) -> Cast:
    cast = pick(rng, MATTERS)
    name = str(cast["name"])
    return dict(cast) | {"low": name[0].lower() + name[1:]}


TOWN: tuple[Beat, ...] = (
    beat("""
{name} is a town in the {side} of {county}, {miles} miles from {city}. It has {people} inhabitants.
{name} lies in the {side} of {county}. About {people} people live there.
With {people} inhabitants, {name} is one of the larger towns of {county}.
"""),
    beat("""
The {river} flows through it, and {hill}, {height} metres high, stands to the north.
It was built where the {river} could be crossed, at the foot of {hill} ({height} metres).
"""),
    beat("""
The town was founded in {year} and grew rich by {first}.
It is first mentioned in {year}. For centuries, most families lived from {first}.
A market has been held every {day} since {year}.
"""),
    beat("""
The railway came in {rail}, and with it {second}.
Since the railway was opened in {rail}, {second} has been more important than {first}.
"""),
    beat("""
Visitors come to see {sight}.
Its best known sight is {sight}.
A fair is held every {month} near {sight}.
"""),
    maybe("""
There are {schools} schools and a small library.
The road to {city} follows the river for {miles} miles.
"""),
)
LIFE: tuple[Beat, ...] = (
    beat("""
{name} ({born}-{died}) was a teacher of {subject} from {city}.
{name} was born in {city} on {month} {day}, {born}, as the child of {father}.
{name}, born in {city} in {born}, is known for {his} work on {subject}.
"""),
    beat("""
In {entered} {he} began to study {subject} under {teacher}.
{He} went to {other} in {entered} and studied {subject}; {teacher} was {his} teacher.
"""),
    beat("""
From {began} on {he} taught at a school in {other}.
{He} found work in {other} in {began} and stayed there for many years.
"""),
    beat("""
{His} best known book, {book} {Subject}, appeared in {wrote}.
In {wrote} {he} published {book} {Subject}, which was read for a long time.
"""),
    maybe("""
{He} had {children} children and loved {likes}.
In {his} free time {he} enjoyed {likes}.
"""),
    beat("""
{last} died in {died} at the age of {age}.
{He} died in {other} in {died}, aged {age}.
"""),
)
FIRM: tuple[Beat, ...] = (
    beat("""
{name} was founded in {city} in {year} by {boss}.
In {year}, {boss} opened {name} at {where}, {city}.
"""),
    beat("""
At first it had {few} workers and made {first}.
It began with {few} people, who made {first} by hand.
"""),
    beat("""
In {later} it added {second}, which sold well.
Since {later} it has also sold {second}.
"""),
    beat("""
Today {staff} people work there, and there are {shops} shops.
It now has {staff} workers and sells to {countries} countries.
"""),
)
CREATURE: tuple[Beat, ...] = (
    beat("""
{name} is a {kind} with {looks}.
{name} is a {kind}. It has {looks}.
"""),
    beat("""
It lives in {lives}.
Its home is {lives}.
You can find it in {lives}.
"""),
    ("It eats {eats}.", "Its food is {eats}.", "It feeds on {eats}."),
    ("Remarkably, {fact}.", "It is known that {fact}.", "As scientists have found, {fact}."),
)
MATTER: tuple[Beat, ...] = (
    ("{name} is {what}.", "What is {low}? It is {what}."),
    ("{how}.",),
    ("{use}.",),
)


PLOTS: list[Plot] = [
    Plot(name="town", cast=town, beats=TOWN, between=" ", share=4),
    Plot(name="life", cast=life, beats=LIFE, between=" ", share=4),
    Plot(name="firm", cast=firm, beats=FIRM, between=" ", share=2),
    Plot(name="creature", cast=creature, beats=CREATURE, between=" "),
    Plot(name="matter", cast=matter, beats=MATTER, between=" "),
]
