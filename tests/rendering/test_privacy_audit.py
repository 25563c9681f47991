"""The page says what attacks on the training data found, what they could have found, and what must not be believed."""

import re

import pandas as pd
import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.html import render
from auditkit.rendering.sections import sections

NARROW = "\u202f"


def attack(measurements, make, **options):
    (section,) = sections(make(measurements, **options))
    assert section.figures == []
    assert section.extremes == []
    return section.attack


def said(found):
    """Every claim as one line of plain text."""
    return [f"{claim.lead} {claim.text}".replace(NARROW, " ") for claim in found.claims]


def finding(found, end):
    """The finding whose id ends so; None where there is none."""
    return next((f for f in found.findings if f.id.endswith(end)), None)


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("<main")[1]).replace(NARROW, " ").split())


def number(id, value, half=None, *, n=100, unit="", ideal=None, status="ok", **details):
    interval = None if half is None or value is None else Interval(value - half, value + half)
    status = status if value is not None else ("undefined" if status == "ok" else status)
    return Measurement(
        id=id, value=value, interval=interval, n=n, unit=unit, ideal=ideal, status=status, details=details
    )


# --- membership -------------------------------------------------------------------------------------------------

ROC = {"fpr": [0.01, 0.1, 1.0], "tpr": [0.02, 0.3, 1.0]}
SIZES = {"members": 300, "nonmembers": 280, "minimum_detectable_effect": 0.566, "comparisons": 2}


def blind(value=0.49, beats=False):
    return number("membership/blind_baseline/auc", value, 0.03, ideal=0.5, beats_chance=beats)


def auc(value, p=0.001, *, name="loss", group="", **details):
    at = f"membership/{name}{f'/{group}' if group else ''}/auc"
    return number(at, value, 0.04, ideal=0.5, **({"roc": ROC} if not group else {}), **SIZES, p_value_holm=p, **details)


def tpr(value, half, fpr="1", *, name="loss", **details):
    return number(f"membership/{name}/tpr_at_{fpr}pct_fpr", value, half, unit="%", ideal=1.0, **details)


def test_the_blind_baseline_comes_first_in_words_and_in_the_table(make):
    found = attack([auc(0.6), blind()], make)
    assert found.warnings == []
    assert said(found)[0].startswith("Valid, as far as the blind baseline can tell.")
    assert "AUC 0.490 (0.460 to 0.520), where guessing is 0.5. A difference up to an AUC of 0.520" in said(found)[0]
    assert [row[0] for row in finding(found, "attacks").grid.rows] == ["blind baseline (no model)", "loss"]


def test_where_the_blind_baseline_beats_chance_nothing_is_drawn_and_no_number_is_said(make):
    withheld = {
        "reason": "invalid: the texts differ",
        "invalid_value": [0.777, 0.7, 0.8],
        "most_exposed": [{"text": "Dea"}],
    }
    broken = number("membership/loss/auc", None, ideal=0.5, roc=ROC, **SIZES, **withheld)
    found = attack([broken, blind(0.8, beats=True)], make)
    (warning,) = found.warnings
    assert warning.startswith("Not valid. Without asking the model at all")
    assert found.claims == []
    assert [f.id.rpartition("-")[2] for f in found.findings] == ["attacks"]
    assert finding(found, "attacks").grid.rows[1][:2] == ["loss", "invalid"]
    text = text_of(render(make([broken, blind(0.8, beats=True)])))
    assert "0.777" not in text
    assert "Dea" not in text


def test_without_a_blind_baseline_validity_is_unknown(make):
    assert attack([auc(0.6)], make).warnings[0].startswith("Validity unknown")


@pytest.mark.parametrize(
    ("area", "p", "lead"),
    [
        (
            0.62,
            0.001,
            "A leak. loss tells training texts from unseen ones with an AUC of 0.620 (0.580 to 0.660); p = 0.001",
        ),
        (0.62, 0.2, "No leak on average is shown. loss has an AUC of 0.620"),
        (0.40, 0.001, "No leak on average is shown. loss has an AUC of 0.400"),  # worse than guessing finds nothing
    ],
)
def test_a_leak_is_claimed_only_where_it_is_shown(make, area, p, lead):
    assert said(attack([auc(area, p), blind()], make))[1].startswith(lead)


