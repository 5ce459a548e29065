"""`mirror-proxy report`, against a running proxy and against the store of one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mirror_proxy import cli
from mirror_proxy.comparison.diff.example import Example, Side
from mirror_proxy.comparison.diff.totals import Key
from mirror_proxy.comparison.store import Store
from mirror_proxy.config.model import Address, Admin, Compare, Share, StoreLimits
from tests.comparison.report.reports import HOSTILE, rich
from tests.support.plane import free_port
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.runs import RUN, open_run
from tests.support.threaded_origin import origin
from tests.support.waiting import BOUND_S, until

Capture = pytest.CaptureFixture[str]
SIDE = Side(200, 1.0, (), "{}")


def report(proxy: RunningProxy, *words: str) -> int:
    return cli.main(["report", *words], {"MIRROR_PROXY_ADMIN": str(proxy.config.settings.admin.address)})


@contextlib.contextmanager
def mirrored(folder: Path, requests: int) -> Iterator[RunningProxy]:
    """Run a proxy that has mirrored so many requests, and compares nothing."""
    with (
        origin(b"v1") as v1,
        origin(b"v2") as v2,
        running(config_for(v1.address, mirror=v2.address), folder) as proxy,
    ):
        for _ in range(requests):
            assert proxy.ask() == (200, "v1")
        until(lambda: proxy.metric("status_pairs_total") == requests, "all copies to be answered")
        yield proxy


@pytest.mark.slow
def test_a_proxy_that_compares_nothing_tells_of_times_statuses_and_outcomes(
    tmp_path: Path, capsys: Capture
) -> None:
    with mirrored(tmp_path, 20) as proxy:
        assert report(proxy) == 0
        said = capsys.readouterr().out
        assert said.startswith("NOT COMPARED  mirror: nothing was compared\n")
        assert f"from {proxy.config.settings.admin.address}, mirror-proxy " in said
        assert "! None of its responses was compared" in said
        assert "\nwhat became of 20 requests\n" in said
        assert report(proxy, "--format", "json", "--mirror", "mirror") == 0
        [mirror] = json.loads(capsys.readouterr().out)["mirrors"]
        assert mirror["statuses"] == [{"primary": "200", "shadow": "200", "count": 20}]
        assert mirror["outcomes"] == {"completed": 20}
        assert mirror["figures"]["mirror_error_rate"] | {"high": None} == {
            "value": 0.0,
            "samples": 20,
            "low": 0.0,
            "high": None,
        }


@pytest.mark.slow
def test_limits_set_the_exit_code(tmp_path: Path, capsys: Capture) -> None:
    kept, broken, unknown = "mirror_error_rate>1%", "primary_p50>=0", "diff_rate>1%"
    with mirrored(tmp_path, 20) as proxy:
        assert report(proxy, "--min-samples", "20", "--fail-on", kept) == 0
        assert report(proxy, "--min-samples", "20", "--fail-on", kept, "--fail-on", broken) == 1
        assert report(proxy, "--min-samples", "20", "--fail-on", kept, "--fail-on", unknown) == 3
        assert report(proxy, "--min-samples", "20", "--fail-on", broken, "--fail-on", unknown) == 1
        assert report(proxy, "--fail-on", kept) == 3
        heads = [
            line
            for line in capsys.readouterr().out.splitlines()
            if line[:6] in {"PASSED", "FAILED", "UNDECI"}
        ]
        assert heads == [
            "PASSED  1 limit kept",
            "FAILED  1 of 2 limits broken",
            "UNDECIDED  1 of 2 limits undecided: too few samples",
            "FAILED  1 of 2 limits broken; 1 of 2 limits undecided: too few samples",
            "UNDECIDED  1 of 1 limit undecided: too few samples",
        ]


@pytest.mark.slow
def test_what_is_told_after_waiting_happened_meanwhile(tmp_path: Path, capsys: Capture) -> None:
    with mirrored(tmp_path, 20) as proxy:
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                proxy.ask()

        clients = threading.Thread(target=ask)
        clients.start()
        try:
            assert (
                report(proxy, "--requests", "5", "--format", "json", "--output", str(tmp_path / "r.json"))
                == 0
            )
        finally:
            is_over.set()
            clients.join()
        said = capsys.readouterr()
        assert said.out == "NOT COMPARED  mirror: nothing was compared\n"
        assert said.err.splitlines()[-1].startswith("100 %")
        document = json.loads((tmp_path / "r.json").read_text())
        samples = document["mirrors"][0]["figures"]["primary_error_rate"]["samples"]
        assert 5 <= samples <= proxy.metric("requests_total") - 20
        begun = time.time()
        assert report(proxy, "--for", "100ms", "--format", "json") == 0
        document = json.loads(capsys.readouterr().out)
        assert begun - 1 <= document["since"] < document["until"]
        assert document["mirrors"][0]["figures"]["primary_error_rate"]["samples"] == 0


@pytest.mark.slow
def test_a_fault_of_v2_is_told_with_examples_to_who_may_see_them(tmp_path: Path, capsys: Capture) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    address = Address("127.0.0.1", free_port())
    settings: dict[str, Any] = {
        "compare": Compare(Share(100), store=f"sqlite:///{tmp_path}/store.db"),
        "admin": Admin(address, str(token)),
    }
    with (
        origin(b'{"price": 1}') as v1,
        origin(b'{"price": 2}') as v2,
        running(config_for(v1.address, mirror=v2.address, **settings), tmp_path) as proxy,
    ):
        for _ in range(120):
            proxy.ask()
        until(lambda: _counted(proxy, "compared") == 120, "all pairs to be compared")
        words = ("--format", "json", "--fail-on", "diff_rate>1%")
        assert report(proxy, *words, "--token-file", str(token)) == 1
        said = capsys.readouterr()
        assert said.err == ""
        [mirror] = json.loads(said.out)["mirrors"]
        field = mirror["fields"][0]
        assert (field["path"], field["kind"], field["verdict"]) == ("$.price", "value", "reported")
        assert [(one["primary"], one["shadow"]) for one in field["examples"]] == [("1", "2")]
        assert mirror["notes"][0].startswith("Route r has no baseline: differences between two responses")
        assert report(proxy, *words) == 1
        said = capsys.readouterr()
        assert said.err == (
            "the report has no examples, and does not join places that differ together: what was stored needs the"
            " token: send Authorization: Bearer TOKEN\n"
        )
        assert json.loads(said.out)["mirrors"][0]["fields"][0]["examples"] == []


def _counted(proxy: RunningProxy, family: str) -> int:
    proxy.hurry_comparer()
    status, answer = proxy.change("GET", "/compare/report?findings=false")
    return sum(row[-1] for row in answer["totals"] if row[0] == family) if status == 200 else 0


@pytest.mark.slow
def test_a_wait_that_is_broken_off_says_so_and_tells_nothing(tmp_path: Path) -> None:
    with mirrored(tmp_path, 1) as proxy:
        address = str(proxy.config.settings.admin.address)
        command = [sys.executable, "-m", "mirror_proxy", "report", "--for", "1h", "--admin", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline().startswith("  0 %  0 requests, 1 h")
            waiting.send_signal(signal.SIGINT)
            said, told = waiting.communicate(timeout=BOUND_S)
        assert (waiting.returncode, said) == (3, "")
        assert told == "no report: the wait was interrupted\n"


# --- a store ---


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Fill a store with what the rich report is made of, and three examples."""
    address = f"sqlite:///{tmp_path}/store.db"
    store = open_run(address)
    store.store.begin([RUN], 1.0)
    store.add(rich().data.totals.counts, [], time.time())
    for found in rich().mirrors[0].fields[:3]:
        store.add({}, found.examples, time.time())
    store.close()
    return address


