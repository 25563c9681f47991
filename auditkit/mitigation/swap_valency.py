"""What stands around "her" and tells "gave her letters" from "read her letters": verbs, nouns, adjectives by class.

Written for this package, from the valency patterns of Quirk, Greenbaum, Leech & Svartvik (1985), chapter 16: verbs with
two objects ("sent her three letters"), with an object and its complement ("consider her able"), with an object and a
bare infinitive ("let her sleep") or a participle ("heard her singing").
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _forms(text: str) -> frozenset[str]:
    """Regular forms of verbs: "deny" gives denies, denied, denying; irregular ones are listed beside."""
    found: set[str] = set()
    for verb in text.split():
        stem = verb[:-1] if verb.endswith("e") else verb
        if verb.endswith("y") and verb[-2] not in "aeiou":
            found |= {verb, f"{stem[:-1]}ies", f"{stem[:-1]}ied", f"{verb}ing"}
        else:
            sibilant = verb.endswith(("s", "sh", "ch", "x", "z"))
            found |= {verb, f"{verb}es" if sibilant else f"{verb}s", f"{stem}ed", f"{stem}ing"}
    return frozenset(found)


ADVERBS = _words("""
    headlong barefoot anytime sometime someday nowadays sideways backward backwards forward forwards beforehand
    afterward thereafter elsewhere likewise otherwise perhaps maybe meanwhile nearby anyhow somehow regardless much
    more most less least well better best then now once later ever never always often still just even soon hard twice
    daily weekly monthly yearly hourly round very so quite rather too enough far really somewhat half nearly almost
    only back aloud early late together apart aside abroad indoors outdoors upstairs downstairs overseas straightaway
    forever nonstop first overnight north south east west second third
    """)
"""Before a noun they belong to it ("her still wet hair"), before anything else to the verb ("knew her well")."""
DEGREES = _words("""
    very quite rather more most less far really somewhat too so extremely utterly terribly pretty
    """)
NOT_ADVERBS = _words("""
    family ally bully belly jelly rally reply supply assembly anomaly monopoly butterfly fly early lovely friendly
    elderly daily weekly monthly yearly ugly silly holy lonely likely lively curly deadly costly orderly only homely
    july
    """)
PREPOSITIONS = _words("""
    in on at to for with from by of about as into onto over under after before behind between during without within
    against among through throughout toward towards upon until till since than like near beside besides beyond across
    along around inside outside per via despite except above below beneath past next
    """)
LOCATIVE = _words("behind beside before above below beneath around near beyond opposite under over")
POSTURES = _words("stood sat lay hung loomed stretched came went ran rose crouched lurked walked knelt")
ARTICLES = _words("a an the some no any another something everything nothing anything this that these those")

# --- verbs ---------------------------------------------------------------------------------------------------------

TRANSFER = _words("""
    give gives gave giving given send sends sent sending bring brings brought bringing lend lends lent lending teach
    teaches taught teaching tell tells told telling pay pays paid paying show shows showed shown showing feed feeds
    fed feeding sell sells sold selling leave bid deal dealt throw threw throws cost costs costing bet bets spare
    spared ask asks asked asking
    """) | _forms("""
    prescribe repay reimburse ship wire relay accord begrudge allocate concede gift lease telegraph cable offer deny
    grant hand owe promise wish award assign allow refuse charge fine tip loan mail email text pass toss fax forward
    guarantee permit allot quote issue envy forgive bequeath
    """)
"""Somebody gets, hears or is spared something: they take two objects."""
BENEFIT = _words("""
    serve serves served serving make makes made making buy buys bought buying bake bakes baked baking cook cooks
    cooked cooking get gets got getting find finds found bring fetch fetches fetched build builds built write writes
    wrote written writing read reads reading sing sings sang draw draws drew play plays played pour pours poured
    pouring order orders ordered knit knits knitted sew sewed save saves saved saving win wins won earn earned leave
    leaves left do does did cut cuts keep kept choose chose prepare prepared book booked fix fixes fixed mix mixed
    cost rent rented steal stole
    """)
"""Done for somebody ("baked her cookies") or to what is theirs: both are English."""
NAMING = _words("""
    elect elects elected name named appoint appointed crown crowned make makes made declare declared dub dubbed vote
    voted proclaim proclaimed anoint anointed nickname nicknamed call calls called calling christen christened
    """)
COMPLEX = _words("""
    holding pulling pushing thinking feeling turning driving setting rendering find finds found finding leave leaves
    left leaving call calls called calling make makes made making keep keeps kept keeping think thinks thought drive
    drives drove driven get gets got getting hold holds held turn turns turned want wants labelled labelling wanted
    set sets pull pulled push pushed drew shot shoots shook beat beats scared bored knocked kicked knock kick hugged
    squeezed worked strike struck prove proved like likes liked prefer preferred feel felt see saw have has had having
    """) | _forms("""
    consider believe render declare deem judge label brand pronounce presume assume suppose rate term reckon imagine
    picture portray depict view
    """)
"""Followed by an object and what it is, becomes or is held to be: "consider her intelligent"."""
PERCEPTION = _words("""
    overhear overhears overheard witness witnessed sense sensed leave see sees saw seen seeing watch watches watched
    watching hear hears heard hearing notice noticed feel felt find finds found catch catches caught keep keeps kept
    spot spotted leaves left stop stops stopped observe observed remember remembers remembered imagine imagines
    imagined picture pictured glimpse glimpsed photograph photographed film filmed record recorded have had get got
    smell want wants wanted send sent set show showed shows consider called call calls considered thought think
    describe described
    """)
CAUSATIVE = _words("""
    seeing letting let lets make makes made making help helps helped helping see sees saw seen watch watches watched
    watching hear hears heard feel felt bid bade notice noticed had have having
    """)
PARTICIPLE = _words("""
    had have has having get gets got getting find found saw see kept keep left want wanted wants heard need
    """)
LEADING = _words("""
    take takes took taken bring brings brought send sends sent drive drives drove walk walks walked see saw follow
    followed call calls called get got carry carried want wants wanted lead led escort escorted invite invited welcome
    welcomed drag dragged pull pulled push pushed give gave win won hold held fly flew ride rode rush rushed wheel
    wheeled allow allowed let set sets pay pays paid hit text texted phone phoned chase chased beat
    """)
HURT = _words("""
    hurt hurts injure injured break broke broken rub rubbed scratch scratched strain strained pat patted massage
    massaged wash washed arch arched straighten straightened turn turned twist twisted touch touched stroke stroked on
    behind against to down up of from with for at in into onto upon off across rubbing scratching turning
    """)
"""Before "her back" they are about a part of the body."""
"""They take her "home" or "back"; after other verbs that is a noun: "hurt her back"."""
MEETING = _words("""
    see sees saw seen meet meets met visit visited call called marry married join joined phone phoned hire hired kiss
    kissed love loved leave left interview interviewed
    """)
SPEECH = _words("""
    tell tells told ask asks asked remind reminded answer answered text texted warn warned assure assured
    """)
SPOKEN_TO = SPEECH | _words("call calls called name named nickname nicknamed dub dubbed")
FINITE = _words("""
    fled fought sought knelt leapt dreamt learnt bled strode slew trod shed said says went goes came knew knows took
    gave gives began heard sat got wrote held met grew fell threw brought taught sent led wore woke shook drove ate
    sang drew became told seems forgot forgave chose hid bit rode blew flew froze stole swore tore crept wept slept
    dealt meant clung flung swung stung rang sprang shrank sank drank stank strove wove awoke arose undertook withdrew
    forbade slid ran quit broke burst spoke shone thinks believes understood agreed kept asked replied answered smiled
    laughed nodded shrugged
    """)
"""Forms of verbs that modify no noun: "the woman behind her said"."""
PRESENT = _words("know say believe agree think deserve understand adore")
LIKE_HER = _words("need want deserve tend make get take give go know live rarely never always seldom")

# --- nouns ---------------------------------------------------------------------------------------------------------

PERSONS = _words("""
    mother father parent sister brother sibling son daughter child kid baby twin husband wife partner spouse boyfriend
    girlfriend fiancé fiancée aunt uncle niece nephew cousin grandmother grandfather grandson granddaughter grandchild
    mom mum dad grandma grandpa family friend neighbour neighbor guest visitor colleague boss employer employee worker
    staff manager assistant secretary lawyer doctor nurse patient client customer student pupil class teacher tutor
    coach team fan follower audience disciple disciples reader listener captain enemy rival lover landlord landlady
    tenant roommate flatmate mentor servant maid crew people men women boys girls dog cat horse puppy kitten pet cow
    goldfish children parents grandchildren in-laws bank brothers sisters subordinate superior agent editor publisher
    opponent victim subject
    """)
"""Those who are given or told something themselves: "told her old friends"."""
OWN = _words("""
    heels attention internship apprenticeship hand hands head face eyes hair arm arms leg legs foot feet finger
    fingers nose mouth lips teeth tongue neck shoulder shoulders back heart mind soul body voice life name age word
    words job phone keys wallet purse bag coat clothes shoes passport bike glasses car house home room door homework
    best debts taxes bills dues fees fines respects way bed promise promises wages rent salary ticket badge papers
    thoughts feelings true wits tears nerves prayers things belongings savings nails opinions emotions support
    position weight strength
    """)
"""What is somebody's own rather than given to them."""
GIFTS = _words("""
    money flowers roses chocolates presents gifts advice food water credit permission directions hope courage strength
    feedback medicine access instructions information extra nightmares goosebumps chills hugs hints tips pointers
    compliments entry admission asylum bail lies jokes thanks discipline manners maths math physics chemistry piano
    chess time space pause hell priority english french spanish german latin greek arabic russian chinese grammar luck
    congratulations farewell goodbye goodnight trouble grief thousands millions billions hundreds credence evidence
    proof cash alms
    """)
