"""Card numbers: 13 to 19 digits as an issuer's range and Luhn's check digit have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, Span

_DIGITS = re.compile(r"[0-9]{13}|[0-9]{4}[ -][0-9]{4}")
#: Digits in a row, or in the groups that are on a card.
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z_.-])(?:[0-9]{13,19}"
    r"|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})"
    r"(?![0-9A-Za-z_-]|\.[0-9])"
)
#: Beginnings of issuers, and how long their numbers are: Visa, Mastercard, American Express, Discover, Diners, JCB,
#: UnionPay and Maestro.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"
    r"|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14,17}"
    r"|(?:50|5[6-8]|6[37])\d{11,17}"
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def cards(text: str) -> Iterator[Span]:
    """Yield the card numbers in a text."""
    if not _DIGITS.search(text):
        return
    for match in _NUMBER.finditer(text):
        if is_card(re.sub("[ -]", "", match[0])):
            yield *match.span(), REDACTED


def is_card(digits: str) -> bool:
    """Return whether digits are a card number."""
    return _ISSUERS.fullmatch(digits) is not None and _checksum(digits) % 10 == 0


def _checksum(digits: str) -> int:
    """Return Luhn's sum: every second digit from the right counts double."""
    reverse = [int(digit) for digit in reversed(digits)]
    return sum(reverse[::2]) + sum(_DOUBLED[digit] for digit in reverse[1::2])
