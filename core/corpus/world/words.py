"""The words of the concept world: plain tables, and how their labels and inflected forms follow
from them.
"""

# ruff: noqa: SIM905 (a line of words is read more easily than a list of strings)

from __future__ import annotations


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Words as `one/two`, with white space between the pairs."""
    return tuple((one, two) for one, two in (pair.split("/") for pair in text.split()))


def _triples(text: str) -> tuple[tuple[str, str, str], ...]:
    """Three words in a line; `_` is a space, and none after an apostrophe."""
    rows = (line.replace("'_", "'").split() for line in text.splitlines())
    return tuple(
        (one.replace("_", " "), two.replace("_", " "), three.replace("_", " "))
        for one, two, three in rows
    )


KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(words.split())
    for kind, words in {
        "mammal": "dog cat horse cow pig sheep goat rabbit mouse lion tiger bear wolf fox monkey "
        "elephant",
        "bird": "robin crow owl duck hen eagle parrot swan sparrow pigeon",
        "fish": "salmon trout shark tuna cod carp herring",
        "insect": "ant bee moth beetle wasp butterfly cricket",
        "reptile": "snake lizard turtle crocodile gecko",
        "tree": "oak pine birch maple willow",
        "flower": "rose tulip daisy orchid violet",
        "tool": "hammer saw drill axe shovel wrench",
        "vehicle": "car bus truck train boat plane bike",
        "furniture": "chair table bed sofa desk shelf",
        "instrument": "piano drum violin flute guitar trumpet",
        "garment": "hat shirt coat sock scarf dress glove",
        "fruit": "apple banana pear plum grape orange peach cherry lemon",
        "vegetable": "carrot potato onion bean pea cabbage turnip",
        "drink": "water milk tea coffee juice",
        "metal": "iron gold silver copper tin",
    }.items()
}
UPPER: dict[str, str] = {
    "mammal": "animal",
    "bird": "animal",
    "fish": "animal",
    "insect": "animal",
    "reptile": "animal",
    "tree": "plant",
    "flower": "plant",
    "tool": "artefact",
    "vehicle": "artefact",
    "furniture": "artefact",
    "instrument": "artefact",
    "garment": "artefact",
    "fruit": "food",
    "vegetable": "food",
    "drink": "food",
    "metal": "substance",
    "animal": "living",
    "plant": "living",
}
KIND_OF: dict[str, str] = {word: kind for kind, words in KINDS.items() for word in words}
MASS_NOUNS = frozenset(KINDS["drink"] + KINDS["metal"])
NOUNS: tuple[str, ...] = tuple(word for word in KIND_OF if word not in MASS_NOUNS)

IRREGULAR_PLURALS = {
    "sheep": "sheep",
    "mouse": "mice",
    "wolf": "wolves",
    "fox": "foxes",
    "salmon": "salmon",
    "trout": "trout",
    "tuna": "tuna",
    "cod": "cod",
    "herring": "herring",
    "carp": "carp",
    "fish": "fish",
    "butterfly": "butterflies",
    "daisy": "daisies",
    "bus": "buses",
    "shelf": "shelves",
    "peach": "peaches",
    "cherry": "cherries",
    "potato": "potatoes",
    "wrench": "wrenches",
    "dress": "dresses",
    "box": "boxes",
    "cross": "crosses",
    "fruit": "fruits",
    "furniture": "pieces of furniture",
}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "colour": "red blue green yellow black white brown pink purple orange grey",
        "size": "tiny small big large huge",
        "temperature": "freezing cold cool warm hot",
        "material": "wooden stone glass metal paper",
        "age": "new old young ancient",
    }.items()
}
SHAPES = tuple("circle square triangle star cross ring".split())
POSITIONS = ("left of", "right of", "above", "below", "behind", "inside")

GLAD = tuple("happy glad proud calm cheerful delighted excited".split())
SAD = tuple("sad angry afraid worried lonely upset miserable".split())
PRAISE = tuple("wonderful great lovely excellent beautiful brilliant charming".split())
BLAME = tuple("terrible awful boring horrible ugly dreadful dull".split())
REVIEWED = tuple("film book song hotel meal show game party".split())
ASPECTS = tuple("story music room food ending staff price view".split())

# Country, capital, language, continent.
COUNTRIES: tuple[tuple[str, str, str, str], ...] = tuple(
    (country, city, language, continent)
    for country, city, language, continent in map(
        str.split,
        """\
