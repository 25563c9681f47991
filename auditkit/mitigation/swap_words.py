"""The words that a swap exchanges, and those by which "her" is told apart from "her". Written for this package.

Counterparts take the same article ("an heir", "an heiress"), and no word has two. Words that often mean something else
(count, host, groom, master, bachelor) are left out, as are names that are also words, places or borne by both sexes.
A name tells a reader of a group only by likelihood; nobody's own identity follows from it.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRONOUNS = (("she", "he"), ("herself", "himself"))
"""Those that one word answers to, whatever stands around them; her, his, him and hers are in `swaps`."""

NOUNS = (
    *(("woman", "man"), ("women", "men"), ("girl", "boy"), ("girls", "boys"), ("female", "male"), ("females", "males")),
    *(("lady", "gentleman"), ("ladies", "gentlemen"), ("gal", "guy"), ("gals", "guys"), ("madam", "sir")),
    *(("mother", "father"), ("mothers", "fathers"), ("mom", "dad"), ("moms", "dads"), ("mommy", "daddy")),
    *(("grandmother", "grandfather"), ("grandmothers", "grandfathers"), ("grandma", "grandpa")),
    *(("stepmother", "stepfather"), ("godmother", "godfather"), ("sister", "brother"), ("sisters", "brothers")),
    *(("stepsister", "stepbrother"), ("daughter", "son"), ("daughters", "sons"), ("stepdaughter", "stepson")),
    *(("granddaughter", "grandson"), ("granddaughters", "grandsons"), ("goddaughter", "godson")),
    *(("aunt", "uncle"), ("aunts", "uncles"), ("niece", "nephew"), ("nieces", "nephews")),
    *(("wife", "husband"), ("wives", "husbands"), ("housewife", "househusband"), ("bride", "bridegroom")),
    *(("widow", "widower"), ("widows", "widowers"), ("fiancée", "fiancé"), ("girlfriend", "boyfriend")),
    *(("girlfriends", "boyfriends"), ("girlhood", "boyhood"), ("womanhood", "manhood")),
    *(("motherhood", "fatherhood"), ("sisterhood", "brotherhood"), ("motherly", "fatherly"), ("sisterly", "brotherly")),
    *(("maternal", "paternal"), ("maternity", "paternity"), ("feminine", "masculine"), ("femininity", "masculinity")),
    *(("queen", "king"), ("queens", "kings"), ("princess", "prince"), ("princesses", "princes")),
    *(("duchess", "duke"), ("duchesses", "dukes"), ("baroness", "baron"), ("empress", "emperor")),
    *(("heiress", "heir"), ("heiresses", "heirs"), ("abbess", "abbot"), ("nun", "monk"), ("nuns", "monks")),
    *(("priestess", "priest"), ("priestesses", "priests"), ("witch", "wizard"), ("witches", "wizards")),
    *(("actress", "actor"), ("actresses", "actors"), ("waitress", "waiter"), ("waitresses", "waiters")),
    *(("stewardess", "steward"), ("stewardesses", "stewards"), ("heroine", "hero"), ("heroines", "heroes")),
    *(("landlady", "landlord"), ("landladies", "landlords"), ("masseuse", "masseur"), ("sorceress", "sorcerer")),
    *(("policewoman", "policeman"), ("policewomen", "policemen"), ("firewoman", "fireman"), ("firewomen", "firemen")),
    *(("businesswoman", "businessman"), ("businesswomen", "businessmen"), ("chairwoman", "chairman")),
    *(("chairwomen", "chairmen"), ("spokeswoman", "spokesman"), ("spokeswomen", "spokesmen")),
    *(("congresswoman", "congressman"), ("congresswomen", "congressmen"), ("saleswoman", "salesman")),
    *(("saleswomen", "salesmen"), ("sportswoman", "sportsman"), ("sportswomen", "sportsmen")),
    *(("craftswoman", "craftsman"), ("craftswomen", "craftsmen"), ("cowgirl", "cowboy"), ("cowgirls", "cowboys")),
    *(("schoolgirl", "schoolboy"), ("schoolgirls", "schoolboys")),
)
TITLES = (("mrs", "mr"),)
ONE_WAY = {"ms": "mr", "miss": "mr", "mum": "dad", "mums": "dads", "mummy": "daddy"}
"""A third word for what has two: a woman's, whose swap cannot be undone ("Ms" becomes "Mr", which becomes "Mrs")."""