def test_a_store_is_read_without_a_proxy(url: str, capsys: Capture) -> None:
    assert cli.main(["report", "--store", url, "--format", "json", "--mirror", "shop/v2"], {}) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["source"], said["since"]) == (url, 0)
    [mirror] = said["mirrors"]
    found = {(one["path"], one["verdict"]): len(one["examples"]) for one in mirror["fields"][:3]}
    assert found == {
        ("$.items[].price", "reported"): 2,
        ("status 200 -> 500", "reported"): 1,
        ("$.items[].stock", "reported"): 1,
    }
    assert mirror["fields"][0]["examples"][0]["shadow"] == "99.01"
    assert cli.main(["report", "--store", url, "--examples", "0", "--format", "json"], {}) == 0
    assert not any(one["examples"] for one in json.loads(capsys.readouterr().out)["mirrors"][0]["fields"])


def test_a_span_begins_with_a_minute_as_counts_do(url: str, capsys: Capture) -> None:
    assert cli.main(["report", "--store", url, "--format", "json", "--since", "90s"], {}) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["since"] % 60 == 0
    assert 90 <= said["until"] - said["since"] < 150
    assert said["mirrors"][0]["compared"] == 5_000


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--fail-on", "diff_rate>1%"], 1),
        (["--fail-on", "diff_rate>2.5%", "--mirror", "shop/v2"], 0),
        (["--fail-on", "diff_rate>2.5%"], 3),
        (["--fail-on", "diff_rate > 2.5%", "--min-samples", "5001", "--mirror", "shop/v2"], 3),
        (["--fail-on", "p99_delta>40ms", "--mirror", "shop/v2"], 1),
        (["--fail-on", "p99_delta>50ms", "--mirror", "shop/v2"], 3),
        (["--fail-on", "p99_delta>50ms", "--mirror", "shop/v3"], 0),
        (["--since", "1h", "--fail-on", "mirror_error_rate>0.5%"], 1),
        ([], 0),
    ],
)
def test_limits_on_a_store_set_the_exit_code(url: str, words: list[str], code: int) -> None:
    assert cli.main(["report", "--store", url, *words], {}) == code


