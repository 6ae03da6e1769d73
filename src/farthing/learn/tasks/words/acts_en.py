"""English verbs with their forms, adjectives, and simple sentences made of them."""

from farthing.learn.tasks.words import phrases, words

REGULAR = words("""
admire ask bake borrow brush call carry catch check clean climb close collect cook copy count
cover deliver describe design discover draw dream dress drop enjoy enter examine explain finish
fix follow help hug invite iron jump kick knock label laugh learn lift like listen live look
love mark measure mend miss move need notice offer open order pack paint pass pick plan plant
play polish pour practise pull push reach remember remove repair rest return save search share
shout show sign smile sort stay start stop stir study talk taste thank tidy touch trade train
travel trust try turn use visit wait walk want wash watch water whisper wipe wish work worry
wrap
""")

# present, third person, past, -ing
IRREGULAR = {
    "catch": ("catches", "caught", "catching"),
    "draw": ("draws", "drew", "drawing"),
    "show": ("shows", "showed", "showing"),
    "eat": ("eats", "ate", "eating"),
    "drink": ("drinks", "drank", "drinking"),
    "write": ("writes", "wrote", "writing"),
    "read": ("reads", "read", "reading"),
    "buy": ("buys", "bought", "buying"),
    "sell": ("sells", "sold", "selling"),
    "bring": ("brings", "brought", "bringing"),
    "take": ("takes", "took", "taking"),
    "give": ("gives", "gave", "giving"),
    "find": ("finds", "found", "finding"),
    "lose": ("loses", "lost", "losing"),
    "make": ("makes", "made", "making"),
    "build": ("builds", "built", "building"),
    "break": ("breaks", "broke", "breaking"),
    "drive": ("drives", "drove", "driving"),
    "ride": ("rides", "rode", "riding"),
    "sing": ("sings", "sang", "singing"),
    "see": ("sees", "saw", "seeing"),
    "hear": ("hears", "heard", "hearing"),
    "hide": ("hides", "hid", "hiding"),
    "hold": ("holds", "held", "holding"),
    "keep": ("keeps", "kept", "keeping"),
    "send": ("sends", "sent", "sending"),
    "steal": ("steals", "stole", "stealing"),
    "teach": ("teaches", "taught", "teaching"),
    "throw": ("throws", "threw", "throwing"),
    "wear": ("wears", "wore", "wearing"),
    "win": ("wins", "won", "winning"),
    "choose": ("chooses", "chose", "choosing"),
    "cut": ("cuts", "cut", "cutting"),
    "feed": ("feeds", "fed", "feeding"),
    "forget": ("forgets", "forgot", "forgetting"),
}