France Paris French Europe
Spain Madrid Spanish Europe
Italy Rome Italian Europe
Germany Berlin German Europe
Greece Athens Greek Europe
Portugal Lisbon Portuguese Europe
Poland Warsaw Polish Europe
Norway Oslo Norwegian Europe
Sweden Stockholm Swedish Europe
Russia Moscow Russian Europe
Austria Vienna German Europe
Ireland Dublin English Europe
England London English Europe
Hungary Budapest Hungarian Europe
Finland Helsinki Finnish Europe
Denmark Copenhagen Danish Europe
Japan Tokyo Japanese Asia
China Beijing Chinese Asia
Thailand Bangkok Thai Asia
Vietnam Hanoi Vietnamese Asia
Iran Tehran Persian Asia
Iraq Baghdad Arabic Asia
Korea Seoul Korean Asia
Turkey Ankara Turkish Asia
Egypt Cairo Arabic Africa
Kenya Nairobi Swahili Africa
Ghana Accra English Africa
Morocco Rabat Arabic Africa
Sudan Khartoum Arabic Africa
Cuba Havana Spanish America
Peru Lima Spanish America
Chile Santiago Spanish America
Canada Ottawa English America
Brazil Brasilia Portuguese America""".splitlines(),
    )
)
CONTINENTS = ("Europe", "Asia", "Africa", "America")
INVENTED_SYLLABLES = tuple("zo ba mi ka ru te lo vi na pe do su fa gi".split())

GENDER_PAIRS = _pairs(
    "man/woman boy/girl king/queen father/mother son/daughter brother/sister uncle/aunt "
    "husband/wife prince/princess actor/actress waiter/waitress grandfather/grandmother "
    "nephew/niece lord/lady hero/heroine"
)
MALE_NAMES = tuple("Tom Ben Sam Jack Max Leo Paul Peter Adam Luke".split())
FEMALE_NAMES = tuple("Mia Anna Lily Emma Sara Kate Lucy Nora Ella Ruth".split())
NAMES = MALE_NAMES + FEMALE_NAMES

DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
SEASONS = tuple("spring summer autumn winter".split())
NUMBERS = tuple(
    (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty"
    ).split()
)
HOURS = NUMBERS[1:13]
ORDINALS = tuple("first second third fourth fifth sixth seventh eighth ninth tenth".split())
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

VERBS = _triples("""\
walk walked walking
jump jumped jumping
play played playing
cook cooked cooking
paint painted painting
climb climbed climbing
sing sang singing
eat ate eating
run ran running
swim swam swimming
sleep slept sleeping
write wrote writing
drink drank drinking
draw drew drawing
read read reading
go went going""")
DEGREES = _triples("""\
big bigger biggest
small smaller smallest
tall taller tallest
fast faster fastest
slow slower slowest
old older oldest
young younger youngest
strong stronger strongest
weak weaker weakest
rich richer richest""")
OPPOSITES = _pairs(
    "big/small hot/cold fast/slow tall/short old/young rich/poor strong/weak happy/sad "
    "light/dark wet/dry full/empty open/closed early/late hard/soft loud/quiet"
)

# English, French, Spanish; "_" is a space, and an article stands before every noun.
TRANSLATIONS = _triples("""\
dog le_chien el_perro
cat le_chat el_gato
horse le_cheval el_caballo
cow la_vache la_vaca
sheep le_mouton la_oveja
lion le_lion el_león
wolf le_loup el_lobo
bear l'_ours el_oso
duck le_canard el_pato
apple la_pomme la_manzana
house la_maison la_casa
tree l'_arbre el_árbol
flower la_fleur la_flor
water l'_eau el_agua
milk le_lait la_leche
bread le_pain el_pan
book le_livre el_libro
table la_table la_mesa
chair la_chaise la_silla
bed le_lit la_cama
door la_porte la_puerta
window la_fenêtre la_ventana
king le_roi el_rey
queen la_reine la_reina
man l'_homme el_hombre
woman la_femme la_mujer
boy le_garçon el_niño
girl la_fille la_niña
sun le_soleil el_sol
moon la_lune la_luna
sea la_mer el_mar
car la_voiture el_coche
hat le_chapeau el_sombrero
shirt la_chemise la_camisa
red rouge rojo
blue bleu azul
green vert verde
white blanc blanco
black noir negro
big grand grande
small petit pequeño
good bon bueno
day le_jour el_día
night la_nuit la_noche
friend l'_ami el_amigo""")

