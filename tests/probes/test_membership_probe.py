"""The membership probe from texts to measurements: what it finds, what it refuses, and what it does not show."""

import json

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.models.protocols import TokenStatistics
from auditkit.privacy.records import read_records
from auditkit.probes.base import generator
from auditkit.probes.membership import Membership
from auditkit.runner import audit
from auditkit.testing import WORDS, FakeCausalLM, FakeClassifier, FakeEncoder, check_probe

ATTACKS = ["loss", "zlib", "min_k", "min_k_plus_plus"]


class Memoriser(FakeCausalLM):
    """Finds every token of a text that it has seen two nats likelier; random weights have seen nothing."""

    def __init__(self, seen=(), **options):
        super().__init__(**options)
        self.seen = frozenset(seen)

    def token_statistics(self, texts):
        return [self._statistics(text) for text in texts]

    def _statistics(self, text):
        ids = [piece[0] for piece in self._pieces(text)]
        logp = np.array([self._logprobs(ids[:i]) for i in range(len(ids))]).reshape(len(ids), -1)
        mean = (np.exp(logp) * logp).sum(1)
        std = np.sqrt((np.exp(logp) * (logp - mean[:, None]) ** 2).sum(1))
        bonus = 2.0 * (text in self.seen)
        return TokenStatistics(np.array(ids), logp[np.arange(len(ids)), ids] + bonus, mean, std)

    def randomized(self, seed):
        twin = super().randomized(seed)
        twin.seen = frozenset()
        return twin


@pytest.fixture(scope="module")
def texts():
    """240 different texts of six words from one distribution."""
    rows = np.random.default_rng(0).choice(WORDS, size=(240, 6))
    return tuple(" ".join(row) for row in rows)


def probe(texts, **options):
    return Membership(**{"members": texts[:120], "nonmembers": texts[120:], **options})


def measured(result):
    return {m.id.removeprefix("membership/"): m for m in result.measurements}


# --- what it finds ----------------------------------------------------------------------------------------------


def test_a_leak_is_found_by_every_attack_and_not_in_random_weights(texts):
    result = check_probe(probe(texts), Memoriser(seen=texts[:120]))
    found = measured(result)
    assert set(found) == {f"{a}/{m}" for a in ATTACKS for m in ("auc", "tpr_at_1pct_fpr", "tpr_at_0.1pct_fpr")} | {
        "blind_baseline/auc"
    }
    for attack in ATTACKS:
        area = found[f"{attack}/auc"]
        assert area.interval.low > 0.6, attack
        assert area.details["p_value_holm"] < 0.01
        assert abs(area.details["validity"]["null"]["mean"] - 0.5) < 0.12
        assert area.details["validity"]["weights_sha256"]
        assert area.details["minimum_detectable_effect"] == pytest.approx(0.6045, abs=1e-3)
    assert found["loss/auc"].value > 0.9
    assert found["loss/auc"].details["validity"]["agreement"]["min_k"] > 0.5
    assert found["loss/tpr_at_1pct_fpr"].value > 20
    assert found["loss/tpr_at_1pct_fpr"].unit == "%"
    assert found["loss/tpr_at_1pct_fpr"].ideal == 1


def test_nothing_is_found_where_nothing_was_seen(texts):
    found = measured(check_probe(probe(texts), Memoriser()))
    for attack in ATTACKS:
        assert 0.5 in found[f"{attack}/auc"].interval
    assert found["blind_baseline/auc"].details["beats_chance"] is False


def test_too_few_nonmembers_for_a_rate_give_no_value(texts):
    tenth = measured(probe(texts).measure(Memoriser(), generator(0, "membership")))["loss/tpr_at_0.1pct_fpr"]
    assert tenth.status == "undefined"
    assert "120 non-members cannot show an FPR of 0.10%; give at least 1000" in tenth.details["reason"]