"""What is given, told or taught without an article, and seldom one's own before."""
MASS = _words("""
    fame glory praise acclaim recognition admiration sympathy prestige criticism applause work time music help support
    food bread tea coffee dinner lunch breakfast supper soup cake wine beer toast juice milk sugar meat fruit rice
    pasta pizza cereal porridge homework news attention comfort joy love trust respect power freedom justice treatment
    care shelter pain pleasure energy experience training education equipment furniture luggage mail clothing
    jewellery jewelry poetry fuel air blood medication counsel refuge space room rent research paper land gold silver
    fire ice grace mercy peace rest reason cause trouble leave notice warning approval assistance protection health
    """)
SINGULAR_S = _words("""
    boss class glass dress address business bus gas lens canvas focus thesis analysis princess
    """)
PLURALS = _words("people children men women teeth feet mice geese data media dice")
ROLES = _words("""
    president captain queen king head chair chairman chairwoman chairperson leader director manager champion mayor
    treasurer governor winner ambassador minister chancellor empress emperor partner ceo dean valedictorian editor
    professor princess prince executor heir heiress guardian secretary prisoner hostage captive company sheriff
    """)
TIMES = _words("""
    second minute minutes seconds hour hours day days week weeks weekend month months year years decade decades night
    nights time times summer winter spring autumn morning afternoon evening monday tuesday wednesday thursday friday
    saturday sunday mondays tuesdays january february march april june july august september october november december
    """)
