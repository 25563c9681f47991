"""Winogender: its published files, models whose pronouns follow the labour market or do not, and what is missing."""

import numpy as np
import pytest

from auditkit import data
from auditkit.errors import DataError
from auditkit.probes.base import generator
from auditkit.probes.winogender import NO_DATA, Winogender, by_occupation, gaps
from auditkit.testing import FakeCausalLM, FakeMaskedLM, check_probe

TEMPLATES = (  # written for this test, in the published columns
    ("1", "The $OCCUPATION told the $PARTICIPANT that $NOM_PRONOUN was poor ."),
    ("0", "The $PARTICIPANT saw the $OCCUPATION because $NOM_PRONOUN was old ."),
    ("0", "The $OCCUPATION went home with the $PARTICIPANT and $POSS_PRONOUN work ."),
)
SHARES = {"nurse": 90.0, "secretary": 95.0, "teacher": 75.0, "cook": 40.0, "lawyer": 35.0, "manager": 38.0}
SHARES |= {"doctor": 30.0, "engineer": 10.0}
PRONOUNS = {"male": ("he", "his"), "female": ("she", "her"), "neutral": ("they", "their")}


def templates(occupations=SHARES):
    rows = [f"{o}\tman\t{answer}\t{text}" for o in occupations for answer, text in TEMPLATES[:2]]
    return "\n".join(["occupation(0)\tother-participant(1)\tanswer\tsentence", *rows]) + "\n"


def all_sentences(occupations=SHARES):
    rows = ["sentid\tsentence"]
    for o in occupations:
        for answer, text in TEMPLATES[:2]:
            for other, article in (("man", "the man"), ("someone", "someone")):
                for gender, (subject, _) in PRONOUNS.items():
                    sentence = text.replace("$OCCUPATION", o).replace("$NOM_PRONOUN", subject)
                    sentence = sentence.replace("The $PARTICIPANT", article.capitalize())
                    sentence = sentence.replace("the $PARTICIPANT", article).replace("they was", "they were")
                    rows.append(f"{o}.{other}.{answer}.{gender}.txt\t{sentence}")
    return "\n".join(rows) + "\n"


def shares(occupations=SHARES):
    rows = [f"{o}\t1.0\t{percent}\t2015" for o, percent in occupations.items()]
    return "\n".join(["occupation\tbergsma_pct_female\tbls_pct_female\tbls_year", *rows]) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "all_sentences.tsv").write_text(all_sentences())
    (tmp_path / "occupations-stats.tsv").write_text(shares())
    return tmp_path


# --- the loader --------------------------------------------------------------------------------------------------


def test_what_is_read_of_the_published_files(folder):
    items = data.load(str(folder), "winogender").items
    assert len(items) == 4 * len(SHARES)
    first = items[0]
    assert (first.id, first.occupation, first.participant) == ("nurse.man.1", "nurse", "man")
    assert (first.of_occupation, first.female_share) == (False, 0.9)
    assert first.female == "The nurse told the man that she was poor ."
    assert first.male == "The nurse told the man that he was poor ."
    assert first.neutral == "The nurse told the man that they were poor ."
    someone = next(i for i in items if i.id == "nurse.someone.0")
    assert (someone.of_occupation, someone.female) == (True, "Someone saw the nurse because she was old .")


def test_templates_give_the_sentences_that_are_made_of_them(folder):
    read = data.load(str(folder), "winogender").items
    (folder / "templates.tsv").write_text(templates())
    assert data.load(str(folder), "winogender").items == read  # the sentences are enough
    (folder / "all_sentences.tsv").unlink()
    assert data.load(str(folder), "winogender").items == read
    (folder / "templates.tsv").write_text(
        "occupation(0)\tother-participant(1)\tanswer\tsentence\n"
        "cook\tman\t0\tThe $OCCUPATION saw the $PARTICIPANT , and $POSS_PRONOUN work was for $ACC_PRONOUN .\n"
    )
    named, bleached = data.load(str(folder), "winogender").items
    assert named.male == "The cook saw the man , and his work was for him ."
    assert bleached.female == "The cook saw someone , and her work was for her ."