@pytest.mark.parametrize(
    ("half", "lead"), [(1.0, "Single texts are exposed."), (3.0, "That single texts are exposed is not shown.")]
)
def test_single_texts_are_exposed_only_where_the_whole_interval_lies_above_guessing(make, half, lead):
    (claim,) = [c for c in said(attack([auc(0.5), blind(), tpr(3.0, half)], make)) if "single texts" in c.lower()]
    assert claim.startswith(lead)
    assert "While 1 % of the other texts are accused wrongly, loss finds 3.00 %" in claim


def test_the_strongest_attack_is_named_and_drawn_first(make):
    found = attack([auc(0.55), auc(0.7, name="min_k_plus_plus"), blind()], make)
    assert "The strongest of 2 attacks, Min-K%++, tells" in said(found)[1]
    assert finding(found, "roc").legend[:2] == [("line-0", "Min-K%++"), ("line-1", "loss")]
    assert finding(found, "roc").grid.rows == [["1.00", "2.00", "2.00"], ["10.00", "30.00", "30.00"], ["100.00"] * 3]


def test_what_could_have_been_found_is_said(make):
    missing = tpr(None, None, "0.1", reason="n is too small", minimum_detectable_effect=None)
    found = attack(
        [auc(0.5, attack_budget="one pass"), tpr(2.0, 1.9, minimum_detectable_effect=4.4), missing, blind()], make
    )
    power = said(found)[-1]
    assert "With 300 training texts and 280 others, 4 of 5 such audits find an AUC of 0.566" in power
    assert "At 1 % FPR a TPR from 4.40 % on can be shown to lie above guessing." in power
    assert "At 0.1 % FPR no TPR, however large, can be shown" in power
    assert power.endswith("Attack budget: one pass. Finding no leak is no proof of privacy.")
    assert finding(found, "attacks").note == "Undefined: n is too small."


def grouped(p):
    small = number("membership/loss/few/auc", None, ideal=0.5, reason="5 members and 5 nonmembers")
    others = [auc(0.7, group="a/b"), auc(0.51, group="odd_ones"), small, auc(0.55, name="zlib")]
    return [auc(0.6, groups_p_value=p), *others, blind()]


@pytest.mark.parametrize(
    ("p", "lead"), [(0.02, "Groups are not leaked alike."), (0.03, "That one group leaks more is not shown.")]
)
def test_groups_are_compared_at_a_level_that_pays_for_the_number_of_attacks(make, p, lead):
    found = attack(grouped(p), make)
    (claim,) = [c for c in said(found) if "group" in c.lower()]
    assert claim.startswith(lead)
    assert "most exposed is “a/b” with an AUC of 0.700 (0.660 to 0.740), least “odd ones”" in claim
    assert claim.endswith(f"p = {2 * p:.3f} after correction for 2 attacks.")


def test_a_group_that_is_too_small_is_named_but_not_drawn(make):
    found = finding(attack(grouped(0.02), make), "groups")
    assert [row[0] for row in found.grid.rows] == ["a/b", "odd ones", "few"]
    assert found.note.endswith("Not judged: few: 5 members and 5 nonmembers.")
    assert ">few<" not in found.svg


def test_the_texts_that_most_attacks_agree_on_come_first_and_are_shown_as_the_probe_gave_them(make):
    a, b = ({"text": f"{start}… (52 characters, sha256 be46)", "group": "", "score": 1.0} for start in ("Dea", "Hel"))
    found = attack([auc(0.6, most_exposed=[a, b]), auc(0.55, name="zlib", most_exposed=[b]), blind()], make)
    records = finding(found, "records")
    assert records.sensitive
    assert [row[0][:3] for row in records.grid.rows] == ["Hel", "Dea"]
    assert records.grid.rows[0][1:] == ["—", "loss, loss over zlib size"]


# --- exposure ---------------------------------------------------------------------------------------------------


def canaries(metric, value, half=0.5, *, ideal=1.44, n=20, **details):
    return number(
        f"exposure/pin/{metric}",
        value,
        half,
        n=n,
        unit="bits",
        ideal=ideal,
        largest_possible=16.61,
        repetitions=[8],
        **details,
    )


