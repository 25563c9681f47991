"""The words that a swap exchanges. Written for this package.

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
    *(("lady", "gentleman"), ("ladies", "gentlemen"), ("gal", "guy"), ("gals", "guys")),
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
    *(("landlady", "landlord"), ("masseuse", "masseur"), ("sorceress", "sorcerer")),
    *(("policewoman", "policeman"), ("policewomen", "policemen"), ("firewoman", "fireman"), ("firewomen", "firemen")),
    *(("businesswoman", "businessman"), ("businesswomen", "businessmen"), ("chairwoman", "chairman")),
    *(("chairwomen", "chairmen"), ("spokeswoman", "spokesman"), ("spokeswomen", "spokesmen")),
    *(("congresswoman", "congressman"), ("congresswomen", "congressmen"), ("saleswoman", "salesman")),
    *(("saleswomen", "salesmen"), ("sportswoman", "sportsman"), ("sportswomen", "sportsmen")),
    *(("craftswoman", "craftsman"), ("craftswomen", "craftsmen"), ("cowgirl", "cowboy"), ("cowgirls", "cowboys")),
    *(("schoolgirl", "schoolboy"), ("schoolgirls", "schoolboys"), ("schoolmistress", "schoolmaster")),
    *(("headmistress", "headmaster"), ("headmistresses", "headmasters"), ("postwoman", "postman")),
    *(("postwomen", "postmen"), ("mailwoman", "mailman"), ("mailwomen", "mailmen"), ("councilwoman", "councilman")),
    *(("councilwomen", "councilmen"), ("assemblywoman", "assemblyman")),
    *(("assemblywomen", "assemblymen"), ("alderwoman", "alderman"), ("anchorwoman", "anchorman")),
    *(("camerawoman", "cameraman"), ("clergywoman", "clergyman"), ("clergywomen", "clergymen")),
    *(("forewoman", "foreman"), ("frontwoman", "frontman"), ("handywoman", "handyman"), ("laywoman", "layman")),
    *(("repairwoman", "repairman"), ("servicewoman", "serviceman"), ("servicewomen", "servicemen")),
    *(("stuntwoman", "stuntman"), ("stuntwomen", "stuntmen"), ("tradeswoman", "tradesman")),
    *(("tradeswomen", "tradesmen"), ("yachtswoman", "yachtsman"), ("noblewoman", "nobleman")),
    *(("noblewomen", "noblemen"), ("horsewoman", "horseman"), ("horsewomen", "horsemen")),
    *(("stateswoman", "statesman"), ("stateswomen", "statesmen"), ("fisherwoman", "fisherman")),
    *(("fisherwomen", "fishermen"), ("airwoman", "airman"), ("airwomen", "airmen"), ("kinswoman", "kinsman")),
    *(("kinswomen", "kinsmen"), ("countrywoman", "countryman"), ("countrywomen", "countrymen")),
    *(("markswoman", "marksman"), ("swordswoman", "swordsman"), ("hitwoman", "hitman"), ("madwoman", "madman")),
    *(("cavewoman", "caveman"), ("newswoman", "newsman"), ("weatherwoman", "weatherman"), ("barmaid", "barman")),
    *(("barmaids", "barmen"), ("superwoman", "superman"), ("washerwoman", "washerman"), ("workwoman", "workman")),
    *(("Englishwoman", "Englishman"), ("Frenchwoman", "Frenchman"), ("Irishwoman", "Irishman")),
    *(("Scotswoman", "Scotsman"), ("Welshwoman", "Welshman"), ("Dutchwoman", "Dutchman")),
    *(("lass", "lad"), ("lasses", "lads"), ("lassie", "laddie"), ("mama", "papa"), ("granny", "grandad")),
    *(("grannies", "grandads"), ("girlish", "boyish"), ("womanly", "manly"), ("ladylike", "gentlemanly")),
    *(("womanliness", "manliness"), ("proprietress", "proprietor"), ("enchantress", "enchanter")),
    *(("viscountess", "viscount"), ("marchioness", "marquess"), ("tsarina", "tsar")),
    *(("czarina", "czar"), ("ladyship", "lordship"), ("stepdaughters", "stepsons"), ("stepsisters", "stepbrothers")),
    *(("stepmothers", "stepfathers"), ("godmothers", "godfathers")),
    *(("goddaughters", "godsons"), ("housewives", "househusbands")),
    *(("brides", "bridegrooms"), ("fiancées", "fiancés"), ("fiancee", "fiance")),
    *(("masseuses", "masseurs"), ("empresses", "emperors"), ("baronesses", "barons"), ("abbesses", "abbots")),
    *(("grandmas", "grandpas"), ("grandnieces", "grandnephews")),
    *(("grandniece", "grandnephew"), ("motherless", "fatherless"), ("wifely", "husbandly")),
)
TITLES = (("mrs", "mr"),)
ONE_WAY = {
    **{"ms": "mr", "miss": "mr", "mum": "dad", "mums": "dads", "mummy": "daddy", "auntie": "uncle", "aunty": "uncle"},
    **{"mam": "dad", "mamma": "papa", "momma": "papa"},
}
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

GENDER_NOUNS = frozenset(word for pair in NOUNS for word in pair) | set(ONE_WAY)
GENDERED = GENDER_NOUNS | {"she", "he", "her", "his", "him", "hers", "herself", "himself", "mrs", "mr"}
GROUP_NOUNS = _words("woman women man men girl girls boy boys female females male males lady ladies gentlemen")
"""With a capital they are of a team, a prize or a league as elsewhere: "Women's World Cup"."""
PEOPLES = frozenset(word.lower() for pair in (*RELIGIONS, *NATIONALITIES) for word in pair) | _words("""
    american british english french german spanish italian chinese japanese black white jewish asian african young
    """)

STOPS = _words("""
    a an the this that these those some any no none another each every both all something anything everything nothing
    someone anyone everyone yourself myself ourselves yourselves themselves itself oneself yours mine ours theirs my
    your our their its his her he she they we i you it him them us me himself herself in on at to for with from by of
    about as into onto over under after before behind between during without within against among through throughout
    toward towards upon until till since than like near beside besides beyond across above below along around up down
    off out away aside apart inside outside per via despite except and or but nor so yet because when whenever while
    if unless although though where wherever why how who whom whose which what whether is are was were be been am do
    does did has have had will would shall should can could may might must not n't isn wasn didn doesn won wouldn
    couldn seems seemed became becomes came comes goes went today yesterday tomorrow tonight again here there alone
    together anymore anyway instead ahead afterwards everywhere anywhere somewhere nowhere too also either neither
    enough
    """)
"""Words that start no noun phrase that "her" could belong to, and stand before no surname."""

SURNAMES = _words("king queen kings queens prince duke baron abbot")
"""Surnames, where they follow a name: "Stephen King"; in the plural places: "Queens"."""
BEFORE_SURNAMES = _words("mr mrs ms miss dr prof professor")
"""What follows them is a surname, even one that is a first name elsewhere: "Mr James"."""