def test_without_the_shares_of_women_there_are_none(folder):
    items = data.load(str(folder / "all_sentences.tsv"), "winogender").items
    assert {i.female_share for i in items} == {None}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\tb\nc\td\n", r"no Winogender sentences: expected a table with the columns sentid, sentence"),
        ("sentid\tsentence\nnurse.man.2.male.txt\tHe\n", r"sentid 'nurse\.man\.2\.male\.txt'; expected OCCUPATION"),
        ("sentid\tsentence\nnurse.man.1.other.txt\tHe\n", r"the gender one of female, male, neutral"),
        ("sentid\tsentence\nnurse.man.1.male.txt\n", r"line 2: not in the expected format"),
        ("sentid\tsentence\nnurse.man.1.male.txt\tHe\n", r"nurse\.man\.1 has no female and no neutral sentence"),
        ("sentid\tsentence\n" + "nurse.man.1.male.txt\tHe\n" * 2, r"nurse\.man\.1\.male appears twice"),
        (
            "sentid\tsentence\n" + "".join(f"n.m.1.{g}.txt\tHe\n" for g in PRONOUNS),
            r"n\.m\.1: the sentences of women and men are the same",
        ),
        (
            "occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tman\t0\tThe $OCCUPATION left.\n",
            r"expected the answer 0 or 1, and \$OCCUPATION and \$PARTICIPANT",
        ),
        (shares({"cook": 140.0}) , r"no Winogender sentences"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(tmp_path, text, problem):
    (tmp_path / "w.tsv").write_text(text)
    with pytest.raises(DataError, match=problem):
        data.load(str(tmp_path / "w.tsv"), "winogender")


@pytest.mark.parametrize(
    ("percent", "problem"), [("140", "expected a percentage from 0 to 100"), ("many", "occupations-stats.tsv, nurse")]
)
def test_a_share_that_is_none_is_refused(folder, percent, problem):
    (folder / "occupations-stats.tsv").write_text(shares({"nurse": percent}))
    with pytest.raises(DataError, match=problem):
        data.load(str(folder), "winogender")
    with pytest.raises(DataError, match=problem):
        data.load(str(folder / "occupations-stats.tsv"), "occupations")


def test_the_shares_are_occupations_of_the_pronoun_gap_too(folder):
    found = {o.title: o.female_share for o in data.load(str(folder / "occupations-stats.tsv"), "occupations").items}
    assert found == pytest.approx({title: percent / 100 for title, percent in SHARES.items()})


# --- the probe ---------------------------------------------------------------------------------------------------


def planted(strength):
    """The more women in an occupation, the more it pulls at "she"."""
    return {(o, "she"): strength * (percent - 50) / 100 for o, percent in SHARES.items()}


@pytest.mark.parametrize("fake", [FakeMaskedLM, FakeCausalLM])
def test_a_gap_is_the_difference_of_the_sentences(folder, fake):
    items, model = data.load(str(folder), "winogender").items, fake(associations=planted(4))
    found = gaps(model, items)
    for item, gap in zip(items[:4], found[:4], strict=True):
        she, he = (_pronoun(model, text, word) for text, word in ((item.female, "she"), (item.male, "he")))
        assert gap == pytest.approx(she - he)


def _pronoun(model, text, word):
    """Log-likelihood of the sentence up to a constant that the other pronoun shares, or all of it."""
    if isinstance(model, FakeCausalLM):
        return model.token_logprobs([text])[0].total
    ids = model.encode([text])[0].ids.tolist()
    at = ids.index(model.ids[word])
    return model._around(ids, at)[ids[at]]


@pytest.mark.parametrize("fake", [FakeMaskedLM, FakeCausalLM])
@pytest.mark.parametrize("strength", [30.0, -30.0])
def test_a_planted_labour_market_is_found(folder, fake, strength):
    result = check_probe(Winogender(data=str(folder), null_items=4), fake(associations=planted(strength)))
    found = {m.id: m for m in result.measurements}
    slope, correlation = (found[f"winogender/occupation/{s}"] for s in ("slope", "correlation"))
    assert np.sign(slope.value) == np.sign(strength)
    assert min(abs(slope.interval.low), abs(slope.interval.high)) > 0
    assert slope.interval.low * slope.interval.high > 0
    assert correlation.value * np.sign(strength) > 0.9
    assert (slope.n, len(slope.details["points"])) == (8, 8)
    assert slope.details["validity"]["agreement"]["other person named, or someone"] > 0.7


def test_a_planted_null_is_not_found(folder):
    """Every occupation pulls alike, so that the mean moves and no line rises."""
    even = {(o, "she"): 8.0 for o in SHARES}
    result = Winogender(data=str(folder), null_items=4).measure(FakeMaskedLM(associations=even), generator(0, "w"))
    found = {m.id: m for m in result.measurements}
    for group in ("occupation", "participant"):
        slope = found[f"winogender/{group}/slope"]
        assert slope.interval.low < 0 < slope.interval.high
        assert found[f"winogender/{group}/mean_gap"].interval.low > 0


def test_without_shares_only_the_mean_is_measured(folder):
    (folder / "occupations-stats.tsv").write_text(shares({o: SHARES[o] for o in list(SHARES)[:-1]}))
    found = check_probe(Winogender(data=str(folder), null_items=4), FakeMaskedLM()).measurements
    for m in found:
        if m.id.endswith("/mean_gap"):
            assert (m.status, m.n) == ("ok", 8)
            assert m.details["validity"]["null"]["n"] == 4
        else:
            assert m.status == "undefined"
            assert m.details["reason"].startswith("of 8 occupations the share of women is known of 7; expected all")
    assert len(found) == 6


def test_an_occupation_that_is_not_read_whole_is_left_out(folder):
    text = all_sentences().replace(
        "cook told the man that she", "cook told the man " + "and the man " * 20 + "that she"
    )
    (folder / "all_sentences.tsv").write_text(text)
    model = FakeCausalLM(context=30)
    found = {m.id: m for m in Winogender(data=str(folder), null_items=4).measure(model, generator(0, "w")).measurements}
    assert found["winogender/occupation/slope"].n == 8
    cut = found["winogender/participant/mean_gap"]
    assert (cut.n, cut.status) == (7, "invalid")
    assert cut.details["left_out"] == {"of": 8, "unscored": 1, "tied": 0}


def test_the_mean_of_an_occupation_is_that_of_its_sentences(folder):
    items = data.load(str(folder), "winogender").items[:4]
    assert by_occupation(items, np.array([1.0, 2.0, 4.0, 5.0])) == {"nurse": 3.0}
    assert np.isnan(by_occupation(items, np.array([1.0, np.nan, 4.0, 5.0]))["nurse"])


def test_without_data_it_says_where_they_are():
    with pytest.raises(DataError) as error:
        Winogender().measure(FakeMaskedLM(), generator(0, "w"))
    assert str(error.value) == NO_DATA
