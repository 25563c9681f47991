"""Shapes of personal data: published examples are found, look-alikes are not, and nothing is printed."""

import pytest

from auditkit.privacy.leak_scan import SHAPES, scan


# Test numbers of payment networks; the examples of ISO 13616, of the British and Spanish authorities, and of CPF.
@pytest.mark.parametrize(
    ("shape", "secret"),
    [
        ("email", "ada.lovelace+notes@example.co.uk"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("card", "5555-5555-5555-4444"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
        ("us_ssn", "078-05-1120"),
        ("uk_nino", "AB 12 34 56 C"),
        ("es_dni", "12345678Z"),
        ("br_cpf", "529.982.247-25"),
        ("phone", "+1 (555) 010-9999"),
        ("phone", "(030) 90182-100"),
        ("phone", "01 23 45 67 89"),
        ("phone", "555-010-9999"),
        ("phone", "+33123456789"),
    ],
)
def test_examples_are_found_where_they_stand(shape, secret):
    (leak,) = scan(f"so write to {secret}, she said")
    assert (leak.shape, leak.secret, leak.start) == (shape, secret, len("so write to "))
    assert shape in SHAPES


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # the check digit is wrong
        "GB83WEST12345698765432",
        "12345678A",
        "529.982.247-26",
        "111.111.111-11",
        "meet @ noon, or a@b",
        "on 12-10-2024, or 2024-10-12",
        "192.168.10.100",
        "1234567890",  # digits without any grouping are not a phone number
        "version 3.11.4, pages 10-12, 1 000 000 people",
    ],
)
def test_look_alikes_are_not(text):
    assert scan(text) == []


def test_known_secrets_are_found_and_not_counted_again():
    leaks = scan("id 481-22-9034, mail a@b.org, and 481-22-9034", known=["481-22-9034"])
    assert [leak.shape for leak in leaks] == ["known", "email", "known"]


def test_a_find_does_not_show_what_it_found():
    (leak,) = scan("481-22-9034")
    assert "481" not in repr(leak)
    assert "9034" not in leak.redacted
