"""Findings of services whose changes are known."""

from __future__ import annotations

from tests.comparison.report.finding.service import Changed, Service, sentences

UNITS: Changed = ("$.units", "missing", "[]", "")
TOTAL: Changed = ("$.total", "type", "12", '"12"')
NOTE: Changed = ("$.note", "extra", "", "null")
PRICE: Changed = ("$.price", "value", "12.5", "13")
FRAME: Changed = ("header x-frame-options", "missing", "DENY", "")
MOVED: Changed = ("status 200 -> 302", "value", "200", "302")
NOW: Changed = ("$.now", "value", "1", "2")


def test_a_field_that_is_always_missing_is_one_finding_with_a_plain_sentence() -> None:
    service = Service()
    service.pairs(120, "GET /shop/{}.json", UNITS)
    service.pairs(300, "GET /")
    [finding] = service.findings()
    assert finding.sentence == 'GET /shop/{}.json: "units" is missing ([]) in all 120 responses'
    assert (finding.severity, finding.rate, finding.places) == ("breaking", 1.0, (("$.units", "missing"),))


def test_a_header_that_is_gone_everywhere_is_one_finding() -> None:
    service = Service()
    for number in range(12):
        service.pairs(40, f"GET /page{number}", FRAME)
    [finding] = service.findings()
    assert (
        finding.sentence == "all 12 endpoints: header x-frame-options is missing (DENY) in all 480 responses"
    )


def test_changes_in_the_same_responses_are_one_finding_led_by_the_most_severe() -> None:
    service = Service()
    service.pairs(60, "GET /items", NOTE, PRICE, UNITS)
    service.pairs(240, "GET /items")
    [finding] = service.findings()
    assert finding.sentence == 'GET /items: "units" is missing ([]) in 60 of 300 responses (20 %)'
    assert finding.also == ['"price" differs (12.5 -> 13)', '"note" is new (null)']


def test_changes_in_different_responses_are_different_findings() -> None:
    service = Service()
    service.pairs(60, "GET /items", PRICE)
    service.pairs(60, "GET /items", UNITS)
    service.pairs(180, "GET /items")
    assert sentences(service.findings()) == [
        'GET /items: "units" is missing ([]) in 60 of 300 responses (20 %)',
        'GET /items: "price" differs (12.5 -> 13) in 60 of 300 responses (20 %)',
    ]


def test_changes_that_mostly_come_together_are_one_finding_only_from_nine_in_ten_on() -> None:
    service = Service()
    service.pairs(90, "GET /items", PRICE, UNITS)
    service.pairs(10, "GET /items", UNITS)
    service.pairs(300, "GET /items")
    assert len(service.findings()) == 1
    service.pairs(10, "GET /items", UNITS)
    assert len(service.findings()) == 2


def test_a_header_and_a_body_that_always_change_may_have_two_causes() -> None:
    service = Service()
    service.pairs(300, "GET /items", UNITS, FRAME)
    assert [finding.severity for finding in service.findings()] == ["breaking", "header"]


def test_a_header_that_changes_only_with_the_body_is_of_its_finding() -> None:
    service = Service()
    service.pairs(60, "GET /items", UNITS, FRAME)
    service.pairs(240, "GET /items")
    [finding] = service.findings()
    assert finding.also == ["header x-frame-options is missing (DENY)"]


def test_each_status_pair_is_a_finding_over_all_of_its_endpoints() -> None:
    service = Service()
    gone: Changed = ("status 404 -> 301", "value", "404", "301")
    service.pairs(60, "GET /a", MOVED)
    service.pairs(60, "GET /b", MOVED)
    service.pairs(60, "GET /b", gone)
    service.pairs(400, "GET /c")
    service.pairs(400, "POST /d")
    assert sentences(service.findings()) == [
        "GET /a and GET /b: 200 became 302 in 120 of 180 responses (66.7 %)",
        "GET /b: 404 became 301 in 60 of 120 responses (50 %)",
    ]