@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown", "html"])
def test_every_format_goes_into_a_file_and_the_verdict_to_the_terminal(
    url: str, tmp_path: Path, capsys: Capture, form: str
) -> None:
    file = tmp_path / "out"
    words = ["--store", url, "--format", form, "--output", str(file), "--fail-on", "diff_rate>1%"]
    assert cli.main(["report", *words], {}) == 1
    assert (
        capsys.readouterr().out == "FAILED  1 of 2 limits broken; 1 of 2 limits undecided: too few samples\n"
    )
    text = file.read_text(encoding="utf-8")
    assert "items[].price" in text
    if form == "junit":
        assert len(ET.fromstring(text).findall(".//failure")) == 4


def test_hostile_names_do_not_reach_the_terminal_as_they_are(tmp_path: Path, capsys: Capture) -> None:
    address = f"sqlite:///{tmp_path}/store.db"
    counts: dict[Key, int] = {
        ("compared", HOSTILE, HOSTILE, HOSTILE): 200,
        ("field", HOSTILE, HOSTILE, HOSTILE, HOSTILE, "value"): 200,
        ("outcome", HOSTILE, HOSTILE, "completed"): 200,
    }
    words = (HOSTILE,) * 6
    example = Example(time.time(), *words, ((HOSTILE, HOSTILE),), SIDE, SIDE, ())
    store = open_run(address)
    store.add(counts, [example], time.time())
    store.close()
    for form in ("text", "markdown", "junit", "html", "json"):
        assert cli.main(["report", "--store", address, "--format", form], {}) == 0
    assert cli.main(["report", "--store", address, "--mirror", "\x1b[2J"], {}) == 2
    said = capsys.readouterr()
    assert [one for one in said.out + said.err if not one.isprintable() and one != "\n"] == []


# --- runs ---


@pytest.fixture
def two_runs(tmp_path: Path) -> str:
    """Fill a store with a run of 200 pairs that differ, and a later one of 300 that are equal."""
    address = f"sqlite:///{tmp_path}/store.db"
    store = Store(address, StoreLimits())
    first, second = (replace(RUN, label=label) for label in ("v2-1482", "v2-1483"))
    endpoint = ("shop", "v2", "GET /items")
    differing: dict[Key, int] = {
        ("compared", *endpoint): 200,
        ("differing", *endpoint): 200,
        ("field", *endpoint, "$.price", "value"): 200,
        ("leading", *endpoint, "$.price", "value"): 200,
    }
    store.add({first: differing}, [], time.time() - 7_200)
    store.add({second: {("compared", *endpoint): 300}}, [], time.time() - 3_600)
    store.close()
    return address


def compared_in(url: str, capsys: Capture, *words: str) -> int:
    assert cli.main(["report", "--store", url, "--format", "json", *words], {}) == 0
    [mirror] = json.loads(capsys.readouterr().out)["mirrors"]
    compared: int = mirror["compared"]
    return compared


def test_a_store_is_reported_on_by_its_newest_run_or_by_the_one_that_is_given(
    two_runs: str, capsys: Capture
) -> None:
    assert compared_in(two_runs, capsys) == 300
    assert compared_in(two_runs, capsys, "--run", "1") == 200
    assert cli.main(["report", "--store", two_runs], {}) == 0
    assert "run 2 (v2-1483), 20" in " ".join(capsys.readouterr().out.split())


