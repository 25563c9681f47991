"""Published figures from the real scores of BERT-base-uncased and RoBERTa-large on CrowS-Pairs."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest, t

from auditkit import stats
from auditkit.wild_bootstrap import WildClusterTest

pytestmark = pytest.mark.data


def read(path: Path, delimiter: str = ",", encoding: str = "latin-1") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.fixture(scope="module")
def bert(published) -> list[dict[str, str]]:
    return read(published("crows_pairs_model_scores", "results_bert.csv"), delimiter=";")


@pytest.fixture(scope="module")
def roberta(published) -> list[dict[str, str]]:
    return read(published("crows_pairs_model_scores", "results_roberta.csv"))


def prefers_more(rows: list[dict[str, str]]) -> np.ndarray:
    """1 where the more stereotyping sentence is the likelier one, from the two sentence scores."""
    return np.array([float(float(r["sent_more_score"]) > float(r["sent_less_score"])) for r in rows])


@pytest.fixture(scope="module")
def by_writer(published, bert) -> tuple[np.ndarray, list[str]]:
    """BERT's preferences (in %) and the writers of the 1,312 pairs whose text is the published one to the letter."""
    pairs = read(published("crows_pairs", "crows_pairs_anonymized.csv"), encoding="utf-8")
    writer = {(p["sent_more"], p["sent_less"]): p["anon_writer"] for p in pairs}
    known = [(r["sent_more"], r["sent_less"]) in writer for r in bert]
    writers = [writer[r["sent_more"], r["sent_less"]] for r, k in zip(bert, known, strict=True) if k]
    return 100 * prefers_more(bert)[known], writers


def test_scores_of_both_models(bert, roberta):
    assert len(bert) == len(roberta) == 1463
    assert 100 * prefers_more(bert).mean() == pytest.approx(61.45, abs=0.005)
    assert 100 * prefers_more(roberta).mean() == pytest.approx(65.14, abs=0.005)
    assert [r["sent_more"] for r in bert] == [r["sent_more"] for r in roberta]


def test_pairing_tells_the_models_apart_where_their_intervals_overlap(bert, roberta):
    a, b = prefers_more(bert), prefers_more(roberta)
    alone = [stats.wilson(int(v.sum()), len(v)) for v in (a, b)]
    assert alone[0].high > alone[1].low
    assert stats.mcnemar(a, b) == pytest.approx((253, 307, 0.0250), abs=5e-5)
    paired = stats.paired_bootstrap(100 * a, 100 * b, rng=np.random.default_rng(0))
    assert (paired.low, paired.high) == pytest.approx((0.55, 6.84), abs=0.1)


def test_clustering_by_writer_widens_the_interval(by_writer):
    """Half-widths: 2.65 points naively; 3.47 with a clustered standard error; 3.8 with the wild bootstrap-t.

    A few writers wrote most of the pairs. With these very cluster sizes the clustered standard error covers 94 % in
    simulations, the percentile bootstrap less, and the wild bootstrap-t 95 %: that is what the extra width buys.
    """
    preferences, writers = by_writer
    assert len(set(writers)) == 70
    independent = stats.bootstrap(preferences, rng=np.random.default_rng(0))
    clustered = stats.cluster_bootstrap(preferences, writers, rng=np.random.default_rng(0), bounds=(0, 100))
    group = np.unique(writers, return_inverse=True)[1]
    error = WildClusterTest(preferences, None, group, rng=np.random.default_rng(0), resamples=1).error
    assert (independent.high - independent.low) / 2 == pytest.approx(2.65, abs=0.03)
    assert t.ppf(0.975, 69) * error * np.sqrt(70 / 69) == pytest.approx(3.47, abs=0.05)
    assert (clustered.high - clustered.low) / 2 == pytest.approx(3.8, abs=0.1)


def test_seven_of_nine_categories_before_correction_and_five_after(bert):
    categories = defaultdict(list)
    for row, preference in zip(bert, prefers_more(bert), strict=True):
        categories[row["bias_type"]].append(preference)
    p = [binomtest(int(sum(v)), len(v)).pvalue for v in categories.values()]
    assert len(p) == 9
    assert sum(value < 0.05 for value in p) == 7
    assert (stats.holm(p) < 0.05).sum() == 5
    assert (stats.benjamini_hochberg(p) < 0.05).sum() == 6
