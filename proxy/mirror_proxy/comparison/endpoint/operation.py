"""Read which operation a request asks for, where one path serves many.

    GraphQL       `operationName`, else the document's, else `query` or `mutation` and the first field; batches
    JSON-RPC      `method`, of batches too; XML-RPC `methodName`
    AWS           the header `X-Amz-Target`, or `Action` in a form or query
    SOAP          `SOAPAction`, `action` of the content type, or the first element of the body

Of a body, the captured beginning is read. No body makes this raise or take more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from mirror_proxy.comparison.endpoint import graphql
from mirror_proxy.comparison.endpoint.json_members import MAX_OBJECTS, Members, members

#: Names of one batch that are written.
_MAX_NAMES = 3
_MAX_READ = 16 * 1024
_MAX_QUERY = 8 * 1024

#: What an operation may be called; anything else may be a value.
_NAME = re.compile(r"[A-Za-z_$][\w.:$/-]{0,63}", re.ASCII)
#: Without any of these keys a JSON body names no operation.
_TELLING = re.compile(r'"(?:query|operationName|method)"\s*+:')
_SOAP_ACTION = re.compile(r"""\baction\s*=\s*"?([^";]+)""", re.IGNORECASE)
_SOAP_BODY = re.compile(
    r"<(?:[A-Za-z][\w.-]*:)?Body(?:\s[^<>]*)?>\s*<(?:[A-Za-z][\w.-]*:)?([A-Za-z_][\w.-]*)", re.ASCII
)
_XML_RPC = re.compile(r"<methodCall>\s*<methodName>\s*([^\s<]+)")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation. `text` names it in an endpoint, `name` to rules; `kind` is GraphQL's, or empty."""

    text: str
    name: str
    kind: str = ""


def operation(target: str, fields: Iterable[tuple[str, str]], body: str) -> Operation | None:
    """Return the operation of a request, if it names any; names of `fields` are in lower case."""
    named = {name: value for name, value in fields if name in _FIELDS}
    return _of_head(named) or _of_body(named, body[:_MAX_READ]) or _of_query(target)


def _of_head(named: Mapping[str, str]) -> Operation | None:
    return _labelled("X-Amz-Target", named.get("x-amz-target", ""))


def _of_body(named: Mapping[str, str], body: str) -> Operation | None:
    media_type = named.get("content-type", "").partition(";")[0].strip().lower()
    if "soapaction" in named or media_type == "application/soap+xml":
        return _soap(named, body)
    if media_type == "application/x-www-form-urlencoded":
        return _labelled("Action", _parameter(body, "Action"))
    if media_type == "application/graphql":
        return _graphql(body, "")
    if media_type.endswith("xml"):
        found = _XML_RPC.search(body)
        return _plain(found[1]) if found else None
    return _of_json(members(body)) if _TELLING.search(body) else None


_FIELDS = frozenset({"content-type", "x-amz-target", "soapaction"})


def _of_json(objects: Sequence[Members]) -> Operation | None:
    """Return the operation of a GraphQL or JSON-RPC request, or those of a batch as one."""
    found = [one for one in map(_of_object, objects) if one is not None]
    if len(found) <= 1 and len(objects) <= 1:
        return found[0] if found else None
    texts = list(dict.fromkeys(one.text for one in found))
    text = "+".join(texts[:_MAX_NAMES] + ["..."] * (len(texts) > _MAX_NAMES))
    is_all = len(found) == len(objects) < MAX_OBJECTS
    return (
        Operation(text, _common(one.name for one in found), _common(one.kind for one in found))
        if is_all
        else Operation(text, "")
    )


def _common(texts: Iterable[str]) -> str:
    """Return what all texts are, empty if they differ."""
    return found.pop() if len(found := set(texts)) == 1 else ""


def _of_object(one: Members) -> Operation | None:
    document, wanted = one.texts.get("query", ""), one.texts.get("operationName", "")
    if wanted or graphql.is_graphql(document):
        return _graphql(document, wanted)
    if "jsonrpc" in one.keys or {"id", "params"} <= one.keys:
        return _plain(one.texts.get("method", ""))
    return None


def _of_query(target: str) -> Operation | None:
    query = target.partition("?")[2][:_MAX_QUERY]
    document, wanted = _parameter(query, "query"), _parameter(query, "operationName")
    if wanted or graphql.is_graphql(document):
        return _graphql(document, wanted)
    return _labelled("Action", _parameter(query, "Action"))


def _graphql(document: str, wanted: str) -> Operation | None:
    found = graphql.operation(document, wanted)
    kind, named, selected = (found.kind, found.name, found.field) if found is not None else ("", "", "")
    name = wanted or named
    if _NAME.fullmatch(name):
        return Operation(name, name, kind)
    return Operation(f"{kind} {selected}".strip(), selected, kind) if kind else None


def _soap(named: Mapping[str, str], body: str) -> Operation | None:
    action = named.get("soapaction", "").strip('" ')
    if not action and (found := _SOAP_ACTION.search(named.get("content-type", ""))):
        action = found[1].strip()
    if not action and (found := _SOAP_BODY.search(body)):
        action = found[1]
    return _labelled("SOAPAction", re.split(r"[/#:]", action)[-1])


def _labelled(label: str, value: str) -> Operation | None:
    """Return an operation with the label of what names it; to rules, its name is what follows the last dot."""
    return Operation(f"{label}={value}", value.rpartition(".")[2]) if _NAME.fullmatch(value) else None


def _plain(name: str) -> Operation | None:
    return Operation(name, name) if _NAME.fullmatch(name) else None


def _parameter(encoded: str, name: str) -> str:
    """Return the first value of a parameter in a form or query; the last one of a cut body may be cut."""
    start = f"{name}="
    for part in encoded.split("&"):
        if part.startswith(start):
            return unquote_plus(part[len(start) :])
    return ""
