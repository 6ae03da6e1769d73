"""English things by kind, each in the singular; what shops sell, with prices; and how they look."""

from farthing.learn.tasks.words import phrases, words

KINDS = {
    "fruit": words("""
apple pear plum cherry banana grape peach orange lemon lime mango melon kiwi fig apricot
pineapple coconut strawberry blueberry raspberry papaya quince date nectarine
"""),
    "animal": words("""
dog cat horse cow lion bear rabbit elephant tiger monkey giraffe zebra camel goat sheep pig
donkey squirrel hedgehog otter badger beaver kangaroo panda leopard mouse rat fox wolf deer
moose bat
"""),
    "bird": words("""
eagle sparrow owl robin hawk crow swallow raven penguin parrot pigeon swan goose duck heron
stork peacock pelican magpie gull falcon turkey hen
"""),
    "fish": words("salmon trout cod tuna carp herring mackerel sardine shark eel pike perch"),
    "tree": words("oak pine maple birch elm willow beech cedar ash poplar spruce fir larch yew"),
    "flower": words("""
rose tulip lily daisy orchid daffodil violet iris poppy sunflower lavender carnation marigold
dahlia
"""),
    "vegetable": words("""
carrot onion cabbage potato pea bean turnip leek pumpkin tomato cucumber radish spinach celery
broccoli garlic beetroot pepper
"""),
    "colour": words("red blue green yellow purple pink brown orange black white grey violet gold"),
    "tool": words("""
hammer saw drill screwdriver wrench chisel axe shovel rake ladder file clamp spade trowel
"""),
    "instrument": words("""
violin piano flute trumpet guitar drum cello harp clarinet oboe trombone banjo organ
"""),
    "drink": words("water tea coffee juice milk lemonade cocoa cider soda"),
    "garment": words("""
shirt coat dress jacket skirt sock hat scarf glove belt sweater vest shoe boot cap tie
"""),
    "furniture": words("""
table chair bed sofa desk wardrobe bookshelf stool bench cupboard dresser
"""),
    "vehicle": words("""
car bus train bicycle truck tram boat ship plane van tractor scooter motorcycle ferry helicopter
taxi
"""),
    "job": words("""
doctor teacher baker farmer nurse pilot lawyer painter plumber tailor writer engineer chemist
waiter butcher gardener carpenter judge miner
"""),
    "metal": words("iron copper gold silver tin lead zinc nickel steel brass bronze"),
    "sport": words("""
tennis football hockey rugby golf boxing cricket swimming skating rowing sailing cycling fencing
baseball basketball
"""),
    "insect": words("ant bee wasp beetle fly butterfly mosquito moth cricket ladybird dragonfly"),
}

COUNTABLE = words("""
apple pear plum peach orange lemon banana book pencil pen notebook stamp coin marble button card
ticket egg cookie cake sandwich candle flower rose tulip shell stone brick chair table plate cup
bowl spoon fork knife bottle jar box basket bag letter postcard photo picture balloon kite toy
doll ball puzzle block bead ribbon sticker magnet key lock lamp bulb battery cable nail screw
bolt plank rope tile pipe tree bush seed sheep goat cow hen duck fish carrot potato onion tomato
pumpkin melon cherry muffin biscuit pancake chocolate sweet shirt sock glove hat scarf towel
blanket pillow curtain magazine newspaper poster map folder envelope ruler eraser crayon brush
bucket barrel crate sack
""")

IRREGULAR = {
    "child": "children",
    "man": "men",
    "woman": "women",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "person": "people",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "leaf": "leaves",
    "knife": "knives",
    "wolf": "wolves",
    "wife": "wives",
    "life": "lives",
    "shelf": "shelves",
    "loaf": "loaves",
    "calf": "calves",
    "half": "halves",
    "thief": "thieves",
    "bookshelf": "bookshelves",
    "ox": "oxen",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "hero": "heroes",
    "echo": "echoes",
    "scarf": "scarves",
    "postman": "postmen",
    "mango": "mangoes",
}


def plural(noun: str) -> str:
    """Of the last word, if there are several."""
    *before, last = noun.split(" ")
    if last in IRREGULAR:
        return " ".join((*before, IRREGULAR[last]))
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


NOUNS = sorted(
    {*COUNTABLE, *IRREGULAR}
    | {
        *words("""
army artist baby bakery beach berry bird boat bridge brother bus butterfly camera candy castle
cat chef church city class clock cloud coach coat colony computer concert copy country cousin
curry daisy dancer desk diary dish doctor dog door dragon dress driver engine factory family
farm ferry field fire flag fox friend galaxy game garden gate girl glass guest guitar hall
hammer harbour hill holiday horse hotel house inch island jacket joke judge jury kettle kitchen
lady lake lecture lens library lion lunch machine market match melody memory meeting message
mirror monkey monument mountain museum nurse ocean office orchard owl painter palace park party
path penny piano pilot planet player poem pond pony poppy postman present puppy queen rabbit
radio recipe river road robot roof sailor school secret ship shop singer sister sky soldier song
spider sponge station story street student studio supply switch tax teacher tent theatre tower
town toy tractor train tray uncle valley village visitor waiter wall watch wave wheel window
wish witness worker yacht zebra
""")
    }
)

PRODUCTS = phrases("""
desk lamp|office chair|paper towels|coffee beans|green tea|water bottle|phone case|laptop stand|
wireless mouse|keyboard|monitor|printer ink|copy paper|notebook|ballpoint pen|marker set|
sticky notes|stapler|scissors|glue stick|tape roll|desk calendar|wall clock|table fan|
space heater|floor mat|storage box|book end|picture frame|candle|vase|teapot|mug|dinner plate|
soup bowl|steak knife|frying pan|saucepan|kettle|toaster|blender|rice cooker|oven glove|apron|
tablecloth|napkin|towel|bath mat|shower curtain|soap bar|shampoo|toothbrush|toothpaste|
hairbrush|hand cream|sun cream|umbrella|raincoat|wool scarf|leather belt|running shoes|
hiking boots|cotton shirt|denim jacket|winter coat|backpack|suitcase|travel pillow|sleeping bag|
tent|flashlight|camping stove|first aid kit|bicycle lock|bike helmet|tennis racket|football|
yoga mat|jump rope|dumbbell|chess set|puzzle|toy train|teddy bear|paint set|sketchbook|
guitar strings|music stand|headphones|speaker|webcam|usb cable|power strip|light bulb|
battery pack|screwdriver|hammer|drill bit|wood glue|sandpaper|paint roller|garden hose|
flower pot|watering can|seed packet|soil bag|rake|shovel|work gloves|safety goggles|dog food|
cat litter|bird seed|fish tank
""")

PLURAL_ALREADY = (
    *("s", "litter", "food", "ink", "paper", "shampoo", "seed", "tea", "cream", "glue", "paste"),
)


def several(product: str) -> str:
    """As it stands after a number."""
    return product if product.endswith(PLURAL_ALREADY) else plural(product)