DAYS = _words("""
    monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays
    sundays
    """)
NUMBERS = _words("""
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen twenty thirty forty fifty
    sixty seventy eighty ninety hundred thousand million
    """)
QUANTIFIERS = _words("""
    more less plenty lots several many few fewer much loads tons dozens countless numerous double triple ample
    sufficient whatever whichever half
    """)

# --- adjectives and verbs after her --------------------------------------------------------------------------------

IRREGULAR_PARTICIPLES = _words("""
    shaken forsaken frozen swollen bereft led sold fed bred sought fought driven flown worn torn sworn shown drawn
    eaten written read cut struck bound taken killed shot hurt beaten hit done seen thrown caught stuck lost broken
    gone known chosen forgotten stolen taught told paid sent brought held kept left put set hidden fired bitten
    """)
NOT_PARTICIPLES = _words("""
    breeding baking sewing shopping thing things ring rings king wedding building painting meeting clothing feeling
    feelings evening morning writing earring earrings sibling siblings darling wing wings offspring spring string
    beginning upbringing training handwriting housing saving savings engagement ceiling drawing recording offering
    blessing understanding cooking
    """)
INFINITIVES = _words("""
    perform act rehearse practise clear attend behave travel answer ask avoid go be become come get give take do know
    feel stay see tell say speak sing eat think understand believe realise realize decide choose learn forget remember
    lose join enter carry keep make have wait suffer die live seem appear follow finish begin write read open sit grow
    succeed recover prepare solve find meet put bring achieve breathe buy hate grin exclaim want hope worry wonder
    weep sob cringe faint kneel vomit giggle stumble tremble wake rise hide bleed choke drown freeze hesitate admit
    confess apologise apologize listen pray quit vanish disappear depart arrive regret reconsider doubt focus happen
    explain describe accept refuse agree adjust adapt heal wipe throw steal cheat clean bathe study graduate register
    apply serve teach train shine thrive flourish fail create compose compete earn spend invest marry divorce pick
    pull push shiver wear lean bend fall step lie kiss hug hurry rush leap crawl creep sink shrink vote tidy prefer
    deserve notice decline demand insist direct continue develop gain improve leave overcome raise reach regain relax
    settle survive
    """)
