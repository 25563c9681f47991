"""The glossary: found as whole words, written once, safe as CSS, and complete on the page."""

import re

from auditkit.measurement import Interval, Measurement
from auditkit.rendering import glossary
from auditkit.rendering.html import render


def ids(*texts):
    return [term.id for term in glossary.used_in(texts)]


def test_terms_are_found_as_whole_words_and_the_longest_wins():
    assert ids("n", "The P value (HOLM)") == ["g-n", "g-p", "g-holm"]
    assert ids("nonsense, pip and tied hands") == []
    assert ids("p value bh") == ["g-benjamini-hochberg"]
    assert ids("95\N{NARROW NO-BREAK SPACE}% interval") == ["g-interval"]


def test_no_word_stands_for_two_terms_and_none_goes_unfound():
    words = [word for term in glossary.terms() for word in term.words]
    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)
    assert [(t.id, w) for t in glossary.terms() for w in t.words if t.id not in ids(w)] == []


def test_what_a_term_says_cannot_leave_its_string():
    term = glossary.Term("g-x", "X", ("x",), 'a "b" } \\')
    assert 'content: "a \\"b\\" } \\\\"; }' in glossary.css([term])
    assert all("\n" not in t.says and "<" not in t.says for t in glossary.terms())


def test_explanations_are_short():
    assert [t.id for t in glossary.terms() if not 20 < len(t.says) < 220] == []


def test_every_term_that_a_page_links_to_is_explained_at_its_end(report):
    html = render(report)
    linked = set(re.findall(r'class="term" href="#([\w-]+)"', html))
    listed = re.findall(r'<div id="(g-[\w-]+)"><dt>', html)
    assert linked == set(listed) & linked
    assert len(listed) == len(set(listed))
    assert {"g-holm", "g-epsilon", "g-exposure", "g-canary"} <= linked
    assert html.count('.term[href="#') == len(listed)


def test_a_page_explains_only_what_it_uses(make):
    html = render(make([Measurement(id="p/g/s", value=1.0, interval=Interval(0, 2), n=3)]))
    assert "g-epsilon" not in html
    assert "g-interval" in html