TOPICS: dict[str, tuple[str, ...]] = {
    topic: tuple(words.split())
    for topic, words in {
        "farm": "barn field farmer cow hen tractor hay",
        "beach": "sand sea wave shell sun boat towel",
        "school": "teacher lesson book desk pupil class chalk",
        "kitchen": "pan oven spoon cook soup plate salt",
        "forest": "tree leaf path deer moss owl branch",
        "hospital": "doctor nurse patient bed medicine fever bandage",
        "space": "rocket star planet moon astronaut orbit comet",
        "market": "seller coin price basket stall crowd bargain",
    }.items()
}
ROOMS = tuple("kitchen garden hall attic cellar office garage bedroom".split())
CONTAINERS = tuple("box bag drawer basket jar cupboard suitcase chest".split())

# The word, its sense, and sentences whose beginning settles the sense before the word is reached.
SENSES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "orange",
        "fruit",
        (
            "Anna was hungry and ate a sweet *.",
            "Tom pressed the juice out of an *.",
            "In the bowl lay a pear, a plum and an *.",
        ),
    ),
    (
        "orange",
        "colour",
        (
            "The paint was not red and not yellow but *.",
            "Mia likes the colour *.",
            "The wall is blue and the door is *.",
        ),
    ),
    (
        "bat",
        "animal",
        (
            "At night in the dark cave flew a *.",
            "An animal with wings that is no bird is the *.",
            "The owl hunted a small flying *.",
        ),
    ),
    (
        "bat",
        "sport",
        (
            "To play ball you need a *.",
            "Ben hit the ball with his *.",
            "The player went to the game with a wooden *.",
        ),
    ),
    (
        "bark",
        "sound",
        (
            "The angry dog gave a loud *.",
            "We heard the dog and its *.",
            "At the door a dog began to *.",
        ),
    ),
    (
        "bark",
        "tree",
        (
            "The old oak has rough *.",
            "A pine is covered with brown *.",
            "The beetle lives on the tree under the *.",
        ),
    ),
    (
        "spring",
        "season",
        (
            "After the cold winter comes the warm *.",
            "Flowers open and birds sing in *.",
            "Summer comes after *.",
        ),
    ),
    (
        "spring",
        "metal",
        (
            "The old bed is broken and has lost a *.",
            "The clock is moved by a metal *.",
            "In the machine sits a small steel *.",
        ),
    ),
)


def kind_labels(word: str) -> tuple[str, ...]:
    """The word's kind and everything above it: dog -> mammal, animal, living. Unknown word:
    nothing.
    """
    chain: list[str] = []
    above = KIND_OF.get(word)
    while above:
        chain.append(above)
        above = UPPER.get(above)
    return (*chain, *sense_labels(word, KIND_OF.get(word)))


def sense_labels(word: str, sense: str | None) -> tuple[str, ...]:
    """`orange (fruit)` for a word that has more than one sense in this world, else nothing."""
    return (f"{word} ({sense})",) if any((word, sense) == row[:2] for row in SENSES) else ()


def plural(word: str) -> str:
    return IRREGULAR_PLURALS.get(word) or word + "s"


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def capital(text: str) -> str:
    """First letter in upper case, the others as they are."""
    return text[0].upper() + text[1:]
