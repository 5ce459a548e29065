"""`mirror-proxy translate`: what it writes, what it says beside, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_proxy import cli
from mirror_proxy.config import loader
from mirror_proxy.config.document import read
from mirror_proxy.config.problems import Problems

Capture = pytest.CaptureFixture[str]

FLAGS = ["--primary", "http://v1:8080", "--mirror", "http://v2:8080", "--percent", "10"]
HTTP_ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  hostnames: [shop.example.com]
  rules: [{name: all, backendRefs: [{name: v1, port: 80}]}]
"""


@pytest.fixture
def http_route(tmp_path: Path) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(HTTP_ROUTE)
    return str(path)


def kinds(path: Path) -> list[str]:
    problems = Problems()
    found = read([str(path)], problems)
    assert problems.errors == ()
    return [document.kind for document in found]


@pytest.mark.parametrize(("dialect", "kind"), [("istio", "VirtualService"), ("gateway-api", "HTTPRoute")])
def test_flags_become_a_document_that_loads(dialect: str, kind: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.yaml"
    assert cli.main(["translate", *FLAGS, "--to", dialect, "-o", str(out)], {}) == 0
    assert (capsys.readouterr().out, kinds(out)) == ("", [kind])
    [host] = loader.load([str(out)]).virtual_hosts
    [route] = host.routes
    assert [(mirror.numerator, mirror.denominator) for mirror in route.mirrors] == [(100_000, 1_000_000)]


def test_an_http_route_becomes_a_virtual_service_with_its_own_hosts(http_route: str, capsys: Capture) -> None:
    assert cli.main(["translate", http_route, "--to", "istio"], {}) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# Written by: mirror-proxy translate {http_route} --to istio\n# ")
    assert "kind: VirtualService" in out
    assert "  - shop.example.com\n" in out


def test_envoys_bootstrap_keeps_that_one_alone_takes_every_host(http_route: str, capsys: Capture) -> None:
    assert cli.main(["translate", http_route, "--to", "envoy"], {}) == 0
    assert "domains:\n            - '*'\n" in capsys.readouterr().out.replace(
        "              ", "            "
    )


def test_the_header_repeats_the_command(capsys: Capture) -> None:
    argv = ["translate", *FLAGS, "--to", "istio", "--shadow-suffix", "--endpoint", "v1=10.0.0.1:80"]
    assert cli.main(argv, {}) == 0
    command = (
        "mirror-proxy translate --to istio --primary http://v1:8080 --mirror http://v2:8080 --percent 10"
    )
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"# Written by: {command} --shadow-suffix --endpoint v1=10.0.0.1:80"


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 1)])
def test_what_is_not_said_is_listed_and_fails_only_when_strict(
    strict: list[str], code: int, capsys: Capture
) -> None:
    assert cli.main(["translate", *FLAGS, "--methods", "safe", "--to", "istio", *strict], {}) == code
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        (
            "not said: MirrorProxy default/mirror-proxy spec.pathNormalization:"
            " meshConfig.pathNormalization says it for the whole mesh; base is its default"
        ),
        "not said: MirrorProxy default/mirror-proxy spec.mirroring.methods: Istio has no word for it",
        (
            "not said: MirrorProxy default/mirror-proxy spec.limits.streamIdleTimeout:"
            " only an EnvoyFilter says it; a mesh has no such limit"
        ),
        (
            "not said: MirrorProxy default/mirror-proxy spec.tracing.mirrors:"
            " a mesh never samples the traces of shadows"
        ),
    ]
    assert "kind: VirtualService" in said.out


def test_all_is_said_is_no_failure_when_strict(http_route: str, capsys: Capture) -> None:
    assert cli.main(["translate", http_route, "--to", "istio", "--strict"], {}) == 0
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(HTTP_ROUTE.replace("backendRefs", "backendRef"))
    assert cli.main(["translate", str(path), "--to", "istio"], {}) == 1
    said = capsys.readouterr()
    assert 'spec.rules[0].backendRef: unknown field "backendRef"; did you mean "backendRefs"?' in said.err
    assert said.out == ""


def test_a_wrong_flag_is_a_usage_error(capsys: Capture) -> None:
    assert cli.main(["translate", "--primary", "v1", "--to", "istio"], {}) == 2
    assert capsys.readouterr().err == '--primary: "v1" has no scheme; write http://v1\n'


def test_a_dialect_must_be_named(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["translate", *FLAGS, "--to", "nginx"], {})
    assert left.value.code == 2
    assert "invalid choice: 'nginx'" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "none" / "out.yaml"
    assert cli.main(["translate", *FLAGS, "--to", "istio", "-o", str(out)], {}) == 1
    assert capsys.readouterr().err == f"{out}: cannot be written: No such file or directory\n"


def test_host_match_stays_what_one_says(http_route: str, capsys: Capture) -> None:
    assert cli.main(["translate", http_route, "--to", "istio", "--host-match", "auto"], {}) == 0
    assert "  - '*'\n" in capsys.readouterr().out