def test_memorised_canaries_are_compared_with_those_left_out(make):
    found = attack([canaries("mean", 8.0, p_value_holm=1e-4, comparisons=2), canaries("control_mean", 1.4)], make)
    (claim,) = said(found)
    assert claim.startswith(
        "Canaries “pin”: memorised. Those that were inserted (8 times each) are exposed by 8.00 bits"
    )
    assert "those left out by 1.40 bits (0.90 to 1.90); p = 1.0e-04 after correction for 2 comparisons." in claim
    assert found.warnings == []


@pytest.mark.parametrize(("half", "lead"), [(1.0, "less exposed here"), (5.0, "no difference is shown")])
def test_exposure_before_and_after_is_said_with_its_interval(make, half, lead):
    change = canaries("change", -4.0, half, before=5.5, now=1.5, model_before="<b>plain</b>")
    found = " ".join(said(attack([canaries("mean", 1.5), change], make)))
    assert f"before and after: {lead}" in found
    assert "5.50 bits in the earlier report, of “<b>plain</b>”, and by 1.50 bits here" in found


def test_where_nothing_is_shown_the_numbers_of_canaries_are_named(make):
    (claim,) = said(attack([canaries("mean", 2.0, p_value_holm=0.3), canaries("control_mean", 1.4, n=17)], make))
    assert "no memorisation is shown" in claim
    assert "With 20 and 17 canaries, a difference smaller than these intervals are wide may go unnoticed." in claim


def test_canaries_that_can_be_read_off_are_counted(make):
    first = number("exposure/pin/rank_one", 15.0, 5.0, n=20, unit="%", ideal=0.0)
    most = number("exposure/pin/max", 16.61, 0.0, n=20, unit="bits")
    claims = said(attack([canaries("mean", 8.0), first, most], make))
    assert claims[-1] == (
        "Canaries “pin”: can be read off the model. 3 of 20 inserted canaries are preferred to every other candidate."
    )
    assert not any("most exposed one" in claim for claim in claims)


def test_a_control_that_is_not_where_chance_is_and_a_fit_that_does_not_fit_are_said(make):
    found = attack([canaries("mean", 8.0, fit_p_value=0.01), canaries("control_mean", 3.0)], make)
    assert "does not fit the candidates (p = 0.010)" in found.warnings[0]
    assert any("the control is off" in claim and "3.00 bits (2.50 to 3.50)" in claim for claim in said(found))


def test_the_spread_is_drawn_from_the_item_scores_and_only_from_the_right_ones(make):
    rows = [
        ("exposure/pin/mean", "a", 8.2),
        ("exposure/pin/mean", "b", 8.4),
        ("exposure/pin/control_mean", "c", 0.5),
        ("other/x", "d", 3.0),
    ]
    items = pd.DataFrame(rows, columns=["measurement", "item", "value"])
    found = attack([canaries("mean", 8.3), canaries("control_mean", 0.5)], make, items=items)
    assert finding(found, "spread-0").grid.rows == [["0 to 1", "0", "1"], ["8 to 9", "2", "0"]]
    bare = finding(attack([canaries("mean", 8.3), canaries("control_mean", 0.5)], make), "spread-0")
    assert bare.grid is None
    assert "not beside this report" in bare.note


# --- extraction -------------------------------------------------------------------------------------------------


def share(group, metric, value, half=1.0, *, n=200, **details):
    return number(f"extraction/{group}/{metric}", value, half, n=n, unit="%", ideal=0.0, **details)


def test_extraction_is_claimed_at_the_length_that_shows_most_of_it(make):
    found = attack(
        [
            share("texts", "completed_at_8_tokens", 3.0, p_value_holm=0.01),
            share("texts", "control_at_8_tokens", 1.0),
            share("texts", "completed_at_32_tokens", 9.0, p_value_holm=0.001),
            share("texts", "control_at_32_tokens", 1.5),
            share("texts", "completed_at_64_tokens", 12.0, p_value_holm=0.2),
        ],
        make,
    )
    (claim,) = said(found)
    assert claim.startswith(
        "Training texts: extracted. Known: 32 tokens. Then 9.00 % (8.00 to 10.00) of 200 are continued"
    )
    assert "of the control 1.50 % (0.500 to 2.500)" in claim or "of the control 1.50 % (0.50 to 2.50)" in claim
    assert [row[0] for row in finding(found, "prefix-0").grid.rows] == ["8 tokens", "32 tokens", "64 tokens"]