# verb and the things it goes with
PHRASES = {
    "eat": "an apple|the soup|a sandwich|some bread|the cake|two eggs|a bowl of rice|lunch",
    "drink": "some water|a cup of tea|the milk|orange juice|hot cocoa",
    "write": "a letter|a poem|the report|a short story|an email|a song",
    "read": "the newspaper|a book|a long letter|the map|a recipe|the news",
    "buy": "a ticket|new shoes|fresh bread|a lamp|some flowers|a small boat|a present",
    "sell": "the old car|vegetables|a bicycle|the house|handmade toys",
    "bring": "an umbrella|some fruit|the keys|a blanket|good news|two chairs",
    "take": "the early train|a photo|the last seat|a short walk|the medicine",
    "find": "a gold coin|the lost dog|an old map|the right answer|a quiet place",
    "lose": "the key|a glove|the game|an important paper|the way",
    "make": "a cake|a paper boat|dinner|a list|a big mistake|a new plan",
    "build": "a bridge|a stone wall|a wooden house|a tower|a nest",
    "break": "the window|a plate|the rule|an old record",
    "drive": "a red truck|the bus|a taxi|an old car",
    "ride": "a bicycle|a grey horse|the tram|a scooter",
    "sing": "a song|an old tune|a lullaby",
    "see": "a rainbow|the mountain|a strange light|an old friend",
    "hear": "a loud noise|the bell|a knock at the door|the rain",
    "hide": "the treasure|a letter|the present",
    "send": "a postcard|the parcel|an answer|some money",
    "teach": "music|the children|history|a new song",
    "throw": "the ball|a stone|a paper plane",
    "wear": "a blue coat|a straw hat|warm gloves|an old sweater",
    "win": "the race|a medal|the first prize",
    "clean": "the kitchen|the window|the car|an old lamp|the stairs",
    "open": "the door|a shop|the window|a small box",
    "close": "the gate|the book|the curtains",
    "paint": "the fence|a picture|the wall|a wooden chair",
    "repair": "the roof|a watch|the engine|an old radio",
    "visit": "the museum|an aunt|the castle|a friend|the market",
    "water": "the garden|the plants|the roses",
    "plant": "a tree|some beans|the tulips",
    "cook": "dinner|a big meal|vegetable soup|some fish",
    "bake": "bread|a cherry pie|cookies",
    "carry": "a heavy box|the basket|two buckets of water",
    "collect": "stamps|shells|old coins|firewood",
    "feed": "the ducks|the cat|a hungry bird|the horses",
    "play": "the piano|chess|football|a trick",
    "study": "the stars|chemistry|a rare plant|French",
    "wash": "the dishes|the dog|a muddy shirt",
    "watch": "a film|the birds|the sunset|the game",
    "fix": "the pump|a broken chair|the old clock",
    "count": "the coins|the sheep|the stairs",
    "climb": "a tree|the hill|the ladder",
    "follow": "the river|a narrow path|the signs",
    "invite": "the neighbours|an old friend|the whole class",
    "measure": "the room|the table|the rain",
    "pack": "a suitcase|the boxes|some food",
    "deliver": "the mail|a pizza|fresh milk",
}
ACTS = [(verb, thing) for verb, things in PHRASES.items() for thing in things.split("|")]

TIMES = phrases("""
in the morning|after lunch|in the evening|on Sunday|before breakfast|at noon|at night|on Monday|
every week|in spring|in the afternoon|during the holidays|after work|on Friday|before dark
""")
SPOTS = phrases("""
in the garden|at home|by the river|near the station|in the village|at school|in the library|
on the farm|behind the house|in the kitchen|at the market|under the bridge|on the beach|
in the park|at the office|in the old town|on the hill|next to the church
""")

ADJECTIVES = words("""
angry ancient awful bad big bitter black blue bold brave bright broken brown busy calm careful
careless cheap cheerful clean clear clever clumsy cold cool crazy cruel curious damp dangerous
dark deep dirty dry dull dusty eager early easy elegant empty expensive fair faithful famous
fancy fast fat fierce fine flat foolish fragile free fresh friendly full funny gentle glad
golden good graceful grand gray great green grumpy happy hard harmless healthy heavy helpful
high hollow honest hot huge humble hungry icy idle jolly kind large late lazy light little
lonely long loose loud lovely low loyal lucky mad mean merry mighty modern modest muddy narrow
nasty neat new nice noisy odd old orange pale patient perfect plain pleasant polite poor pretty
proud pure purple quick quiet rapid rare raw red rich ripe rough round rude rusty sad safe salty
scared serious shallow sharp shiny short shy sick silent silly silver simple sleepy slim slow
small smart smooth soft sour spicy steady steep sticky stiff strange strict strong sunny sweet
swift tall tame tasty tender thick thin thirsty tidy tiny tired tough ugly useful usual vast
violet warm weak wealthy wet white wide wild windy wise wonderful wooden worried yellow young
""")

DOUBLED = {"chop", "drop", "hug", "plan", "stir", "stop", "trip", "wrap"}


def third(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb][0]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def past(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb][1]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return (verb + verb[-1] if verb in DOUBLED else verb) + "ed"


def ing(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb][2]
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return (verb + verb[-1] if verb in DOUBLED else verb) + "ing"
