"""A secret is told from others by its mark, and never shown."""

import pytest

from auditkit.privacy.redaction import redact


@pytest.mark.parametrize(
    ("length", "shown"),
    [(0, "0-4"), (4, "0-4"), (5, "5-8"), (8, "5-8"), (9, "9-16"), (33, "33-64"), (65, "more than 64")],
)
def test_the_length_is_only_shown_as_a_class(length, shown):
    assert redact("x" * length).startswith(f"[{shown} characters, ")


def test_the_mark_is_the_beginning_of_the_published_sha256():
    # sha256("abc"), FIPS 180-2, appendix B.1
    assert redact("abc") == "[0-4 characters, sha256 ba78...]"


def test_nothing_of_the_secret_is_left():
    secrets = [f"secret-{i:04}" for i in range(500)]
    shown = {redact(secret) for secret in secrets}
    assert not any(secret in redact(secret) or "secret" in redact(secret) for secret in secrets)
    assert len(shown) > 490  # 500 of 65,536 marks: about 2 collisions expected