def test_no_extraction_says_how_much_may_still_be_extractable(make):
    (claim,) = said(
        attack([share("pin", "completed_at_0pct", 1.0, p_value_holm=0.5), share("pin", "control_at_0pct", 1.0)], make)
    )
    assert claim.startswith("Canaries “pin”: no extraction beyond the control is shown. Known: context only.")
    assert claim.endswith("Up to 2.00 % of such items may still be extractable.")


def test_what_the_model_writes_stands_beside_random_weights(make):
    found = attack(
        [share("generations", "personal_data", 25.0, n=16, random_weights=6.25, by_shape={"email": 4})], make
    )
    assert said(found) == [
        "Unasked, personal data: after 4 of 16 prompts, 25.00 % (24.00 to 26.00), the model writes something in the "
        "shape of personal data; with random weights after 6.25 %."
    ]
    assert finding(found, "written").grid.rows[0][3:] == [f"6.25{NARROW}%", "email: 4"]


def test_extracted_texts_are_shown_as_the_probe_gave_them_and_once(make):
    rows = [{"a": "[9-16 characters, sha256 85a7...]", "b": "", "score": 100.0, "group": "t1"}]
    measured = [share("texts", f"completed_at_{k}_tokens", 5.0, extremes=rows) for k in (8, 16)]
    texts = finding(attack(measured, make), "texts")
    assert texts.sensitive
    assert texts.grid.rows == [["[9-16 characters, sha256 85a7...]", "t1"]]


# --- epsilon ----------------------------------------------------------------------------------------------------

AUDIT = {"budget": "1000 canaries and 200 guesses", "delta": 1e-5, "level": 0.95, "kind": "white_box"}


def audit(claimed=8.0, bound=1.9, ceiling=9.0, name="", **details):
    at = f"privacy/{name}/" if name else "privacy/"
    reason = {"reason": "it ran without noise"}
    measured = [
        number(f"{at}epsilon_claimed", claimed, 0.0, n=4000, **(reason if claimed is None else {})),
        number(f"{at}epsilon_lower_bound", bound, 0.0, n=1000, **{**AUDIT, **details}),
        number(f"{at}epsilon_ceiling", ceiling, 0.0, n=1000),
        number(f"{at}share_of_ceiling", 100 * bound / ceiling, 0.0, n=1000, unit="%"),
    ]
    return [*measured, *([] if claimed is None else [number(f"{at}epsilon_excess", bound - claimed, 0.0, n=1000)])]


def test_a_small_bound_is_never_read_as_privacy(make):
    found = attack(audit(guesses={"about": 1000, "made": 200, "right": 131}), make)
    first, last = said(found)
    assert first == (
        "With 95 % confidence, epsilon is at least 1.90. 8.00 is claimed, which this does not contradict. Of 200 "
        "guesses 131 were right. With 1000 canaries and 200 guesses, the audit could at most have shown 9.00; it "
        "reached 21.11 % of that."
    )
    assert last.startswith("A small lower bound is no proof of privacy.")
    assert found.warnings == []


def test_a_bound_above_the_claim_refutes_it(make):
    found = attack(audit(claimed=1.5, bound=1.9), make)
    assert found.warnings[0].startswith("The claim is refuted.")
    assert "which this refutes" in said(found)[0]
    equal = attack(audit(claimed=1.9, bound=1.9), make)
    assert equal.warnings == []


def test_an_audit_that_could_not_have_refuted_the_claim_says_so(make):
    assert attack(audit(ceiling=5.8), make).warnings == [
        "This audit could not have refuted the claim. Even a perfect attacker would have shown no more than 5.80, and "
        "8.00 is claimed; it takes more canaries, or more guesses."
    ]


def test_a_bound_on_other_weights_is_a_warning(make):
    assert "did not give the model of this report" in attack(audit(same_weights_as_audited=False), make).warnings[0]
    assert attack(audit(same_weights_as_audited=True), make).warnings == []


def test_without_a_claim_there_is_still_a_bound(make):
    found = attack(audit(claimed=None), make)
    assert "Nothing is claimed that it could be compared with." in said(found)[0]
    assert [row[1] for row in finding(found, "epsilon").grid.rows[:2]] == ["—", "1.90"]