def test_runs_are_listed_with_their_labels_and_pairs(two_runs: str, capsys: Capture) -> None:
    assert cli.main(["report", "--store", two_runs, "--list-runs"], {}) == 0
    head, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["run", "label", "service", "mirror", "started", "(UTC)", "last", "pairs"]
    assert [(row[:4], row[-1]) for row in rows] == [
        (["1", "v2-1482", "shop", "v2"], "200"),
        (["2", "v2-1483", "shop", "v2"], "300"),
    ]


def test_a_deleted_run_is_gone_and_the_one_before_it_is_the_newest(two_runs: str, capsys: Capture) -> None:
    assert cli.main(["report", "--store", two_runs, "--delete-run", "2"], {}) == 0
    assert capsys.readouterr().out == "run 2 is deleted: 300 pairs of v2\n"
    assert compared_in(two_runs, capsys) == 200


@pytest.mark.parametrize("flag", ["--run", "--delete-run"])
def test_a_run_that_is_not_there_is_a_wrong_argument(two_runs: str, capsys: Capture, flag: str) -> None:
    assert cli.main(["report", "--store", two_runs, flag, "9"], {}) == 2
    said = capsys.readouterr().err
    assert said == f"mirror-proxy report: there is no run 9 in {two_runs}; --list-runs prints them\n"


def test_a_run_is_compared_with_an_earlier_one_of_its_mirror(two_runs: str, capsys: Capture) -> None:
    assert cli.main(["report", "--store", two_runs, "--against", "1"], {}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mirror v2: 0 worse, 1 better, 0 as before"
    assert lines[-1].split() == ["GET", "/items", "$.price", "value", "200", "of", "200", "0", "of", "300"]
    assert (
        cli.main(["report", "--store", two_runs, "--run", "1", "--against", "2", "--format", "json"], {}) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert (said["runs"], said["better"]) == ({"before": [2], "after": [1]}, [])
    assert [(one["path"], one["before"], one["after"]) for one in said["worse"]] == [("$.price", 0, 200)]


@pytest.mark.parametrize(
    "words", [["--format", "html"], ["--fail-on", "diff_rate>1%"], ["--for", "1s"], ["--output", "x"]]
)
def test_what_a_comparison_of_runs_cannot_do_is_a_wrong_argument(two_runs: str, words: list[str]) -> None:
    assert cli.main(["report", "--store", two_runs, "--against", "1", *words], {}) == 2


@pytest.mark.slow
def test_runs_of_a_running_proxy_are_begun_reset_listed_and_deleted(tmp_path: Path, capsys: Capture) -> None:
    compare = Compare(share=Share(100), store=f"sqlite:///{tmp_path}/store.db", label="v2-1483")
    with (
        origin(b"v1") as v1,
        origin(b"v2") as v2,
        running(config_for(v1.address, mirror=v2.address, compare=compare), tmp_path) as proxy,
    ):
        environ = {"MIRROR_PROXY_ADMIN": str(proxy.config.settings.admin.address)}

        def rows(*words: str) -> list[tuple[str, str]]:
            assert cli.main(list(words), environ) == 0
            _, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
            return [(line[0], line[-1]) for line in lines]

        assert proxy.ask() == (200, "v1")
        until(lambda: _counted(proxy, "compared") == 1, "the pair to be compared")
        assert rows("ctl", "compare", "new-run") == [("2", "0")]
        assert rows("report", "--list-runs") == [("1", "1"), ("2", "0")]
        assert report(proxy, "--run", "1", "--format", "json") == 0
        assert json.loads(capsys.readouterr().out)["mirrors"][0]["compared"] == 1
        assert rows("ctl", "compare", "reset", "mirror") == [("3", "0")]
        assert report(proxy, "--delete-run", "1") == 0
        capsys.readouterr()
        assert rows("report", "--list-runs") == [("3", "0")]
        assert report(proxy, "--run", "1") == 2
        assert cli.main(["ctl", "compare", "reset", "nobody"], environ) == 1
        assert cli.main(["ctl", "compare", "restart"], environ) == 2


# --- what cannot be ---


@pytest.mark.slow
def test_a_mirror_that_is_not_there_is_told_at_once_with_those_that_are(
    tmp_path: Path, capsys: Capture
) -> None:
    with mirrored(tmp_path, 1) as proxy:
        assert report(proxy, "--mirror", "miror", "--for", "1h") == 2
        assert capsys.readouterr().err == (
            'mirror-proxy report: --mirror: there is no mirror "miror"; did you mean "mirror"?\n'
        )
        assert report(proxy, "--mirror", "else") == 2
        assert capsys.readouterr().err.endswith('there is no mirror "else"; known: mirror\n')


def test_what_cannot_be_read_or_written_is_told(url: str, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["report", "--admin", f"127.0.0.1:{free_port()}"], {}) == 4
    assert "no proxy answers at 127.0.0.1:" in capsys.readouterr().err
    assert cli.main(["report", "--store", f"sqlite:///{tmp_path}/none.db"], {}) == 4
    assert capsys.readouterr().err == f"there is no store {tmp_path}/none.db\n"
    assert not (tmp_path / "none.db").exists()
    assert cli.main(["report", "--store", url, "--output", str(tmp_path)], {}) == 4
    assert capsys.readouterr().err == f"{tmp_path}: cannot be written: Is a directory\n"


@pytest.mark.slow
def test_where_standard_output_takes_no_more_that_is_told(url: str) -> None:
    command = [sys.executable, "-m", "mirror_proxy", "report", "--store", url, "--format", "html"]
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("w", encoding="utf-8") as full, os.fdopen(writing, "w") as nobody:
        for out, reason in ((full, "No space left on device"), (nobody, "Broken pipe")):
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
            assert (done.returncode, done.stderr) == (4, f"standard output cannot be written: {reason}\n")


def test_a_question_that_is_broken_off_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [
            sys.executable,
            "-m",
            "mirror_proxy",
            "report",
            "--admin",
            f"127.0.0.1:{silent.getsockname()[1]}",
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as asking:
            asked, _ = silent.accept()
            with asked:
                assert asked.recv(4)
                asking.send_signal(signal.SIGINT)
                _, told = asking.communicate(timeout=BOUND_S)
    assert (asking.returncode, told) == (1, "broken off\n")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"version": "9", "time": 1, "since": "x"},
        {"version": "9", "time": 1, "since": 0, "totals": [[]], "thresholds": {}, "mirrors": []},
        {"version": "9", "time": 1, "since": 0, "totals": [], "thresholds": {"new": 1}, "mirrors": []},
    ],
)
def test_an_answer_of_another_version_is_told_as_such(answer: object, capsys: Capture) -> None:
    with origin(json.dumps(answer).encode()) as other:
        assert cli.main(["report", "--admin", str(other.address)], {}) == 4
        told = f"what {other.address} answers cannot be read; is it a mirror-proxy of another version?\n"
        assert capsys.readouterr().err == told