def test_a_member_of_one_name_is_one_finding_in_a_list_and_in_a_detail() -> None:
    service = Service()
    service.pairs(100, "GET /items", ("$.items[].units", "missing", "3", ""))
    service.pairs(50, "GET /items/{}", UNITS)
    service.pairs(50, "GET /")
    [finding] = service.findings()
    assert finding.sentence == ('GET /items and GET /items/{}: "units" is missing (3) in all 150 responses')
    assert finding.places == (("$.items[].units", "missing"), ("$.units", "missing"))


def test_a_trait_of_the_requests_stands_in_the_sentence() -> None:
    service = Service()
    service.pairs(60, "GET /{}", MOVED, traits=["?sql", "header accept=*/*"])
    service.pairs(60, "GET /{}", traits=["header accept=*/*"])
    [finding] = service.findings()
    assert finding.sentence == "GET /{}: 200 became 302 in 60 of 120 responses (50 %), where ?sql is given"


def test_the_most_severe_finding_is_first_and_headers_are_last() -> None:
    service = Service()
    service.pairs(900, "GET /header", FRAME)
    service.pairs(800, "GET /new", NOTE)
    service.pairs(700, "GET /value", PRICE)
    service.pairs(20, "GET /moved", MOVED)
    service.pairs(40, "GET /type", TOTAL)
    assert [finding.lead.path for finding in service.findings()] == [
        "$.total",
        "status 200 -> 302",
        "$.price",
        "$.note",
        "header x-frame-options",
    ]


def test_reads_below_refused_writes_may_follow_from_them_and_rank_last() -> None:
    service = Service()
    service.pairs(60, "POST /orders", ("status 201 -> 422", "value", "201", "422"))
    service.pairs(60, "GET /orders/{}", ("status 200 -> 404", "value", "200", "404"))
    service.pairs(300, "GET /items/{}", ("$.tags", "size", "2 items", "1 items"))
    assert sentences(service.findings()) == [
        "POST /orders: 201 became 422 in all 60 responses",
        'GET /items/{}: "tags" has 1 item fewer (2 -> 1) in all 300 responses',
        "GET /orders/{}: 200 became 404 in all 60 responses; may follow from POST /orders, where 201 became 422",
    ]


def test_what_was_there_before_the_first_refused_write_does_not_follow_from_it() -> None:
    service = Service()
    service.pairs(60, "GET /orders/{}", ("status 200 -> 404", "value", "200", "404"), time=-10.0)
    service.pairs(60, "POST /orders", ("status 201 -> 422", "value", "201", "422"))
    assert [finding.follows for finding in service.findings()] == ["", ""]


def test_what_goes_with_a_trait_does_not_follow_from_refused_writes() -> None:
    service = Service()
    service.pairs(60, "POST /orders", ("status 201 -> 422", "value", "201", "422"))
    service.pairs(60, "GET /orders", ("status 404 -> 200", "value", "404", "200"), traits=["?page"])
    service.pairs(60, "GET /orders")
    assert [finding.follows for finding in service.findings()] == ["", ""]


def test_members_that_come_and_go_in_one_object_are_its_other_shape() -> None:
    service = Service()
    limit: Changed = ("$.detail[].ctx.limit_value", "missing", "0", "")
    service.pairs(60, "GET /a", limit)
    service.pairs(20, "GET /a", limit, ("$.detail[].ctx.gt", "extra", "", "0"))
    service.pairs(20, "GET /a", limit, ("$.price", "value", "1", "2"))
    service.pairs(40, "GET /a")
    first, second = service.findings()
    assert first.also == ['"detail[].ctx.gt" is new in 14.3 %']
    assert second.lead.path == "$.price"


def test_numbers_of_new_things_may_follow_from_refused_writes_of_the_same_endpoint() -> None:
    service = Service()
    service.pairs(60, "POST /orders", ("status 400 -> 201", "value", "400", "201"))
    service.pairs(60, "POST /orders", ("$.order_id", "value", "47", "56"))
    service.pairs(60, "POST /orders", ("$.price", "value", "1", "2"))
    found = service.findings()
    assert [finding.lead.path for finding in found] == ["status 400 -> 201", "$.price", "$.order_id"]
    assert [bool(finding.follows) for finding in found] == [False, False, True]


