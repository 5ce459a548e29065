"""`mirror-proxy explain`, run as its users run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.explain import trial

ROOT = Path(__file__).parents[2]
SHOP = str(ROOT / "config/shop")


def explain(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["explain", *argv], {})
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_request_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = explain(capsys, SHOP, "GET", "http://shop/cart", "-H", "Cookie: user=7")
    assert (code, err) == (0, "")
    assert out.startswith("GET /cart, Host: shop\n")
    assert "    Cookie: user=7\n" in out
    assert "  - Cookie: user=7\n" in out.partition("copy for shop/v2, of 10 % of such requests")[2]


def test_flags_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = explain(capsys, "--primary", "http://v1:81", "GET", "/")
    assert code == 0
    assert "v1:81" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["GET"], "METHOD or URL is missing; write METHOD and URL last, such as GET http://shop/cart\n"),
        ([SHOP, "GET"], f'"{SHOP}" is no method; write METHOD and URL last, such as GET http://shop/cart\n'),
        ([SHOP, "GET", "https://shop/"], "no listener takes https; write http://\n"),
    ],
)
def test_what_is_no_request_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert explain(capsys, *words) == (2, "", said)


def test_a_request_that_cannot_be_made_is_the_answer_no(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "BOUND_S", 0.1)
    monkeypatch.setattr(trial, "RESPONSE", b"")
    code, out, err = explain(capsys, SHOP, "GET", "/")
    assert (code, out, err) == (1, "", "the request cannot be made: there was no answer\n")


def test_problems_of_the_files_are_told_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("kind: VirtualService\n")
    code, out, err = explain(capsys, str(path), "GET", "/")
    assert (code, out) == (1, "")
    assert "apiVersion is missing" in err
