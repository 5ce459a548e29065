"""Waiting for traffic: until there was enough of it, or for so long, with a bar on a terminal to see how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO, TypeVar

from mirror_proxy.cli.sources import SourceError
from mirror_proxy.comparison.report import words

_LOOK_S = 1.0
#: A source that cannot be read for the moment is asked again so often.
_PATIENCE = 5
#: After the wait, what is being compared is given so many looks to be done.
_SETTLING = 5
_BAR = 30
_STEPS = 10

T = TypeVar("T")


class Progress:
    """A bar on a terminal; elsewhere a line for every tenth of the way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._told = -1

    def show(self, share: float, said: str) -> None:
        """Show how far it is (0 to 1), and a few words."""
        percent = f"{min(1.0, share) * 100:3.0f} %"
        if self._is_terminal:
            bar = "#" * round(_BAR * min(1.0, share))
            self._write(f"\r\x1b[K[{bar:.<{_BAR}}] {percent}  {said}")
        elif int(share * _STEPS) > self._told:
            self._told = int(share * _STEPS)
            self._write(f"{percent}  {said}\n")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._is_terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def wait(
    count: Callable[[], int],
    progress: Progress,
    for_s: float | None,
    requests: int | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return after `for_s` seconds, or when `count` says that there were so many requests, whichever is first.

    Raises `SourceError` as `patiently` does.
    """
    begun = clock()
    try:
        while True:
            found = patiently(count, sleep)
            passed_s = clock() - begun
            share = max(passed_s / for_s if for_s else 0.0, found / requests if requests else 0.0)
            progress.show(share, _said(found, passed_s, for_s, requests))
            if share >= 1:
                return
            sleep(min(_LOOK_S, for_s - passed_s) if for_s else _LOOK_S)
    finally:
        progress.close()


def settled(ask: Callable[[], T], size: Callable[[T], int], sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what `ask` does once it has stopped growing, for what was counted last may still be compared.

    It is not waited for long: under traffic it never stops. Raises `SourceError` as `patiently` does.
    """
    found = patiently(ask, sleep)
    for _ in range(_SETTLING):
        sleep(_LOOK_S)
        before, found = found, patiently(ask, sleep)
        if size(found) == size(before):
            break
    return found


def patiently(ask: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Return what `ask` does, also if it fails at first with what will pass. Raises `SourceError`."""
    for _ in range(_PATIENCE):
        try:
            return ask()
        except SourceError as error:
            if not error.is_passing:
                raise
            sleep(_LOOK_S)
    return ask()


def _said(found: int, passed_s: float, for_s: float | None, requests: int | None) -> str:
    enough = f" of {words.count(requests)}" if requests else ""
    left = f", {words.span(for_s - passed_s)} left" if for_s else f" in {words.span(passed_s)}"
    return f"{words.count(found)}{enough} requests{left}"
