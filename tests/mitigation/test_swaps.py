"""Swaps: right on sentences written by hand, their own inverse, and silent where no group is named."""

import gzip
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditkit.errors import InputError, UnknownName
from auditkit.mitigation import swap_words as words
from auditkit.mitigation.swap_pronouns import her_role
from auditkit.mitigation.swap_text import Tokens, sentences
from auditkit.mitigation.swaps import GROUPS, ONE_WAY, Swapper
from tests.mitigation.swap_hard_sentences import ASIDE, TUNED
from tests.mitigation.swap_sentences import HARD, PAIRS, UNTOUCHED

GENDER = Swapper()
ALL = Swapper(tuple(GROUPS))


def swap(text):
    return GENDER.swap(text).text


def test_there_are_enough_sentences():
    assert len(PAIRS) >= 150
    assert all(len(pair) == 2 and pair[0] != pair[1] for pair in PAIRS)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_sentence_becomes_its_counterpart_and_back(one, other):
    assert swap(one) == other
    assert swap(other) == one


@pytest.mark.parametrize("text", UNTOUCHED)
def test_words_that_name_nobody_stay(text):
    assert GENDER.swap(text) == type(GENDER.swap(""))(text, ())


def test_what_changed_is_said():
    swapped = GENDER.swap("Her keys? She gave him hers.")
    assert swapped.text == "His keys? He gave her his."
    found = [(c.start, c.before, c.after, c.first, c.ruled) for c in swapped.changes]
    assert found == [
        (0, "Her", "His", True, True),
        (10, "She", "He", True, False),
        (19, "him", "her", False, False),
        (23, "hers", "his", True, False),
    ]
    assert swapped.ruled == 1


NAMES = (*words.FIRST_NAMES, *words.NAME_GROUPS, *words.RELIGIONS, *words.NATIONALITIES)
LISTED = {w.lower() for pair in (*words.NOUNS, *words.TITLES, *NAMES) for w in pair} | set(words.ONE_WAY)
LISTED |= {"sir", "madam", "dame", "he", "she", "him", "her", "his", "hers", "himself", "herself"}


@given(st.text() | st.text(alphabet="aehimnrsw HEIMS'\u2019-.\n\t\u0301é\u200b\u017f\u212a"))
def test_text_without_group_words_is_byte_identical(text):
    # Split by another rule than that of the swaps, so that the two check each other.
    assume(not LISTED & {w.lower() for w in re.split(r"[^A-Za-zé]+", text)})
    assume(not re.search("ma['\u2019]am", text.lower()))
    assert ALL.swap(text).text.encode("utf-8", "surrogatepass") == text.encode("utf-8", "surrogatepass")
    assert ALL.swap(text).changes == ()


@given(st.lists(st.sampled_from(["\u00a0", "  ", "\n", "Ünï", "🙂", "x9", "-", "\u2019", "\u0301", "...", "the tree"])))
def test_everything_around_a_swapped_word_is_kept(around):
    frame = " ".join(around)
    assert swap(f"{frame} \nShe {frame}") == f"{frame} \nHe {frame}"


def test_counterparts_are_unique_and_take_the_same_article():
    lists = (words.PRONOUNS, words.NOUNS, words.TITLES, words.FIRST_NAMES, words.NAME_GROUPS)
    both = [w for pairs in (*lists, words.RELIGIONS, words.NATIONALITIES) for pair in pairs for w in pair]
    assert len(both) == len(set(both))
    for a, b in (*words.NOUNS, *words.NATIONALITIES):
        assert (a[0].lower() in "aeiou") == (b[0].lower() in "aeiou") or {a, b} & {"Islam"}


def test_a_third_word_for_what_has_two_is_one_way():
    assert swap("Ms Clark and Miss Lee") == "Mr Clark and Mr Lee"
    assert swap("Mr Clark") == "Mrs Clark"


def test_other_kinds():
    assert Swapper(("religion",)).swap("A Muslim near the church.").text == "A Christian near the mosque."
    assert Swapper(("nationality",)).swap("She comes from Mexico.").text == "She comes from Canada."
    assert Swapper(("name_group",)).swap("Jamal called LAKISHA.").text == "Brad called ALLISON."
    assert ALL.swap("Lakisha lost her Bible.").text == "Allison lost his Quran."
    with pytest.raises(UnknownName, match="gender"):
        Swapper(("gendr",))
    with pytest.raises(InputError, match="no kind"):
        Swapper(())


HARD_LISTS = {"tuned": TUNED, "aside": ASIDE}


def judged(text, expected):
    """Whether the swap of a hard sentence is "right", "left" though it was not to be, or "wrong"."""
    found = GENDER.swap(text)
    soft, goal = expected.endswith(" ?"), expected.removesuffix(" ?")
    assert not found.left or found.text == text
    if goal == "?" or (soft and found.left):
        return "right" if found.left else "wrong"
    if found.text == (text if goal == "=" else goal):
        return "left" if found.left else "right"
    return "left" if found.left else "wrong"


