from __future__ import annotations

import json

import pytest

from mirror_proxy.comparison.diff.record import Record, from_row, to_row

RECORD = Record(
    1_700_000_000.5,
    "shop",
    "shop/v2",
    "GET /shop/{}",
    ("?sql", "header accept=text/html"),
    (("$.units", "missing"),),
    7,
)


def test_a_record_comes_back_from_json() -> None:
    assert from_row(json.loads(json.dumps(to_row(RECORD)))) == RECORD


@pytest.mark.parametrize("row", [[], ["now", "a", "b", "c", [], [], 1], [1.0, "a", "b", "c", [], [["$"]], 1]])
def test_a_row_that_holds_no_record_is_refused(row: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_row(row)