def test_noise_is_no_finding() -> None:
    service = Service()
    service.pairs(300, "GET /", NOW, noise=400)
    assert service.findings() == []


def test_an_endpoint_with_too_few_pairs_joins_a_change_that_is_sure_elsewhere() -> None:
    service = Service()
    service.pairs(300, "GET /a", FRAME)
    service.pairs(1, "GET /b", FRAME)
    [finding] = service.findings()
    assert finding.scope == "GET /a and GET /b"


def test_every_finding_has_examples_of_different_requests() -> None:
    service = Service()
    for number in range(40):
        service.pairs(200, f"GET /page{number}/{{}}", (f"$.k{number}", "missing", "1", ""))
    findings = service.findings()
    assert len(findings) == 40
    for finding in findings:
        assert len({example.target for example in finding.examples}) == 3


def test_a_change_at_some_of_the_endpoints_of_another_goes_with_it_and_says_where() -> None:
    service = Service()
    lang: Changed = ("html /html@lang", "extra", "", "en")
    for page in ("a", "b", "c"):
        service.pairs(60, f"GET /{page}", lang)
    service.pairs(60, "GET /d", lang, ("html //form@class", "extra", "", "core"))
    [finding] = service.findings()
    assert finding.also == ["attribute class of form is new (core) at GET /d"]


def test_places_of_a_page_with_the_same_name_are_named_once_with_their_number() -> None:
    service = Service()
    icons: list[Changed] = [(f"html /a[{n}]/svg/path@d", "value", f"M{n}", f"m{n}") for n in range(3)]
    texts: list[Changed] = [(f"html /ul[{n}]/li/text()", "extra", "", "x") for n in range(3)]
    service.pairs(60, "GET /items", UNITS, *icons, *texts)
    service.pairs(60, "GET /items")
    [finding] = service.findings()
    assert finding.also == [
        "attribute d of svg/path differs (M0 -> m0) in 3 places",
        "element li/text() in 3 places are new",
    ]


def test_several_changes_that_are_missing_together_are_named_together() -> None:
    service = Service()
    missing = [(f"$.{name}", "missing", "1", "") for name in "abcd"]
    service.pairs(60, "GET /items", *missing, PRICE)
    service.pairs(60, "GET /items")
    [finding] = service.findings()
    assert finding.also == ['"b", "c", "d" are missing', '"price" differs (12.5 -> 13)']


def test_of_many_missing_members_eight_are_named_and_the_others_counted() -> None:
    service = Service()
    service.pairs(60, "GET /items", *((f"$.m{number:02}", "missing", "1", "") for number in range(21)))
    service.pairs(60, "GET /items")
    [finding] = service.findings()
    [also] = finding.also
    assert also.startswith('"m01", "m02", "m03"')
    assert also.endswith('"m08", and 12 more are missing')


def test_a_change_at_more_endpoints_than_another_is_a_finding_of_its_own() -> None:
    service = Service()
    service.pairs(60, "GET /a", UNITS, PRICE)
    service.pairs(60, "GET /b", PRICE)
    service.pairs(60, "GET /c", PRICE)
    assert [finding.lead.path for finding in service.findings()] == ["$.units", "$.price"]


def test_requests_with_another_status_do_not_hide_the_trait_of_a_finding() -> None:
    service = Service()
    other: Changed = ("status 400 -> 302", "value", "400", "302")
    service.pairs(60, "GET /{}", MOVED, traits=["?sql"])
    service.pairs(60, "GET /{}", other, traits=["?sql"])
    service.pairs(60, "GET /{}")
    assert [finding.trait and finding.trait.trait for finding in service.findings()] == ["?sql", "?sql"]


def test_without_records_changes_that_are_always_there_are_one_finding() -> None:
    service = Service()
    service.pairs(300, "GET /", UNITS, PRICE)
    service.pairs(300, "GET /b", TOTAL)
    service.records.clear()
    assert len(service.findings()) == 2
