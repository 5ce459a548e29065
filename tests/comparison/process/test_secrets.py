"""No secret of a pair is in anything that is stored of it: keys of counts, examples, records."""

from __future__ import annotations

import gzip
import json
import pickle
import string
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_proxy.comparison.diff.pair import CapturedResponse, dump
from mirror_proxy.comparison.process.pair_comparer import PairComparer
from mirror_proxy.comparison.process.store_writer import StoreWriter
from tests.comparison.diff.pairs import JSON, answer, pair, sent

HTML = b"Content-Type: text/html\r\n"
XML = b"Content-Type: application/xml\r\n"
TEXT = b"Content-Type: text/plain\r\n"
CSV = b"Content-Type: text/csv\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
NDJSON = b"Content-Type: application/x-ndjson\r\n"
EVENTS = b"Content-Type: text/event-stream\r\n"
MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\n"


def text(kind: bytes, before: str, after: str = "") -> Callable[[str], CapturedResponse]:
    return lambda secret: answer(f"{before}{secret}{after}".encode(), kind)


def header(before: str) -> Callable[[str], CapturedResponse]:
    return lambda secret: answer(b"{}", f"{before}{secret}\r\n".encode() + JSON)


#: Where a response may hold a secret.
RESPONSES: dict[str, Callable[[str], CapturedResponse]] = {
    "member": lambda secret: sent({"password": secret}),
    "deep member": lambda secret: sent([{"a": [{"userToken": [{"b": secret}]}]}]),
    "member of unlike objects": lambda secret: sent({"a": {"apiKey": secret, secret[:1]: 1}}),
    "name and value": lambda secret: sent([{"Key": "Authorization", "Value": secret}]),
    "value and name": lambda secret: sent({"env": [{"value": secret, "name": "DB_PASSWORD"}]}),
    "list of two": lambda secret: sent({"headers": [["host", "a"], ["cookie", secret]]}),
    "flat list": lambda secret: sent({"rawHeaders": ["Host", "a", "Cookie", secret]}),
    "key": lambda secret: sent({"users": {f"k3J9x0A8s7D6f5G4{secret}": 1}}),
    "JSON in JSON": lambda secret: sent({"a": json.dumps({"b": {"password": secret}})}),
    "address in JSON": lambda secret: sent({"next": f"/x?access_token={secret}&page=2"}),
    "text in JSON": lambda secret: sent({"message": f"use password: {secret}"}),
    "address with a password": lambda secret: sent({"dsn2": [f"postgres://bob:{secret}@db/shop"]}),
    "cut JSON": lambda secret: answer(
        json.dumps({"a": 1, "token": secret, "b": "c" * 30}).encode()[:-10], JSON, size=900
    ),
    "broken JSON": text(JSON, '{"a": 1, "secret": "', '", "b": 2'),
    "header": header("X-Api-Key: "),
    "header of any name": header("X-Some-Token: "),
    "cookie": header("Set-Cookie: sid="),
    "name of a cookie": header("Set-Cookie: k3J9x0A8s7D6f5G4"),
    "name of a header": lambda secret: answer(b"{}", f"X-k3J9x0A8s7D6f5G4{secret}: 1\r\n".encode() + JSON),
    "location": header("Location: /x?token="),
    "link": header("Link: </x?api_key="),
    "element": text(XML, "<a><b><password>", "</password></b></a>"),
    "element with elements": text(XML, "<a><token><b>", "</b></token></a>"),
    "CDATA": text(XML, "<a><secret><![CDATA[", "]]></secret></a>"),
    "attribute of XML": text(XML, '<a><user apiKey="', '"/></a>'),
    "attribute and name": text(XML, '<a><add key="ApiKey" value="', '"/></a>'),
    "entry and key": text(XML, '<a><entry key="password">', "</entry></a>"),
    "name and value elements": text(XML, "<a><Name>Cookie</Name><Value>", "</Value></a>"),
    "field of a form": text(HTML, '<html><form><input name="csrf_token" value="', '"></form></html>'),
    "meta": text(HTML, '<html><head><meta name="csrf-token" content="', '"></head></html>'),
    "link of a page": text(HTML, '<html><a href="/x?session=', '">a</a></html>'),
    "script": text(HTML, '<html><script>var c = {"apiKey": "', '"};</script></html>'),
    "text of a page": text(HTML, "<html><p>your password: ", "</p></html>"),
    "table": text(HTML, "<html><table><tr><th>Authorization</th><td>", "</td></tr></table></html>"),
    "line": text(TEXT, "a\nb\npassword = ", "\nc\n"),
    "YAML": text(TEXT, "a: b\nsecrets:\n  - x\n  - ", "\nc: d\n"),
    "CSV": text(CSV, "id,password,city\n1,a,Ulm\n2,", ",Bonn\n"),
    "parameters": text(FORM, "a=b&password=", "&c=d"),
    "JSON lines": text(NDJSON, '{"a":1}\n{"token":"', '"}\n'),
    "events": text(EVENTS, 'data: {"a":1}\n\ndata: {"token":"', '"}\n\n'),
    "bearer": text(TEXT, "a\nwith Bearer 1-", "\nb\n"),
    "gzip": lambda secret: answer(
        gzip.compress(f'{{"pin": "{secret}"}}'.encode(), mtime=0), JSON + b"Content-Encoding: gzip\r\n"
    ),
}


