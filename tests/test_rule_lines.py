"""Where the rules stand in their file."""

import pytest

from auditkit.gate import Rule
from auditkit.rule_lines import rule_lines, shown_path

TEXT = """\
model: m
gate:   # the limits
  - {measurement: a, max: 1}

  - measurement: b
    min: 2
    reason: |
      two
      lines
  - {measurement: a, max: 1}
"""


def test_each_rule_has_the_line_on_which_it_begins(tmp_path):
    (tmp_path / "audit.yaml").write_text(TEXT)
    assert rule_lines(tmp_path / "audit.yaml") == {
        Rule(measurement="a", max=1): 3,
        Rule(measurement="b", min=2, reason="two\nlines\n"): 5,
    }


@pytest.mark.parametrize("text", ["", "[", "gate: 3", "gate: [1]", "a: 1", "- x", "gate: [{measurement: a}]"])
def test_what_cannot_be_read_has_no_line(tmp_path, text):
    (tmp_path / "audit.yaml").write_text(text)
    assert rule_lines(tmp_path / "audit.yaml") == {}
    assert rule_lines(tmp_path / "missing.yaml") == {}


def test_a_path_is_shown_as_the_repository_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "sub" / "audit.yaml") == "sub/audit.yaml"
    assert shown_path(tmp_path.parent / "audit.yaml") == (tmp_path.parent / "audit.yaml").as_posix()
