"""Redaction: what bears a secret's name is hidden wherever it stands, and what does not stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.redaction import (
    clean_body,
    clean_field,
    clean_text,
)
from mirror_proxy.comparison.diff.rules import CompareRules
from mirror_proxy.config.model import Compare, FieldRule

PLAIN = CompareRules(Compare(), "")
SECRET = "s3cr3t-VALUE"


def redacting(**rule: str) -> CompareRules:
    return CompareRules(Compare(redact=(FieldRule(**rule),)), "")


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-amz-security-token",
        "x-goog-iam-authorization-token",
        "private-token",
        "ocp-apim-subscription-key",
        "x-forwarded-authorization",
        "x-session-id",
    ],
)
def test_headers_with_credentials_are_hidden(name: str) -> None:
    assert clean_field(name, f"Bearer {SECRET}", PLAIN) == "(redacted)"


@pytest.mark.parametrize("name", ["content-type", "etag", "location", "accept", "host", "x-key-version"])
def test_other_headers_are_shown(name: str) -> None:
    assert clean_field(name, "some value", PLAIN) == "some value"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"/a?token={SECRET}&b=1", "/a?token=(redacted)&b=1"),
        (f"/a?b=1&ACCESS_TOKEN={SECRET}#top", "/a?b=1&ACCESS_TOKEN=(redacted)"),
        (f"user=bob&user%5Bpassword%5D={SECRET}", "user=bob&user%5Bpassword%5D=(redacted)"),
        (
            f"/x?to=https%3A%2F%2Fy%2F%3Ftoken%3D{SECRET}%26b%3D1&c=2",
            "/x?to=https%3A%2F%2Fy%2F%3Ftoken%3D(redacted)%26b%3D1&c=2",
        ),
        (f"q=%7B%22token%22%3A%22{SECRET}%22%7D&c=2", "q=%7B%22token%22%3A%22(redacted)%22%7D&c=2"),
        (f"%74oken%5btoken%5d={SECRET}", "%74oken%5btoken%5d=(redacted)"),
        (f"a+token={SECRET}&b+c", "a+token=(redacted)"),
        (f"{'deep.' * 30}password={SECRET}", f"{'deep.' * 30}password=(redacted)"),
        (f"user[password]={SECRET},more&b", "user[password]=(redacted)"),
        (f"<https://x/?api_key={SECRET}>; rel=next", "<https://x/?api_key=(redacted)>; rel=next"),
        (f'{{"a": 1, "password": "{SECRET}", "b": 2', '{"a": 1, "password": "(redacted)", "b": 2'),
        (f'{{"password": "a\\"{SECRET}", "b": 2', '{"password": "(redacted)'),
        (f'{{"password": "{SECRET}', '{"password": "(redacted)'),
        (f'{{"token": {{"a": "{SECRET}",\n"b": 2}}, "c": 3', '{"token": (redacted)\n, "c": 3'),
        (f'{{"secret": ["{SECRET}", 1], "c', '{"secret": (redacted), "c'),
        (f'{{\\"password\\": \\"{SECRET}\\"}}', '{\\"password\\": \\"(redacted)\\"}'),
        (f"Authorization: Bearer {SECRET}\nHost: a", "Authorization: (redacted)\nHost: a"),
        (f"password = {SECRET} and more\nuser = bob", "password = (redacted)\nuser = bob"),
        (
            f"<a:password x='1'>{SECRET}</a:password><b>c</b>",
            "<a:password x='1'>(redacted)</a:password><b>c</b>",
        ),
        ("token=&password=", "token=&password="),
        ("nextPageToken=abc&page=2: it's {plain}", "nextPageToken=abc&page=2: it's {plain}"),
    ],
)
def test_a_value_is_hidden_for_the_name_before_it(text: str, clean: str) -> None:
    assert clean_text(text, PLAIN) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"it said Bearer {SECRET}, twice", "it said Bearer (redacted), twice"),
        ("curl -H basic\tdXNlcjpwYXNz==\n", "curl -H basic\t(redacted)\n"),
        (f"postgresql://bob:{SECRET}@db/shop", "postgresql://bob:(redacted)@db/shop"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl ok", "(redacted) ok"),
        (
            f'<input type="hidden" name="csrf_token" value="{SECRET}"><b>',
            '<input type="hidden" name="csrf_token" value="(redacted)"><b>',
        ),
        (f"<INPUT value={SECRET} name=user[password]>", "<INPUT value=(redacted) name=user[password]>"),
        (f"<input type=password value='{SECRET}\n'>", "<input type=password value='(redacted)\n'>"),
        (f'<meta name="csrf-token" content="{SECRET}" />', '<meta name="csrf-token" content="(redacted)" />'),
        (
            f'--b\r\nContent-Disposition: form-data; name="pass"\r\nX: y\r\n\r\n{SECRET}\n\r\n--b',
            '--b\r\nContent-Disposition: form-data; name="pass"\r\nX: y\r\n\r\n(redacted)\n\r\n--b',
        ),
        ("a bearer document, basic requirements", "a bearer document, basic requirements"),
        ("http://a:80/@b //c:d", "http://a:80/@b //c:d"),
        ('<input name="city" value="Ulm"> eyJ eyJabc.', '<input name="city" value="Ulm"> eyJ eyJabc.'),
    ],
)
def test_a_value_is_hidden_for_how_it_looks_and_where_it_stands(text: str, clean: str) -> None:
    assert clean_text(text, PLAIN) == clean


def test_a_pattern_finds_secrets_within_texts_and_headers() -> None:
    rules = redacting(regex=r"[a-z]+@[a-z.]+")
    assert clean_text("mail bob@example.org, é", rules) == "mail (redacted), é"
    assert clean_field("from", "bob@example.org", rules) == "(redacted)"


def test_a_header_of_the_rules_is_hidden() -> None:
    assert clean_field("x-customer", SECRET, redacting(header="x-customer")) == "(redacted)"


@pytest.mark.parametrize("path", ["$.user.email", "$.*.email", "$.email[]", "$['email']", "$.email.*"])
def test_in_broken_json_the_last_name_of_a_path_hides_what_follows_it(path: str) -> None:
    text = f'{{"user": {{"name": "bob", "email": ["{SECRET}"'
    assert (
        clean_body(text, redacting(path=path), is_cut=True) == '{"user": {"name": "bob", "email": (redacted)'
    )


@pytest.mark.parametrize("path", ["$", "$[]", "$.*", "$[].*"])
def test_broken_json_is_hidden_whole_if_no_name_tells_where_the_secret_is(path: str) -> None:
    assert clean_body(f' {{"a": \n"{SECRET}"', redacting(path=path), is_cut=False) == "(redacted)\n"
    assert clean_body("plain text", redacting(path=path), is_cut=False) == "plain text"


def test_half_of_a_secret_at_the_end_of_a_cut_body_is_hidden() -> None:
    rules = redacting(regex="[a-z]+@[a-z]+[.]org")
    text = "line\n" * 1_000 + "bob@exam"
    clean = clean_body(text, rules, is_cut=True)
    assert "bob@exam" not in clean
    assert clean.count("\n") == text.count("\n")
    assert "bob@exam" in clean_body(text, rules, is_cut=False)


@given(
    before=st.text(st.characters(exclude_characters='"\\')),
    name=st.sampled_from(["password", "token", "card"]),
    after=st.text(),
)
def test_a_secret_never_remains_and_lines_keep_their_numbers(before: str, name: str, after: str) -> None:
    text = f'{before}"{name}" : "{SECRET}"{after}'
    clean = clean_text(text, redacting(path="$.card"))
    assert SECRET not in clean
    assert clean.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "piece",
    [
        "a=",
        "password=",
        '"token":',
        "<a ",
        "<token>",
        '"',
        "\\",
        "=",
        "[",
        "%5B",
        "<input ",
        "<meta name=",
        "//",
        "//a:",
        "//a:b",
        "eyJ",
        '["cookie",[',
        "password={\r\n",
        "&token=a&b",
        "//a:<a &token=",
        "password: |\n",
        "a,password\n",
        "<name>password</name><value>",
        "; name=a\n\n",
        "; name=a\nb:\n",
        "eyJaaaaaaaa.",
        "bearer ",
        "Bearer a1-",
    ],
)
def test_much_of_anything_is_read_to_its_end(piece: str) -> None:
    assert clean_text(piece * 20_000, PLAIN)
