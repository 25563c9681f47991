"""Adjectives that say what somebody is, becomes or is held to be, and nouns that end like one."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ADJECTIVES = _words("""
    giddy woozy tipsy sulky perky puffy happy sad angry asleep awake alive dead busy safe sick ill tired proud lazy
    clever brilliant smart stupid nervous uneasy unhappy unconscious speechless uncomfortable anxious jealous
    responsible guilty innocent ready late afraid famous rich poor crazy mad wrong worried unharmed wanting
    incompetent competent selfish rude brave honest captive half old deaf blind bald pregnant lame mute cold warm hot
    hungry thirsty weak strong young tall short thin fat pretty plain ugly beautiful attractive charming boring
    annoying amusing interesting intelligent talented gifted kind cruel mean nice cool funny dull shy bold calm pale
    red furious upset drunk sober broke bankrupt homeless penniless breathless helpless fearless harmless useless
    hopeless powerless motionless alone sure certain unsure aware unaware able unable fit unfit qualified unqualified
    suitable likeable lovable reliable unreliable capable difficult easy impossible arrogant pleasant unpleasant
    insane loyal naive loud quiet fair unfair tough gentle sweet sexy hard slow fast quick weird strange odd normal
    free hostile sensible sensitive insufferable superior inferior better worse older younger stronger weaker richer
    poorer wiser braver taller sicker thinner calmer fatter smarter kinder healthy unwell dizzy sleepy lonely friendly
    lovely silly witty trustworthy untrustworthy worthy unworthy curious serious dangerous ridiculous ambitious
    gorgeous courageous unforgettable legendary ordinary extraordinary immature mature dishonest excellent exceptional
    mediocre overrated underrated guiltless bored paranoid stiff lucky unlucky prepared wild bitter cheerful careful
    careless wonderful wondrous delightful irresistible inspiring intimidating irritating exhausting fascinating
    unbearable perfect eligible inadequate sincere insincere distant aloof stubborn sunny tiny skinny cranky shaky
    risky needy itchy queasy groggy grumpy moody chatty tidy dirty nasty nosy bossy picky lousy greedy handy sorry
    weary wary merry scary heavy steady sturdy trendy gloomy clumsy feisty humble noble subtle nimble agile fragile
    fertile sterile senile immobile passionate affectionate desperate fortunate unfortunate obstinate accurate
    literate illiterate delicate considerate inconsiderate compassionate inarticulate articulate bereft deft dim dry
    dumb faint fierce firm frail frank glad grave grim hoarse keen lean limp lost mild neat numb plump pliant quaint
    ripe rough sane shallow sharp shrewd slim sly smug snug solemn sore steep stern stout strict swift taut tense
    terse thick timid tender vague vain vast vile vivid wide zealous cross obsolete bare barren tame lax lenient meek
    modern absurd alike aghast adrift afloat ashamed averse alert astray astute austere avid benign bleak blond blonde
    brisk brittle candid chaste coarse crass cute daft demure devout discreet distinct divine docile drab dreary eager
    elder exempt exquisite extreme false fatal feeble fond forlorn foul frantic futile gaunt ghastly glib grateful
    gross gruff gullible haggard harsh hasty hardy hefty humane idle immune impolite inane inept inert infirm insecure
    jolly jovial languid listless livid lofty lucid mellow morose mundane obese obscure overjoyed petty placid polite
    pompous potent profound prone pure quirky rash remote resolute rigid robust rotten rugged ruthless sallow scarce
    secure sedate serene severe shabby simple skittish sleek slender sluggish sombre somber sordid splendid squeamish
    staid stale stark staunch suave sullen sultry superb supple surly svelte tawdry tranquil uncouth unsafe unseen
    unarmed upbeat uptight urbane valiant volatile wan wistful wooden open shut awkward stunning genuine private
    unique restless distraught hesitant reluctant confident indifferent independent dependent present absent silent
    violent ignorant elegant radiant significant vigilant dominant redundant emotional rational irrational
    professional unprofessional critical cynical hysterical practical equal special suicidal romantic dramatic
    pathetic sympathetic energetic enthusiastic optimistic pessimistic realistic fantastic ecstatic erratic toxic
    impressive aggressive passive creative persuasive evasive defensive offensive supportive positive negative
    vulnerable elusive persistent insistent prudent decent patient impatient obedient disobedient efficient
    inefficient modest adept corrupt blunt unwise unkind intact close tight upright straight flat senseless black
    """)
ADJECTIVE_ENDINGS = (
    *(
        "ful",
        "ous",
        "able",
        "ible",
        "less",
        "ish",
        "ier",
        "some",
        "worthy",
        "proof",
        "like",
        "ent",
        "ant",
        "ic",
        "al",
        "ive",
    ),
    *("sy", "zy", "py", "dy", "chy", "shy", "thy", "my", "ggy", "cky", "sty", "tty", "rky", "nny", "gry", "ary"),
)
NOT_ADJECTIVES = _words("""
    poppy teddy tonic mimic paddy caddy handful mouthful table vegetable cable syllable constable bible dish fish wish
    finish polish soldier carrier courier barrier premier cashier terrier glacier frontier pier radish gable fable
    timetable collectable student parent accident talent agent president resident event tent rent scent cent content
    consent moment comment document argument statement treatment payment movement judgment agreement apartment
    appointment department engagement enjoyment employment environment equipment excitement experiment government
    improvement instrument investment ornament parliament punishment requirement retirement settlement tournament
    accent advent extent intent opponent ingredient component continent incident precedent recipient respondent
    correspondent superintendent supplement element achievement involvement assignment replacement assistant servant
    tenant restaurant giant plant infant elephant merchant grant consultant accountant lieutenant sergeant descendant
    applicant defendant participant immigrant pendant quadrant warrant music clinic topic comic picnic traffic fabric
    magic logic critic mechanic panic public republic attic relic medic epidemic pandemic rhetoric ethic metric mosaic
    garlic tunic journal hospital animal goal rival proposal arrival medal manual festival capital material meal deal
    appeal signal trial burial refusal approval removal survival withdrawal denial dismissal funeral cereal terminal
    ritual pedal petal seal betrayal portrayal rehearsal renewal referral disposal reversal revival principal official
    general individual criminal potential credential credentials coral canal steal metal mural sandal scandal vandal
    total serial tutorial memorial editorial relative detective native olive archive motive drive dive hive executive
    representative objective perspective initiative alternative narrative fugitive captive operative directive
    incentive daisy fantasy courtesy ecstasy heresy hypocrisy embassy pansy therapy copy puppy canopy recipe body lady
    study buddy daddy candy brandy comedy tragedy melody remedy custody parody subsidy hobby army enemy economy
    academy mummy mommy dummy tummy anatomy autonomy empathy sympathy apathy dynasty honesty majesty modesty amnesty
    penny granny nanny kitty city kitchen party beauty pastry diary salary library secretary dictionary boundary
    anniversary commentary documentary vocabulary summary glossary itinerary obituary missionary mercenary notary
    january february county
    """)