def test_the_leaked_group_is_named(texts):
    def rows(part):
        return tuple({"text": t, "who": "odd" if i % 2 else "even"} for i, t in enumerate(part))

    options = {"members": rows(texts[:120]), "nonmembers": rows(texts[120:]), "groups": "who"}
    found = measured(check_probe(Membership(**options), Memoriser(seen=texts[:120:2])))
    assert found["loss/even/auc"].interval.low > 0.8
    assert 0.5 in found["loss/odd/auc"].interval
    assert found["loss/auc"].details["groups_p_value"] < 0.01
    assert found["loss/even/auc"].n == 120


def test_a_group_that_is_too_small_says_so(texts):
    rows = [{"text": t, "who": "few" if i % 120 < 5 else "many"} for i, t in enumerate(texts)]
    options = {"members": tuple(rows[:120]), "nonmembers": tuple(rows[120:]), "groups": "who"}
    found = measured(check_probe(Membership(**options), Memoriser()))
    assert found["loss/few/auc"].details["reason"] == "5 members and 5 nonmembers; expected at least 20 of each"


def test_a_reference_model_is_asked_too(texts, monkeypatch):
    reference = Memoriser(seed=1)
    monkeypatch.setattr("auditkit.models.load_model", lambda spec: {"other": reference}[spec])
    found = measured(check_probe(probe(texts, reference="other"), Memoriser(seen=texts[:120])))
    assert found["reference/auc"].value > 0.7
    assert found["reference/auc"].details["reference"]["weights_sha256"] == reference.describe()["weights_sha256"]


def test_a_classifier_is_attacked_by_its_loss_on_the_true_label(texts):
    rows = [{"text": t, "label": "positive" if i % 3 else "negative"} for i, t in enumerate(texts)]
    result = check_probe(Membership(members=tuple(rows[:120]), nonmembers=tuple(rows[120:])), FakeClassifier())
    assert {m.id.split("/")[1] for m in result.measurements} == {"loss", "blind_baseline"}
    assert 0.5 in measured(result)["loss/auc"].interval


# --- what makes it invalid --------------------------------------------------------------------------------------


def test_members_from_another_source_make_every_attack_invalid(texts):
    shifted = tuple(f"{t} math" for t in texts[:120])
    result = check_probe(probe(texts, members=shifted), Memoriser(seen=shifted))
    found = measured(result)
    blind = found.pop("blind_baseline/auc")
    assert (blind.status, blind.details["beats_chance"]) == ("ok", True)
    assert blind.interval.low > 0.8
    for m in found.values():
        assert m.status == "undefined"
    assert found["loss/auc"].details["reason"].startswith("invalid: without the model, the texts alone tell members")
    assert found["loss/auc"].details["invalid_value"][0] > 0.9
    assert {item.measurement for item in result.items} == {blind.id}


# --- what it shows ----------------------------------------------------------------------------------------------


def test_exposed_records_are_redacted_unless_asked_for(texts):
    model = Memoriser(seen=texts[:120])
    hidden = probe(texts).measure(model, generator(0, "membership"))
    report = json.dumps([m.to_json() for m in hidden.measurements]) + "".join(i.item for i in hidden.items)
    assert not any(text in report for text in texts)
    shown = measured(hidden)["loss/auc"].details["most_exposed"][0]["text"]
    assert shown[3:].startswith("… (")
    open_ = measured(probe(texts, redact=False).measure(model, generator(0, "membership")))
    most = open_["loss/auc"].details["most_exposed"][0]["text"]
    assert most in texts[:120]
    assert most[:3] == shown[:3]
    assert len(open_["blind_baseline/auc"].details["telltale"]["members"]) == 5


def test_item_scores_name_texts_by_hash_and_reproduce_the_values(texts):
    result = probe(texts).measure(Memoriser(seen=texts[:120]), generator(0, "membership"))
    of_auc = [i for i in result.items if i.measurement == "membership/loss/auc"]
    assert len(of_auc) == 240
    assert np.mean([i.value for i in of_auc]) == pytest.approx(measured(result)["loss/auc"].value)
    of_tpr = [i for i in result.items if i.measurement == "membership/loss/tpr_at_1pct_fpr"]
    assert {i.value for i in of_tpr} == {0.0, 100.0}
    assert {i.item for i in of_tpr} < {i.item for i in of_auc}


