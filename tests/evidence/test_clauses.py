"""The data: complete, checked against sources, and about measurements that exist."""

import re
import tomllib
from dataclasses import asdict
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from auditkit.errors import UnknownName
from auditkit.evidence import CAVEAT, STATUSES, aspects, framework, frameworks
from auditkit.evidence.clauses import BASES, ORDER

ROOT = Path(__file__).parents[2] / "auditkit"
CLAUSES = [clause for f in frameworks() for clause in f.clauses]
CLAIMS = re.compile(r"\bcompl(y|ies|ied|iant|iance)\b|conform", re.I)


def named(clause):
    return f"{clause.framework} {clause.id}"


@pytest.mark.parametrize("clause", CLAUSES, ids=named)
def test_every_clause_says_everything(clause):
    texts = {k: v for k, v in asdict(clause).items() if k not in ("needs", "verified_in")}
    assert all(isinstance(v, str) and v.strip() for v in texts.values()), texts
    assert clause.basis in BASES
    assert clause.verified_in.title.strip()
    assert clause.needs
    assert all(need.how.endswith(".") for need in clause.needs)
    assert any(need.any_of for need in clause.needs), "a clause that nothing can speak to has no place here"


@pytest.mark.parametrize("clause", CLAUSES, ids=named)
def test_links_are_secure_and_dates_iso(clause):
    for url in (clause.link, clause.verified_in.url, framework(clause.framework).dated_in.url):
        assert re.fullmatch(r"https://[\w.-]+\.\w+/\S*", url)
    day = clause.applies if len(clause.applies) == 10 else f"{clause.applies}-01"
    assert date.fromisoformat(day).isoformat() == day


@pytest.mark.parametrize("clause", CLAUSES, ids=named)
def test_paraphrases_are_short(clause):
    assert len(clause.paraphrase) <= 220


def test_no_clause_stands_twice():
    ids = [named(clause) for clause in CLAUSES]
    assert len(ids) == len(set(ids))


def test_the_dates_that_laws_state():
    applies = {f.id: {clause.applies for clause in f.clauses} for f in frameworks()}
    assert applies["eu_ai_act"] == {"2026-08-02"}
    assert applies["nyc_ll144"] == {"2023-07-05"}
    assert applies["gdpr"] == {"2018-05-25"}
    dates = framework("eu_ai_act").dates
    assert "As enacted" in dates
    assert "2 December 2027" in dates


@pytest.mark.parametrize(("aspect", "pattern"), [(a.id, p) for a in aspects().values() for p in a.patterns])
def test_every_pattern_matches_something_that_a_shipped_probe_measures(aspect, pattern, known):
    assert any(fnmatchcase(id, pattern) for id in known)


def test_the_known_ids_are_of_shipped_probes(known):
    sources = "\n".join(p.read_text() for folder in ("probes", "mitigation") for p in (ROOT / folder).glob("*.py"))
    shipped = set(re.findall(r'^    id: str = "(\w+)"', sources, re.M))
    assert {id.split("/")[0] for id in known} == shipped


def test_every_aspect_is_needed_by_a_clause():
    needed = {aspect.id for clause in CLAUSES for need in clause.needs for aspect in need.any_of}
    assert needed == set(aspects())


def test_attacks_are_told_from_their_controls():
    patterns = aspects()["confidentiality"].patterns
    controls = ("membership/blind_baseline/auc", "exposure/id/control_mean", "extraction/id/control_at_25pct")
    assert not [id for id in controls for p in patterns if fnmatchcase(id, p)]


def test_the_order_is_that_of_the_files():
    assert tuple(f.id for f in frameworks()) == ORDER
    for f in frameworks():
        written = tomllib.loads((ROOT / "evidence" / "frameworks" / f"{f.id}.toml").read_text())
        assert [clause.id for clause in f.clauses] == [row["id"] for row in written["clause"]]
    assert {p.stem for p in (ROOT / "evidence" / "frameworks").glob("*.toml")} == set(ORDER)


def test_no_text_of_ours_claims_that_anything_is_met():
    texts = [text for f in frameworks() for text in (f.title, f.dates, f.scope)]
    texts += [text for clause in CLAUSES for text in (clause.paraphrase, *(need.how for need in clause.needs))]
    texts += [CAVEAT, *STATUSES, *BASES.values(), *(aspect.what for aspect in aspects().values())]
    assert [text for text in texts if CLAIMS.search(text)] == []


def test_an_unknown_framework_is_refused_with_what_is_close():
    with pytest.raises(UnknownName, match="did you mean 'gdpr'"):
        framework("gdp")