@pytest.mark.parametrize("which", HARD_LISTS)
def test_hard_sentences(which):
    sentences = HARD_LISTS[which]
    verdicts = [judged(*pair) for pair in sentences]
    counts = {v: verdicts.count(v) for v in ("right", "left", "wrong")}
    print(which, counts, [s for s, v in zip(sentences, verdicts, strict=True) if v != "right"])
    assert len(sentences) >= 150
    assert counts["right"] >= 0.97 * len(sentences)


def test_swapping_twice_gives_every_hard_sentence_back():
    for text, _ in (*TUNED, *ASIDE):
        once = GENDER.swap(text)
        if not any(change.before.lower().replace("\u2019", "'") in ONE_WAY for change in once.changes):
            assert swap(once.text) == text
        for change in once.changes:
            assert text[change.start : change.start + len(change.before)] == change.before


def test_hard_pronouns_labelled_by_hand():
    verdicts = []
    for text, noun in HARD:
        found, at = GENDER.swap(text), [w.strip(".").lower() for w in text.split()].index("her")
        word = found.text.lower().split()[at].strip(".")
        verdicts.append("left" if found.left else word == ("his" if noun else "him"))
    print(f"her -> his/him: {verdicts.count(True)} of {len(HARD)} right, {verdicts.count('left')} left")
    assert verdicts.count(False) == 0
    assert verdicts.count(True) >= HARD_RIGHT


def test_a_sentence_that_nobody_can_swap_is_left_whole_and_counted():
    text = "She is here. I saw her duck, and he laughed. He left."
    found = GENDER.swap(text)
    assert found.text == "He is here. I saw her duck, and he laughed. She left."
    (left,) = found.left
    assert (text[left.start : left.end], left.word) == ("I saw her duck, and he laughed. ", "her")
    assert "two ways" in left.why
    assert [text[c.start :].startswith(c.before) for c in found.changes] == [True, True]


@given(st.text() | st.text(alphabet="HeShr .!?\n\"Ms'"))
def test_sentences_make_up_the_text(text):
    spans = list(sentences(text))
    assert "".join(text[a:b] for a, b in spans) == text


WORDS = [
    *LISTED,
    "the",
    "old",
    "friend",
    "saw",
    "gave",
    "told",
    "of",
    "and",
    "John",
    "Street",
    "letters",
    ",",
    ".",
    "'s",
]


@given(st.lists(st.sampled_from(sorted(WORDS)), max_size=9))
def test_swapping_twice_gives_any_words_back(chosen):
    text = " ".join(chosen)
    once = GENDER.swap(text)
    if not any(change.before.lower() in ONE_WAY for change in once.changes):
        assert swap(once.text) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("religion", "Christian Bale met Christian at the Church of England."),
        ("religion", "The Muslim Brotherhood and the Nation of Islam."),
        ("nationality", "The Indian Ocean, the Irish Sea, New Mexico and Northern Ireland."),
        ("nationality", "Polish the table with nail polish remover."),
        ("name_group", "Neil Todd wrote to Mr Brad and Professor Jill."),
    ],
)
def test_names_of_other_things_stay(kind, text):
    assert kind == "name_group" or Swapper((kind,)).swap(text).text == text
    if kind == "name_group":
        assert Swapper((kind,)).swap(text).text == text.replace("Neil", "Kareem")


HARD_RIGHT = 35
LENGTH = 2_000_000


@pytest.mark.data
def test_the_rule_on_running_text(published):
    """Men's pronouns show how good the rule is: which of them stood where "her" is put."""
    path = published("english_sentences", "sentences.txt.gz")
    found = list(ruled(gzip.decompress(path.read_bytes()).decode()[:LENGTH]))
    shares = {
        kind: [
            sum(1 for k, r in found if k == kind and r in roles)
            for roles in (("determiner",), ("object",), ("unsure",))
        ]
        for kind in ("his", "him")
    }
    print("determiner, object, unsure", shares)
    assert len(found) > 900
    his, him = shares["his"], shares["him"]
    assert his[0] / sum(his) > 0.97
    assert him[1] / sum(him) > 0.9
    assert (his[2] + him[2]) / len(found) < 0.02


def ruled(text):
    """(which stood there, what the rule says) of each "his" and "him", as if "her" stood there."""
    for start, end in sentences(text):
        sentence = text[start:end]
        for found in re.finditer(r"\b(his|him)\b", sentence):
            tokens = Tokens.of(f"{sentence[: found.start()]}her{sentence[found.end() :]}")
            yield found.group(), her_role(tokens, tokens.starts.index(found.start()))
