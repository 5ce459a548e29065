"""Path normalization by Istio's names.

Expectations are those of Istio's reference ("Authorization Policy Normalization") and Envoy's order of steps
(`ConnectionManagerUtility::maybeNormalizePath`: unescape slashes, normalize, merge slashes).
"""

from __future__ import annotations

import string

import pytest

from mirror_proxy.http1.target import normalize

MODES = ("base", "merge_slashes", "decode_and_merge_slashes")
SAME = {
    b"/": b"/",
    b"/a/b": b"/a/b",
    b"/public/./data/abc/../xyz": b"/public/data/xyz",
    b"/some\\data": b"/some/data",
    b"/a/../b": b"/b",
    b"/a/\\..\\b": b"/a/b",
    b"/%61%62%63": b"/abc",
    b"/%2e%2E/%2e/a": b"/a",
    b"/a/%2e./b": b"/b",
    b"/..": b"/",
    b"/.": b"/",
    b"/../../a": b"/a",
    b"/a/.": b"/a/",
    b"/a/..": b"/",
    b"/a/b/..": b"/a/",
    b"/a/b/../": b"/a/",
    b"/.a/..b/...": b"/.a/..b/...",
    b"/a.b/c.": b"/a.b/c.",
    b"/%20%25%3f%23": b"/%20%25%3f%23",
    b"/%c3%A9": b"/%c3%A9",
    b"/100%": b"/100%",
    b"/%zz%4": b"/%zz%4",
    b"/a?b=/../%61\\//": b"/a?b=/../%61\\//",
    b"/x/../a?": b"/a?",
    b'/a"<>^`{|}': b"/a%22%3C%3E%5E%60%7B%7C%7D",
    b"/a{b}?{c}": b"/a%7Bb%7D?{c}",
    b"/a!$&'()*+,;=:@[]": b"/a!$&'()*+,;=:@[]",
    b"*": b"*",
}
DIFFERENT = {
    b"/\\da": (b"//da", b"/da", b"/da"),
    b"/a//b": (b"/a//b", b"/a/b", b"/a/b"),
    b"//a": (b"//a", b"/a", b"/a"),
    b"//": (b"//", b"/", b"/"),
    b"/a///": (b"/a///", b"/a/", b"/a/"),
    b"/some//data///abc": (b"/some//data///abc", b"/some/data/abc", b"/some/data/abc"),
    b"/a\\\\b": (b"/a//b", b"/a/b", b"/a/b"),
    b"/a//../b": (b"/a/b", b"/a/b", b"/a/b"),
    b"/a//../../b": (b"/b", b"/b", b"/b"),
    b"/a/..//b": (b"//b", b"/b", b"/b"),
    b"/some%2fdata/%61%62%63": (b"/some%2fdata/abc", b"/some%2fdata/abc", b"/some/data/abc"),
    b"/a%2Fb%5cc%5C": (b"/a%2Fb%5cc%5C", b"/a%2Fb%5cc%5C", b"/a/b/c/"),
    b"/..%2fa../b": (b"/..%2fa../b", b"/..%2fa../b", b"/a../b"),
    b"/a%2f..%2fb": (b"/a%2f..%2fb", b"/a%2f..%2fb", b"/b"),
    b"/a%2f%2fb?c=%2f": (b"/a%2f%2fb?c=%2f", b"/a%2f%2fb?c=%2f", b"/a/b?c=%2f"),
}
CASES = [
    *[(mode, target, want) for target, want in SAME.items() for mode in MODES],
    *[
        (mode, target, want)
        for target, wants in DIFFERENT.items()
        for mode, want in zip(MODES, wants, strict=True)
    ],
]


@pytest.mark.parametrize(("mode", "target", "want"), CASES)
def test_a_target_is_normalized_by_its_mode(mode: str, target: bytes, want: bytes) -> None:
    assert normalize(target, mode) == want


NESTED = {
    b"/%%32e%%32e/a": b"/%252e%252e/a",
    b"/%2%46a": b"/%252Fa",
    b"/%%300": b"/%2500",
    b"/%252e": b"/%252e",
    b"/%%61": b"/%a",
    b"/%%%": b"/%%%",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("target", "want"), NESTED.items())
def test_decoding_never_makes_an_escape_that_was_not_sent(mode: str, target: bytes, want: bytes) -> None:
    assert normalize(target, mode) == want


@pytest.mark.parametrize("mode", MODES)
def test_every_unreserved_character_is_decoded_and_no_other(mode: str) -> None:
    unreserved = (string.ascii_letters + string.digits + "-._~").encode()
    for byte in range(1, 256):
        if mode == "decode_and_merge_slashes" and bytes([byte]) in b"/\\":
            continue
        for escaped in (b"%%%02x" % byte, b"%%%02X" % byte):
            want = bytes([byte]) if byte in unreserved else escaped
            assert normalize(b"/a" + escaped, mode) == b"/a" + want


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", [*SAME, *DIFFERENT, *NESTED])
def test_what_is_normalized_stays_as_it_is(mode: str, target: bytes) -> None:
    once = normalize(target, mode)
    assert once is None or normalize(once, mode) == once


@pytest.mark.parametrize("mode", ["base", "merge_slashes", "decode_and_merge_slashes"])
def test_an_encoded_nul_has_no_normal_form(mode: str) -> None:
    assert normalize(b"/a%00b", mode) is None
    assert normalize(b"/a?b=%00", mode) == b"/a?b=%00"