FIRST_NAMES = (
    *(("Mary", "James"), ("Patricia", "Robert"), ("Jennifer", "Michael"), ("Linda", "David"), ("Barbara", "William")),
    *(("Susan", "Richard"), ("Jessica", "Joseph"), ("Karen", "Thomas"), ("Sarah", "Daniel"), ("Lisa", "Anthony")),
    *(("Nancy", "Charles"), ("Sandra", "Steven"), ("Ashley", "Kevin"), ("Emily", "Brian"), ("Donna", "George")),
    *(("Michelle", "Timothy"), ("Carol", "Ronald"), ("Amanda", "Jason"), ("Melissa", "Edward"), ("Deborah", "Jeffrey")),
    *(("Stephanie", "Ryan"), ("Rebecca", "Jacob"), ("Laura", "Gary"), ("Helen", "Nicholas"), ("Amy", "Eric")),
    *(("Anna", "Jonathan"), ("Angela", "Stephen"), ("Ruth", "Larry"), ("Brenda", "Justin"), ("Nicole", "Benjamin")),
    *(("Katherine", "Samuel"), ("Emma", "Gregory"), ("Samantha", "Alexander"), ("Christine", "Patrick")),
    *(("Catherine", "Peter"), ("Rachel", "Raymond"), ("Janet", "Dennis"), ("Maria", "Jose"), ("Diane", "Jerry")),
    *(("Olivia", "Tyler"), ("Julia", "Aaron"), ("Alice", "Adam"), ("Martha", "Nathan"), ("Jane", "John")),
    *(("Sophie", "Paul"), ("Hannah", "Simon"), ("Elizabeth", "Matthew"), ("Margaret", "Andrew")),
)
"""(woman's, man's) first names, among the most frequent in the United States over the last century."""

NAME_GROUPS = (
    *(("Lakisha", "Allison"), ("Latoya", "Meredith"), ("Tamika", "Kristen"), ("Keisha", "Carrie"), ("Aisha", "Laurie")),
    *(("Tanisha", "Jill"), ("Jamal", "Brad"), ("Darnell", "Todd"), ("Tyrone", "Geoffrey"), ("Jermaine", "Brendan")),
    *(("Kareem", "Neil"), ("Rasheed", "Greg"), ("Hakim", "Brett")),
)
"""(more frequent among Black Americans, among White Americans), of one sex each; after the field experiment of
Bertrand & Mullainathan (2004). American Economic Review 94(4), which found fewer calls back for the former."""

RELIGIONS = (
    *(("Muslim", "Christian"), ("Muslims", "Christians"), ("Islam", "Christianity"), ("Quran", "Bible")),
    *(("mosque", "church"), ("mosques", "churches")),
)
NATIONALITIES = (
    *(("Mexican", "Canadian"), ("Mexicans", "Canadians"), ("Mexico", "Canada"), ("Nigerian", "Norwegian")),
    *(("Nigerians", "Norwegians"), ("Nigeria", "Norway"), ("Pakistani", "Portuguese"), ("Pakistan", "Portugal")),
    *(("Vietnamese", "Belgian"), ("Vietnam", "Belgium"), ("Somali", "Swedish"), ("Somalia", "Sweden")),
    *(("Indian", "Irish"), ("India", "Ireland"), ("Haitian", "Polish"), ("Haiti", "Poland")),
)

# --- what may follow "her": lists by which swaps.determines decides ------------------------------------------------

STOPS = _words("""
    a an the this that these those some any no none another each every both all something anything everything nothing
    someone anyone everyone my your our their its his her he she they we i you it him them us me himself herself
    in on at to for with from by of about as into onto over under after before behind between during without within
    against among through throughout toward towards upon until till since than like near beside besides beyond across
    along around up down off out away aside apart inside outside per via despite except
    and or but nor so yet because when whenever while if unless although though where wherever why how who whom whose
    which what whether
    is are was were be been am do does did has have had will would shall should can could may might must not n't isn
    wasn didn doesn won wouldn couldn seems seemed became becomes came comes goes went
    today yesterday tomorrow tonight again here there alone together anymore anyway instead ahead afterwards
    everywhere anywhere somewhere nowhere
    too also either neither enough
    """)
"""After a determiner there is a noun phrase; these words start none that "her" could belong to."""

