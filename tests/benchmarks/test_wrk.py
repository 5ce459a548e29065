from __future__ import annotations

import pytest

from benchmarks import wrk

SUMMARY = """Running 3s test @ http://127.0.0.1:40001/bench
  1 threads and 32 connections
    Latency     2.46ms    1.02ms  24.00ms   91.20%
Requests/sec:  10814.00
"""
FIGURES = (
    '{"duration_us": 2000000, "requests": 300, "p50_us": 1500, "p99_us": 24000, '
    '"status": 100, "connect": 1, "read": 2, "write": 3, "timeout": 4}\n'
)


def test_figures_are_read_from_the_last_line() -> None:
    load = wrk.parse(SUMMARY + FIGURES)
    assert (load.p50_ms, load.p99_ms, load.duration_s) == (1.5, 24.0, 2.0)


def test_bad_answers_are_errors_and_no_throughput() -> None:
    load = wrk.parse(SUMMARY + FIGURES)
    assert load.requests == 200
    assert load.per_second == 100
    assert load.errors == 110


def test_an_output_without_figures_is_refused_with_its_last_words() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")