def test_a_store_that_is_none_is_told_as_such(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "store.db").write_text("nothing of the kind" * 100)
    assert cli.main(["report", "--store", f"sqlite:///{tmp_path}/store.db"], {}) == 4
    assert f"{tmp_path}/store.db cannot be opened: file is not a database" in capsys.readouterr().err


def test_the_password_of_a_store_is_not_shown(capsys: Capture) -> None:
    address = f"postgresql://reader:hunter2@127.0.0.1:{free_port()}/shop?password=hunter3"
    assert cli.main(["report", "--store", address], {}) == 4
    said = capsys.readouterr()
    assert "postgresql" in said.err
    assert "hunter" not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--fail-on", "diff_rat>1%"], 'there is no figure "diff_rat"; did you mean "diff_rate"?'),
        (["--fail-on", "loop_lag>1s"], 'there is no figure "loop_lag"'),
        (["--since", "yesterday"], '"yesterday" is not a duration'),
        (["--for", "0"], '"0" is no time at all; write such as 5m or 1h'),
        (["--requests", "-1"], '"-1" is not a whole number'),
        (["--min-samples", "few"], '"few" is not a whole number'),
        (["--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_nonsense_is_a_usage_error(words: list[str], reason: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["report", *words], {})
    assert left.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--store", "sqlite:///x", "--admin", "127.0.0.1:1"], "--store is read without a proxy"),
        (["--since", "1h", "--for", "1h"], "--since looks back, --for and --requests wait: give one"),
        (["--since", "1h", "--requests", "1"], "--since looks back, --for and --requests wait: give one"),
        (["--examples", "101"], "--examples: no more than 100"),
        (["--output", "none/at/all"], "--output none/at/all: there is no such folder"),
        (["--admin", "9901"], "--admin: "),
        (["--token-file", "none/at/all"], "--token-file none/at/all cannot be read"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(words: list[str], reason: str, capsys: Capture) -> None:
    assert cli.main(["report", *words], {}) == 2
    assert reason in capsys.readouterr().err