def test_the_same_text_again_is_left_out_and_counted(texts):
    found = measured(probe(texts, members=(*texts[:120], texts[0])).measure(Memoriser(), generator(0, "membership")))
    assert found["loss/auc"].details["duplicates_left_out"] == 1
    assert found["loss/auc"].n == 240


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": ()}, "needs members, texts that the model was trained on, and nonmembers"),
        ({"members": ("a b",) * 30}, "1 different members; expected at least 20"),
        ({"groups": "who"}, "members, line 1: no 'who'; every text needs text, who"),
        ({"members": "nowhere.txt"}, "nowhere.txt cannot be read: No such file"),
        ({"members": "texts.parquet"}, "expected a file that ends in .txt, .jsonl, .csv"),
    ],
)
def test_unusable_texts_are_refused(texts, options, message):
    with pytest.raises(DataError) as caught:
        probe(texts, **options).measure(Memoriser(), generator(0, "membership"))
    assert message in str(caught.value)


def test_a_text_on_both_sides_is_refused_whatever_its_case_and_spacing(texts):
    again = (*texts[120:], texts[7].upper().replace(" ", "  "))
    with pytest.raises(DataError, match=r"1 texts are among both members and nonmembers \(sha256 [0-9a-f]{16}"):
        probe(texts, nonmembers=again).measure(Memoriser(), generator(0, "membership"))


def test_a_classifier_needs_labels(texts):
    with pytest.raises(DataError, match="members, line 1: no 'label'; every text needs text, label"):
        probe(texts).measure(FakeClassifier(), generator(0, "membership"))


def test_options_and_references_out_of_range_are_refused(texts, monkeypatch):
    with pytest.raises(InputError, match="expected a share in"):
        probe(texts, k=0)
    model, known = Memoriser(), {"itself": Memoriser(), "encoder": FakeEncoder()}
    monkeypatch.setattr("auditkit.models.load_model", lambda spec: known[spec])
    for name, message in (("itself", "is the audited model"), ("encoder", "is another kind of model")):
        with pytest.raises(InputError, match=message):
            probe(texts, reference=name).measure(model, generator(0, "membership"))


def test_a_model_without_probabilities_is_skipped_with_the_reason(texts):
    report = audit(FakeEncoder(), [probe(texts)])
    assert report.runs[0].status == "skipped"
    assert "PredictsTokens or Classifies" in report.runs[0].reason


# --- files ------------------------------------------------------------------------------------------------------

FILES = {
    "a.txt": "\ufeffone two\n\n  three\r\n",
    "a.jsonl": '{"text": "one two", "who": "x"}\n\n"three"\n',
    "a.csv": 'text,who\n"one two",x\nthree,\n',
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_texts(tmp_path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8", newline="")
    records = read_records(str(tmp_path / name), "members")
    assert [r.text for r in records] == ["one two", "three"]
    assert [r.id for r in records] == [r.id for r in read_records(("ONE  two", {"text": "three"}), "members")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "one"}\n{"text": \n', "a.jsonl is damaged"),
        ("a.jsonl", b'{"txt": "one"}\n', "members, line 1: no 'text'"),
        ("a.csv", b"txt\none\n", "members, line 2: no 'text'"),
        ("a.csv", b'text\n"one\n', "a.csv is damaged"),
        ("a.txt", b"caf\xe9\n", "byte 0xe9 at offset 3, line 1, is not UTF-8"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_records(str(tmp_path / name), "members")
    assert message in str(caught.value)


def test_a_group_with_a_slash_would_break_the_ids():
    with pytest.raises(DataError, match="group 'a/b'; '/' separates"):
        read_records(({"text": "one", "who": "a/b"},), "members", groups="who")


@pytest.mark.parametrize(
    ("text", "shown"), [("4812", "4… (4 characters"), ("no", "… (2 characters"), ("a" * 40, "aaa… (40")]
)
def test_a_short_text_is_not_shown_whole(text, shown):
    (record,) = read_records((text,), "members")
    assert record.shown(redact=True).startswith(shown)
    assert record.shown(redact=False) == text
