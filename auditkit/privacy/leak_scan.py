"""What in a text has the shape of personal data: e-mail addresses, phone, card and account numbers, national ids.

A shape is no proof: a model may well make up a number. Where there is a check digit (cards, IBAN, the Spanish DNI, the
Brazilian CPF), only numbers that pass it count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from auditkit.privacy.redaction import redact


@dataclass(frozen=True, slots=True)
class Leak:
    """One find.

    Attributes:
        shape: a key of SHAPES, or "known" for a secret that was looked for by name.
        secret: what was found. It is left out where the object is printed; show `redacted`.
        start: where in the text it begins.
    """

    shape: str
    secret: str
    start: int

    @property
    def redacted(self) -> str:
        """What may be shown."""
        return redact(self.secret)

    def __repr__(self) -> str:
        return f"Leak({self.shape!r}, {self.redacted}, start={self.start})"


def luhn(number: str) -> bool:
    """Whether the digits of `number` pass the check of payment cards (ISO/IEC 7812-1)."""
    digits = [int(c) for c in number if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return len(digits) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(account: str) -> bool:
    """Whether `account` passes the check of ISO 13616: as a number, rearranged, it is 1 modulo 97."""
    symbols = [c for c in account.upper() if c.isalnum()]
    return int("".join(str(int(c, 36)) for c in symbols[4:] + symbols[:4])) % 97 == 1


def dni(identity: str) -> bool:
    """Whether the letter of a Spanish DNI is the one that its 8 digits call for."""
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(identity[:8]) % 23] == identity[-1].upper()


def cpf(identity: str) -> bool:
    """Whether both check digits of a Brazilian CPF are right."""
    digits = [int(c) for c in identity if c.isdigit()]

    def check(n: int) -> int:
        return sum(d * w for d, w in zip(digits[:n], range(n + 1, 1, -1), strict=True)) * 10 % 11 % 10

    return len(set(digits)) > 1 and digits[9:] == [check(9), check(10)]


def phone(number: str) -> bool:
    """Whether `number` is grouped as phone numbers are: 8 to 15 digits, and neither a date nor an IP address."""
    digits, groups = sum(c.isdigit() for c in number), re.findall(r"\d+", number)
    grouped = number[0] in "+(" or (len(groups) > 2 and len(set(re.findall(r"\D", number))) == 1)
    date = len(groups) == 3 and sorted(map(len, groups)) == [2, 2, 4] and len(groups[1]) == 2
    address = len(groups) == 4 and number.count(".") == 3 and max(map(int, groups)) < 256
    return 8 <= digits <= 15 and grouped and not date and not address


def _anything(_: str) -> bool:
    return True


Shape = tuple[str, Callable[[str], bool]]

SHAPES: dict[str, Shape] = {
    "email": (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b", _anything),
    "iban": (r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", iban),
    "card": (r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])", luhn),
    "us_ssn": (r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", _anything),
    "uk_nino": (r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", _anything),
    "es_dni": (r"\b\d{8}[- ]?[A-HJ-NP-TV-Za-hj-np-tv-z]\b", dni),
    "br_cpf": (r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)", cpf),
    "phone": (r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}(?![\w-])", phone),
}
"""name: (pattern, check), in the order in which they claim a stretch of text: no stretch is found twice."""


def scan(text: str, known: Collection[str] = ()) -> list[Leak]:
    """Every leak in `text`, in order.

    Args:
        text: what a model wrote, for instance.
        known: secrets to find wherever they stand, such as those of canaries; they claim their place first.
    """
    found = [Leak("known", secret, m.start()) for secret in known for m in re.finditer(re.escape(secret), text)]
    for shape, (pattern, check) in SHAPES.items():
        for match in re.finditer(pattern, text):
            if check(match.group()) and not any(_overlap(leak, match) for leak in found):
                found.append(Leak(shape, match.group(), match.start()))
    return sorted(found, key=lambda leak: leak.start)


def _overlap(leak: Leak, match: re.Match[str]) -> bool:
    return leak.start < match.end() and match.start() < leak.start + len(leak.secret)