def requested(target: str = "/", fields: bytes = b"", body: str = "") -> dict[str, Any]:
    return {"target": target, "fields": fields, "body": body.encode(), "size": len(body), "method": "POST"}


#: Where a request may hold a secret.
REQUESTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "query": lambda secret: requested(f"/x?token={secret}&a=b"),
    "encoded query": lambda secret: requested(f"/x?user%5Bpassword%5D={secret}"),
    "address in the query": lambda secret: requested(f"/x?to=https%3A%2F%2Fy%3Ftoken%3D{secret}%26b%3D1"),
    "name in the query": lambda secret: requested(f"/x?k3J9x0A8s7D6f5G4{secret}=1"),
    "path": lambda secret: requested(f"/reset-password/{secret}0a"),
    "userinfo": lambda secret: requested(f"http://bob:{secret}@host/x"),
    "authorization": lambda secret: requested(fields=f"Authorization: Bearer {secret}\r\n".encode()),
    "cookies": lambda secret: requested(fields=f"Cookie: a=b; sid={secret}; c=d\r\n".encode()),
    "header": lambda secret: requested(fields=f"X-Auth-User: {secret}\r\n".encode()),
    "referer": lambda secret: requested(fields=f"Referer: https://x/?session={secret}\r\n".encode()),
    "name of a header": lambda secret: requested(fields=f"X-k3J9x0A8s7D6f5G4{secret}: 1\r\n".encode()),
    "form": lambda secret: requested(fields=FORM, body=f"user=bob&password={secret}&a=b"),
    "JSON": lambda secret: requested(fields=JSON, body=json.dumps({"a": {"password": secret}})),
    "multipart": lambda secret: requested(
        fields=MULTIPART,
        body=f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{secret}\r\n--b--\r\n',
    ),
    "operation": lambda secret: requested(
        "/graphql", JSON, json.dumps({"query": f'mutation {{ login(password: "{secret}") {{ id }} }}'})
    ),
    "variables": lambda secret: requested(
        "/graphql", JSON, json.dumps({"query": "mutation l { a }", "variables": {"password": secret}})
    ),
}

#: Random, and of no form that is known; some signs end a value in some syntax.
SECRETS = st.text(string.ascii_letters + string.digits + "-_.~", min_size=12, max_size=40).map(
    lambda text: f"Zq{text}7x"
)


class Written(list[object]):
    """What the comparer would have stored."""

    def add(self, *what: object) -> None:
        self.append(what)


def stored(primary: CapturedResponse, shadow: CapturedResponse, **request: Any) -> bytes:
    written = Written()
    comparer = PairComparer(cast("StoreWriter", written), lambda: 1_700_000_000.0)
    comparer.compare(dump(pair(primary, shadow, **request)))
    assert written
    return pickle.dumps(list(written))


@pytest.mark.parametrize("place", RESPONSES)
@given(secret=SECRETS)
def test_no_secret_of_a_response_is_stored(place: str, secret: str) -> None:
    both = RESPONSES[place](secret), RESPONSES[place](f"x{secret}y")
    other = answer(b'{"a": 1}', JSON, status=500)
    for primary, shadow in (both, (both[0], other), (other, both[0])):
        assert secret.encode() not in stored(primary, shadow)


@pytest.mark.parametrize("place", REQUESTS)
@given(secret=SECRETS)
def test_no_secret_of_a_request_is_stored(place: str, secret: str) -> None:
    other = answer(status=500)
    assert secret.encode() not in stored(answer(), other, **REQUESTS[place](secret))