def test_several_audits_are_told_apart(make):
    found = attack([*audit(name="steps"), *audit(bound=0.4, name="model")], make)
    assert [claim.lead.partition(":")[0] for claim in found.claims[:2]] == ["steps", "model"]
    grid = finding(found, "epsilon").grid
    assert grid.header == ("", "steps", "model")
    assert {row[0]: row[1:] for row in grid.rows} == {
        "Claimed: epsilon is at most": ["8.00", "8.00"],
        "Audited: epsilon is at least": ["1.90", "0.400"],
        "with a confidence of": [f"95{NARROW}%"] * 2,
        "Ceiling: at most this audit could have shown": ["9.00", "9.00"],
        "Share of the ceiling": [f"21.11{NARROW}%", f"4.44{NARROW}%"],
        "Bound minus claim; above 0 the claim is refuted": ["−6.10", "−7.60"],  # noqa: RUF001
        "Lower bound if the noise is Gaussian, as it should be": ["—", "—"],
        "Delta": ["1e-05", "1e-05"],
        "Canaries": ["1,000", "1,000"],
        "The auditor sees": ["every step", "every step"],
    }


def test_a_bound_without_a_value_is_a_warning_and_no_claim(make):
    found = attack([number("privacy/epsilon_lower_bound", None, reason="no canaries")], make)
    assert found.warnings == ["No lower bound: no canaries"]
    assert len(found.claims) == 1
    assert finding(found, "epsilon").svg == ""


# --- the page ---------------------------------------------------------------------------------------------------


def test_the_gate_stands_in_the_tables_of_the_section(make):
    rules = [{"measurement": "*/tpr_at_1pct_fpr", "max": 1}, {"measurement": "privacy/epsilon_excess", "max": 0}]
    report = make([auc(0.6), tpr(4.0, 1.0), blind(), *audit(claimed=1.5, bound=1.9)], rules=rules)
    members, epsilon = (section.attack for section in sections(report))
    grid = finding(members, "attacks").grid
    assert (grid.header[-1], [row[-1] for row in grid.rows]) == ("Verdict", ["—", "FAIL"])
    assert finding(epsilon, "epsilon").grid.rows[-1] == ["The gate's verdict", "FAIL"]
    table = render(report).split("<h4>Every attack on all texts</h4>")[1].split("</table>")[0]
    assert table.count('class="badge fail"') == 1


def test_only_attacks_get_such_a_section_and_all_their_measurements_are_listed(sample):
    report = sample["sample_report"](items=True)
    found = {section.probe: section for section in sections(report)}
    attacks = {probe for probe, section in found.items() if section.attack}
    assert attacks == {"privacy", "membership", "exposure", "extraction"}
    for probe in attacks:
        assert len(found[probe].other.rows) == sum(m.probe == probe for m in report.measurements)


def test_what_an_attack_found_is_text_however_hostile(hostile, sample):
    html = render(hostile)
    assert sample["HOSTILE"] not in html
    assert "letters&lt;script&gt;" in html
    assert "canaries and 200 guesses&lt;script&gt;" in html


ODD = [
    [auc(0.6, most_exposed=[1, {"group": []}], groups_p_value="low", attack_budget=7), blind()],
    [number("membership/loss/auc", 0.6, roc={"fpr": [0.5, 0.1], "tpr": [1, 1]}), tpr(1.0, 0.5, "x")],
    [number("membership/loss/auc", 0.6, 0.1, roc={"fpr": ["a"], "tpr": None}), blind()],
    [number("membership/auc", 0.6, 0.1, roc=5), number("membership/loss/auc", 0.6, 0.1, roc=5)],
    [canaries("mean", 8.0, extremes=[{"a": 5}], attack_budget=3), number("exposure/pin/max", None, reason="none")],
    [number("exposure/pin/mean", 8.0, 1.0, largest_possible=0.0, repetitions="often", fit_p_value="?")],
    [share("texts", "completed_at_many", None, reason="none"), share("texts", "control_at_8_tokens", 1.0)],
    [share("texts", "completed_at_", 1.0), share("texts", "completed_at_1.2.3_tokens", 1.0)],
    [share("generations", "personal_data", 1.0, random_weights="none", by_shape=[])],
    audit(kind=5, guesses=[1], gaussian_lower_bound="x", delta_="y", same_weights_as_audited="?"),
    [number("privacy/epsilon_lower_bound", 0.0)],
]  # fmt: skip


@pytest.mark.parametrize("measured", ODD)
def test_odd_details_do_not_cost_the_page(make, measured):
    assert len(text_of(render(make(measured)))) > 500
