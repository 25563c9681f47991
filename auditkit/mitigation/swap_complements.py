"""What follows an object: "heard her singing", "consider her able", "let her sleep"; or a noun phrase of hers."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.mitigation import swap_valency as v
from auditkit.mitigation.swap_classes import Role, at, ends, is_adjective, is_adverb, is_past, time_follows
from auditkit.mitigation.swap_text import Tokens
from auditkit.mitigation.swap_words import STOPS


def gerund(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "Heard her singing", but "loved her singing"."""
    first, before = after[0], tokens.before(i)
    if not first.endswith("ing") or first in v.NOT_PARTICIPLES or first in v.NOT_ADVERBS:
        return None
    if before in v.PERCEPTION | v.COMPLEX:
        if first in ("being", "getting", "having"):
            done = is_past(at(after, 1)) or at(after, 1) in v.IRREGULAR_PARTICIPLES
            return "object" if done or is_adjective(at(after, 1)) else "unsure"
        if ends(after[1:]) or (before in v.PERCEPTION and first in v.TRANSITIVE):
            return "object"
        return "unsure" if before in v.PERCEPTION else None
    both = before in ("with", "without") or (before in ("is", "was", "s") and ends(after[1:]))
    return "unsure" if both else None


def complement(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "Consider her intelligent", "elected her president", "had her arrested", "with her gone"."""
    before, j = tokens.before(i), 0
    while j < len(after) - 1 and (after[j] in v.DEGREES or is_adverb(after[j])):
        j += 1
    word, rest = after[j], after[j + 1 :]
    if before in v.SPOKEN_TO and tokens.title(i + 1) and before not in v.SPEECH:
        return "object"
    if before in v.SPEECH and tokens.title(i + 1) and at(after, 1) in v.AUXILIARIES:
        return "object"
    if before in v.NAMING and word in ("best", "most") and rest:
        return "object" if before[:3] in ("vot", "cro", "ele") else "unsure"
    if before in ("call", "calls", "called", "calling") and word in v.CALLED and ends(rest):
        return "object" if word not in ("baby", "love", "boss") else "unsure"
    if before in v.NAMING and word in v.ROLES and (ends(rest) or rest[0] == "of"):
        return "unsure" if before.startswith("call") else "object"
    if before == "with" and word in ("gone", "dead", "away", "done") and ends(rest):
        return "object"
    pure = word.endswith(("ous", "less")) and is_adjective(word) and before not in v.PREPOSITIONS and before
    judged = before in v.COMPLEX | {"with", "without"} and is_adjective(word)
    if (judged or pure) and ends(rest) and not _more_adjectives(rest):
        return "object"
    if before in v.PAINTING and word in v.COLOURS and ends(rest):
        return "object"
    if before in v.CAPTURE and word in v.CAPTIVES and ends(rest):
        return "object"
    if before in v.COMPLEX and word.isdigit() and ends(rest):
        return "object"
    participle = word in v.IRREGULAR_PARTICIPLES or is_past(word)
    if before in v.PARTICIPLE | v.COMPLEX and participle and ends(rest):
        return "object"
    return None


def _more_adjectives(rest: Sequence[str]) -> bool:
    """As in "liked her natural and dear manner": a noun comes after all."""
    j = 1
    while rest[:1] == ["and"] and j < len(rest) and is_adjective(rest[j]):
        j += 1
    return j > 1 and j < len(rest) and not ends(rest[j:])


def infinitive(tokens: Tokens, i: int, after: Sequence[str]) -> Role | None:
    """As in "Let her sleep", "helped her move"; "saw her duck" is left."""
    before, first, second = tokens.before(i), after[0], at(after, 1)
    if before not in v.CAUSATIVE:
        return None
    if first in v.INFINITIVES:
        return "object"
    if before.startswith("ma") and first in v.MAKE_HERS:
        return "determiner"
    if before in v.HELPS and second in v.ARTICLES and first not in v.OWN | v.PERSONS:
        return "unsure" if time_follows(after[1:]) else "object"
    if before.startswith("let") and second == "be":
        return "determiner"
    if before.startswith("let") and first not in v.OWN | v.PERSONS:
        return "object" if ends(after[1:]) and second not in v.BELONGINGS else None
    if first not in v.NOUNS_TOO:
        return None
    if set(after[1:3]) & v.PERSONS and second not in STOPS:
        return "determiner"
    if second in v.INFINITIVES | v.NOUNS_TOO:
        return "determiner"
    if before in ("had", "have", "has", "having") and second not in v.OBJECTS:
        return "unsure" if second in v.NUMBERS or ends(after[1:]) else None
    listed = v.AFTER_MAKE if before.startswith("ma") else v.AFTER_HELP if before.startswith("help") else v.AFTER_SEE
    moving = first in v.MOTION and second in v.DIRECTIONS and not before.startswith(("ma", "help"))
    return "object" if first in listed or moving or second in v.OBJECTS else "unsure"
