from __future__ import annotations

import json

import pytest

from mirror_proxy.comparison.endpoint.operation import Operation, operation

JSON = [("content-type", "application/json")]
FORM = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]


def of_json(value: object) -> Operation | None:
    return operation("/", JSON, json.dumps(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"operationName": "add", "query": "mutation add { add }"}, Operation("add", "add", "mutation")),
        ({"query": "query Shop($id: ID = {a: 1}) @live { shop }"}, Operation("Shop", "Shop", "query")),
        ({"query": "{ shop(id: 1) { name } cart }"}, Operation("query shop", "shop", "query")),
        ({"query": '# {\n mutation { mine: add(sku: "}") }'}, Operation("mutation add", "add", "mutation")),
        ({"query": "fragment F on A { b } { ...F ... on A { a } shop }"}, Operation("query shop", "shop", "query")),
        ({"query": "query A { a } mutation B { b }", "operationName": "B"}, Operation("B", "B", "mutation")),
        ({"operationName": "Saved", "extensions": {"persistedQuery": {}}}, Operation("Saved", "Saved", "")),
        ({"operationName": None, "query": "{ a }"}, Operation("query a", "a", "query")),
        ({"query": "{ a }", "extra": [[[]]], "operationName": ""}, Operation("query a", "a", "query")),
        ({"variables": {"query": "{ no }"}, "query": "{ yes }"}, Operation("query yes", "yes", "query")),
    ],
)  # fmt: skip
def test_graphql_is_named_by_operation_name_or_first_field(value: object, expected: Operation) -> None:
    assert of_json(value) == expected


def test_a_graphql_query_is_read_from_the_target_or_a_body_of_its_own_type() -> None:
    assert operation("/graphql?a=1&query=%7B%20shop%20%7D", [], "") == Operation(
        "query shop", "shop", "query"
    )
    found = operation("/graphql", [("content-type", "application/graphql")], "query Shop { shop }")
    assert found == Operation("Shop", "Shop", "query")


def test_a_batch_is_named_by_all_its_operations_and_has_what_they_share() -> None:
    names = [{"query": f"query {name} {{ a }}"} for name in "ABCDA"]
    assert of_json(names[:2]) == Operation("A+B", "", "query")
    assert of_json(names) == Operation("A+B+C+...", "", "query")
    assert of_json([*names[:1], {"query": "mutation M { a }"}]) == Operation("A+M", "", "")
    assert of_json([*names[:1], {"else": 1}]) == Operation("A", "", "")
    assert of_json(names[:1] * 50) == Operation("A", "", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"jsonrpc": "2.0", "method": "eth_getBalance", "params": {"method": "no"}, "id": 1},
            "eth_getBalance",
        ),
        ({"method": "listUsers", "params": [], "id": 1}, "listUsers"),
        ([{"jsonrpc": "2.0", "method": "a"}, {"jsonrpc": "2.0", "method": "b"}], "a+b"),
    ],
)
def test_json_rpc_is_named_by_its_method(value: object, expected: str) -> None:
    found = of_json(value)
    assert found is not None
    assert found.text == expected


def test_an_aws_request_is_named_by_its_target_or_action() -> None:
    target = [*JSON, ("x-amz-target", "DynamoDB_20120810.PutItem")]
    named = Operation("X-Amz-Target=DynamoDB_20120810.PutItem", "PutItem")
    assert operation("/", target, "{}") == named
    action = Operation("Action=SendMessage", "SendMessage")
    assert operation("/", FORM, "Version=1&Action=SendMessage&QueueUrl=u") == action
    assert operation("/?Action=SendMessage&Version=1", [], "") == action


def test_soap_and_xml_rpc_are_named_by_their_action() -> None:
    xml = [("content-type", "text/xml; charset=utf-8")]
    envelope = '<soap:Envelope><soap:Body id="1"> <m:GetOrder xmlns:m="u"><m:id>1</m:id>'
    named = Operation("SOAPAction=GetOrder", "GetOrder")
    assert operation("/", [*xml, ("soapaction", '"http://shop.example/#GetOrder"')], "") == named
    assert operation("/", [*xml, ("soapaction", '""')], envelope) == named
    assert operation("/", [("content-type", 'application/soap+xml; action="urn:GetOrder"')], "") == named
    assert operation("/", xml, "<methodCall> <methodName>wiki.list</methodName>") == Operation(
        "wiki.list", "wiki.list"
    )


def test_a_body_that_was_cut_is_read_as_far_as_it_goes() -> None:
    whole = json.dumps(
        {"operationName": "Shop", "variables": {"a": ["b"]}, "query": "query Shop { shop { name } }"}
    )
    for end in range(len('{"operationName": "Shop"'), len(whole)):
        found = operation("/", JSON, whole[:end])
        assert found is not None
        assert found.name == "Shop"
    assert of_json({"query": "{ shop }"}) == operation("/", JSON, '{"query": "{ shop {name\\u00')


def test_of_a_key_that_is_given_twice_the_last_value_counts() -> None:
    twice = '{"query": "{ a }", "query": "mutation { b }"'
    assert (
        operation("/", JSON, twice + "}")
        == operation("/", JSON, twice)
        == Operation("mutation b", "b", "mutation")
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"query": {"match": {"a": 1}}}', '{"query": "shoes"}', '{"method": "GET", "url": "/"}', "[1, 2]", "{", "[", "",
        '{"jsonrpc": "2.0", "method": "with spaces and 17"}', '{"query": "query"}', "[{}, {}]", '"query"',
    ],
)  # fmt: skip
def test_other_bodies_name_no_operation(body: str) -> None:
    found = operation("/items?query=shoes", JSON, body)
    assert found is None or not found.text


@pytest.mark.parametrize(
    "one",
    ['{"query":', "[{", '"', '\\"', "{", "}{", "(", '"""', "query ", "#\n", "# ", "fragment a", "...on", ",",
     "<a:Body ", "Action=&", "\x00", "\ud800"],
)  # fmt: skip
def test_a_hostile_body_is_read_without_an_error(one: str) -> None:
    for start in ("", "{", '{"query":"', '{"query":"{', "[{"):
        body = start + one * 20_000
        for media_type in (
            "application/json",
            "application/graphql",
            "text/xml",
            "application/soap+xml",
            FORM[0][1],
        ):
            found = operation(f"/?query={body}", [("content-type", media_type)], body)
            assert found is None or len(found.text) < 250