PERHAPS = _words("""
    much more most less least well better then now once later ever never always often still just even soon hard twice
    """)
"""Before a noun they belong to it ("her still wet hair"), before anything else to the verb ("knew her well")."""

NOT_ADVERBS = _words("""
    family ally bully belly jelly rally reply supply assembly anomaly monopoly butterfly fly early lovely friendly
    elderly daily weekly monthly yearly ugly silly holy lonely likely lively curly deadly costly orderly only homely
    """)

COMPLEMENTS = _words("""
    happy sad angry asleep awake alive dead busy safe sick ill tired proud lazy clever brilliant smart stupid nervous
    uneasy unhappy unconscious speechless uncomfortable anxious jealous responsible guilty innocent ready late
    afraid famous rich poor crazy mad wrong worried unharmed wanting incompetent competent selfish rude brave honest
    captive company hostage prisoner president captain free half old deaf blind goodbye thanks
    """)
"""What she can be called, found or made, where no noun follows it."""

COMPLEMENT_VERBS = _words("""
    find finds found finding leave leaves left leaving call calls called calling make makes made making keep keeps kept
    keeping consider considers considered think thinks thought believe believed drive drives drove get gets got hold
    holds held render rendered declare declared deem deemed elect elected name named appoint appointed wish wished
    """)

PERCEPTION_VERBS = _words("""
    see sees saw seen seeing watch watches watched watching hear hears heard hearing notice noticed feel felt find
    finds found catch caught keep keeps kept spot spotted leave left stop stops stopped observe observed remember
    imagine
    """)
"""Followed by "her" and a verb in -ing."""

NOT_PARTICIPLES = _words("""
    thing things ring rings king wedding building painting meeting clothing feeling feelings evening morning writing
    earring earrings sibling siblings darling wing wings offspring spring string being beginning upbringing training
    handwriting housing saving savings
    """)
PARTICIPLE_VERBS = _words("had have has having get gets got find found saw see kept keep left want wanted")
"""Followed by "her" and a participle in -ed."""

CAUSATIVE_VERBS = _words("""
    let lets letting make makes made making help helps helped helping see sees saw watch watched hear heard had have
    having bid feel felt
    """)
INFINITIVES = _words("""
    go be become come get give take do know feel leave stay find see tell say speak sing cry laugh smile sleep eat
    think understand believe realise direct decide choose learn forget remember win lose join enter move run walk
    carry pay pass keep make have wait suffer die live look seem appear follow finish start begin stop try use write
    read drive open close sit stand fall grow talk play work succeed recover escape prepare solve build pack
    """)
"""Followed by "her" after a verb that lets or makes her do it."""

DATIVE_VERBS = _words("""
    give gives gave giving given offer offers offered offering send sends sent bring brings brought buy buys bought
    owe owes owed lend lent wish wished promise promised show showed shown teach taught tell told pay paid grant
    granted hand handed ask asked feed fed
    """)
GIFTS = _words("""
    money flowers advice food water credit permission directions hope courage strength feedback chocolates letters
    presents medicine access information instructions extra
    """)
"""What is given to her without an article."""

LEADING_VERBS = _words("""
    take takes took taken bring brings brought send sends sent drive drives drove walk walks walked see saw follow
    followed call calls called get got carry carried want wants wanted lead led escort escorted invite invited
    welcome welcomed drag dragged pull pulled push pushed give gave win won hold held
    """)
"""They take her "home" or "back"; after other verbs that is a noun: "hurt her back"."""

MEETING_VERBS = _words(
    "see sees saw seen meet meets met visit visited call called marry married join joined phone hire hired"
)
TIMES = _words("""
    week weeks month months year years night time summer winter spring autumn monday tuesday wednesday thursday friday
    saturday sunday
    """)
BEFORE_A_WILL = _words("in of against to by with for from into free")

# --- where a word of the lists means something else ----------------------------------------------------------------

COMPOUNDS = _words("king queen man")
COMPOUNDS_WITH = _words("crab bee size sized made")
"""Together they name no person: "king-size", "queen bee", "man-made"."""
SURNAMES = _words("king queen kings queens prince duke baron abbot")
"""Surnames, where they follow a name: "Stephen King"; in the plural places: "Queens"."""
BEFORE_SURNAMES = _words("mr mrs ms miss dr prof professor sir")
"""What follows them is a surname, even one that is a first name elsewhere: "Mr James"."""