NOUNS_TOO = _words("""
    sign knock groan moan snore whistle gasp yell cheer roll slip trip limp pause wave nod frown stare glance yawn
    chuckle hum chat kick hit cry laugh smile sleep work move run walk play talk stand fall look start stop try use
    drive close pass escape build pack attempt dance drink dream duck swim rest return visit call change answer love
    cook shower fight drop report scream jump blush shiver win pay whisper shout sigh climb cough sneeze struggle ride
    travel question cheat blink wink bow
    """)
"""Verbs and nouns of one form: "saw her duck"."""
AFTER_MAKE = _words("""
    attempt cry laugh smile scream jump blush shiver sleep dance talk cough sneeze wince sigh shout look stand stop
    blink
    """)
AFTER_SEE = _words("sleep fall stand climb jump drive cook pack win pay swim bow blink wink start stop")
AFTER_HELP = _words("""
    move cook pack fight escape sleep walk climb build win pay cry stand talk dance swim drive
    """)
MOTION = _words("fall look turn jump walk run drive dance climb swim stand ride duck move")
DIRECTIONS = _words("into away off across toward towards past through out down over up under")
BEFORE_A_WILL = _words("""
    in of against to by with for from into free read changed made wrote contested contest signed left
    """)
EVERY = _words("move word whim need wish step breath thought moment desire waking action")
BELONGINGS = _words("out down in off up through")
THINGS = _words("""
    cookies cakes pies letters notes poems stories books songs tickets drinks sandwiches pancakes sweaters socks
    mittens shoes boots dresses clothes toys chocolates flowers sweets candies meals eggs potatoes muffins emails
    messages lullabies pictures portraits
    """)
"""What is made, bought or read for somebody, or is theirs."""
AFTER_HIS = _words("""
    only well now then once later ever never always often still just even soon twice too almost nearly really quite
    """)
"""Adverbs that follow "his" where it stands for "his one", and seldom begin a noun phrase."""
POINTERS = _words("that this these those")
MAKE_HERS = _words("report call visit return escape bow answer debut day")
"""Made, they are deeds: "made her escape"."""
NO_PARTICIPLES = _words("""
    bed hundred sacred naked wicked wretched rugged red shed sled wed bred crossbred sped fled shred beloved betrothed
    intended accused kindred hatred infrared
    """)
"""Words in -ed that are none."""
TRANSITIVE = _words("""
    eating reading drinking stealing smoking selling buying writing playing making taking wearing carrying holding
    using watching telling giving doing having feeding cleaning
    """)
"""Participles whose object follows without an article: "caught her stealing apples"."""
MONTHS = _words("january february march april may june july august september october november december")
OBJECTS = _words("me us them you it her him")
AUXILIARIES = _words("is was are were has had have will would can could may might must should did does do")
KEPT_DAYS = _words("""
    spend spends spent spending love loves loved hate hates hated enjoy enjoys enjoyed keep keeps kept plan plans
    planned
    """)
"""Days are what these are about: "spends her Sundays"."""

AMBIGUOUS_PAST = _words("""
    left saw felt thought cut hit put lost found made set shot won beat built bent bound ground spent hurt
    """)
"""Past forms that can also modify a noun, or are one: "who hired her left"."""
CAPTIVES = _words("prisoner hostage captive company")
BESIDE = _words("front top ahead side back")
"""Before "of her" they make up a place: "in front of her lay a book"."""
CAPTURE = _words("keep keeps kept hold holds held take takes took taken")
DONE_TO = _words("justice good harm credit favours favors")
CALLED = _words("names darling sweetheart honey dear sir madam baby love boss")
RELATIVE = _words("who whoever everyone everybody anyone anybody whatever what someone that those all")
"""They open a clause behind which the verb of the sentence is still to come."""
PAINTING = _words("paint paints painted dye dyes dyed colour coloured color colored spray sprayed")
COLOURS = _words("red blue green yellow black white pink purple orange brown grey gray blonde gold silver")
DUES = _words("rent money salary wages taxes dues fees fines debts")
"""Owed, they can be hers to pay or to get."""
COMPARED = _words("greater better higher bigger larger longer further")
HELPS = _words("help helps helped helping let lets letting make makes made making have has had having")
TAKING = _words("take takes took taken taking cost costs")
WEARING = _words("wear wears wore worn wearing")
