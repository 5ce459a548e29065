"""Names that are ids, addresses or tokens, and names that are words."""

from __future__ import annotations

import random
import string
import uuid

import pytest

from mirror_proxy.comparison.redaction.identifier import is_identifier

WORDS = """
    id name userName getUserByIdAndName3 sha256HashOfUserV2Value x-amz-meta-sha256-v4 iso-8859-1 windows-1252 2024 404
    content-security-policy-report-only is_2fa_enabled_for_user en-US application/json v1.2.3 2024-01-31 build_20240131
    http://schema.org/Product org.springframework.boot.SpringApplication total_amount_2023_q4 x86_64-linux-gnu
    camelCaseNameWithManyWordsInIt ipv4_address us-east-1 size-1024x768 base64 utf8mb4_unicode_ci p95_latency_per_minute
    UPPER_CASE_CONSTANT XMLHttpRequest internationalization error_code_10060 HTTPSConnectionPool windowsServer2019
    get_v1_users_id_orders image_1024x768 rfc3339timestamp deadbeef cafe @type $ref #text
"""


@pytest.mark.parametrize(
    "name",
    [
        "10234",
        "3f2b9c1d4e5f6071",
        "0b9e6a7e-2f0c-4d3f-9b6e-1f1f0e8d7c6b",
        "507f1f77bcf86cd799439011",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "user-12345",
        "cus_9s6XKzkNRiz8i3",
        "urn:uuid:0b9e6a7e-2f0c-4d3f-9b6e-1f1f0e8d7c6b",
        "bob@example.org",
        "dGhpcyBpcyBhIHRva2VuIQ==",
        "x" * 9 + "-" + "k3J9x0A8s7D6f5G4" * 100,
    ],
)
def test_ids_addresses_and_tokens_are_identifiers(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", [*WORDS.split(), "", "first name", "x" * 10_000])
def test_words_are_no_identifiers(name: str) -> None:
    assert not is_identifier(name)


def test_nearly_all_random_tokens_of_32_characters_are_identifiers() -> None:
    chance = random.Random(13)
    tokens = ["".join(chance.choices(string.ascii_letters + string.digits, k=32)) for _ in range(500)]
    assert sum(map(is_identifier, tokens)) >= 485
    assert all(is_identifier(str(uuid.UUID(int=chance.getrandbits(128)))) for _ in range(500))
