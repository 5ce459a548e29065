"""The conditions under which a route takes a request: one block, compiled (Envoy's `RouteMatch`).

All must be met. The condition on the path can be left out: the index (`route_list`) decides most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter, eq

from mirror_proxy.config import model
from mirror_proxy.regex import Pattern
from mirror_proxy.routing.view import RequestView

Test = Callable[[bytes], bool]
Read = Callable[[RequestView], Sequence[bytes]]


class Condition:
    """One thing that must hold; `text` says what, for people."""

    __slots__ = ("_invert", "_read", "_test", "text")

    def __init__(self, text: str, read: Read, test: Test | None, *, invert: bool = False) -> None:
        self._read = read
        self._test = test
        self._invert = invert
        self.text = text

    def holds(self, view: RequestView) -> bool:
        """Return whether it does: of several values any may be the one, and inverted none.

        Without a test it is that there is a value at all. What is absent counts as empty when inverted.
        """
        values, test = self._read(view), self._test
        if test is None:
            return bool(values) is not self._invert
        if self._invert:
            return not any(map(test, values or (b"",)))
        return any(map(test, values))

    def found(self, view: RequestView) -> str:
        """Say what it looked at, for people."""
        values = [f'"{value.decode("latin-1")}"' for value in self._read(view)]
        return f"it is {', '.join(values)}" if values else "there is none"


class CompiledMatch:
    """A block of conditions."""

    __slots__ = ("_conditions",)

    def __init__(self, config: model.Match, *, with_path: bool = True) -> None:
        self._conditions = tuple(_conditions_of(config, with_path=with_path))

    def __bool__(self) -> bool:
        return bool(self._conditions)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return each condition as text, in the order in which they are checked."""
        return tuple(condition.text for condition in self._conditions)

    def takes(self, view: RequestView) -> bool:
        """Return whether every condition holds."""
        return all(condition.holds(view) for condition in self._conditions)

    def failing_condition(self, view: RequestView) -> str | None:
        """Say which condition does not hold first, and what it found; None when all hold."""
        for condition in self._conditions:
            if not condition.holds(view):
                return f"{condition.text}: {condition.found(view)}"
        return None


def is_for_every_path(config: model.Match) -> bool:
    """Return whether a block of conditions leaves the path open."""
    path = config.path
    if path is None or path.kind == "present" or (path.kind, path.value) == ("regex", ".*"):
        return True
    return path.kind in ("prefix", "segments") and path.value in ("", "/")


def is_empty(config: model.Match) -> bool:
    """Return whether a block of conditions has none that could fail."""
    others = (config.method, config.authority, config.scheme, config.port)
    has_fields = bool(config.headers or config.query)
    return is_for_every_path(config) and not has_fields and all(other is None for other in others)


def has_prefix_of_segments(prefix: bytes, path: bytes) -> bool:
    """Return whether `path` is `prefix` or below it; `prefix` has no slash at its end."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")


def whole_segments(prefix: bytes) -> bytes:
    """Give a prefix of segments as it is compared: `/a/` is `/a`, and `/` is every path."""
    return prefix.rstrip(b"/")


def _conditions_of(config: model.Match, *, with_path: bool) -> Iterator[Condition]:
    """Cheap conditions first."""
    if with_path and config.path is not None and not is_for_every_path(config):
        yield _condition("path", partial(_read_part, attrgetter("path")), config.path)
    for subject, wanted in (
        ("method", config.method), ("authority", config.authority), ("scheme", config.scheme),
    ):  # fmt: skip
        if wanted is not None:
            yield _condition(subject, partial(_read_part, attrgetter(subject)), wanted)
    if config.port is not None:
        yield Condition(f"port is {config.port}", _read_port, partial(eq, str(config.port).encode()))
    for field in config.headers:
        name = field.name.lower()
        yield _condition(f"header {name}", partial(_read_header, name.encode()), field.value, field.invert)
    for field in config.query:
        read = partial(_read_query, field.name.encode())
        yield _condition(f"query parameter {field.name}", read, field.value, field.invert)


def _condition(subject: str, read: Read, wanted: model.StringMatch, invert: bool = False) -> Condition:
    if wanted.kind == "present":
        return Condition(f"{subject} is {'absent' if invert else 'present'}", read, None, invert=invert)
    kind = {"exact": "is", "prefix": "begins with", "regex": "matches", "segments": "is or is below"}[
        wanted.kind
    ]
    case = ", whatever its case," if wanted.ignore_case else ""
    text = f'{"not: " if invert else ""}{subject}{case} {kind} "{wanted.value}"'
    return Condition(text, read, string_test(wanted), invert=invert)


def string_test(wanted: model.StringMatch) -> Test:
    """Compile what a string must be."""
    value = wanted.value.encode()
    if wanted.kind == "present":
        return _is_anything
    if wanted.kind == "regex":
        return Pattern(f"(?i){wanted.value}" if wanted.ignore_case else wanted.value).is_match
    if wanted.kind == "segments":
        value = whole_segments(value)
    test: Callable[[bytes, bytes], bool] = {
        "exact": eq,
        "prefix": _begins,
        "segments": has_prefix_of_segments,
    }[wanted.kind]
    return partial(_folded, test, value.lower()) if wanted.ignore_case else partial(test, value)


def _is_anything(_: bytes) -> bool:
    return True


def _begins(prefix: bytes, subject: bytes) -> bool:
    return subject.startswith(prefix)


def _folded(test: Callable[[bytes, bytes], bool], value: bytes, subject: bytes) -> bool:
    return test(value, subject.lower())


def _read_part(part: Callable[[RequestView], bytes], view: RequestView) -> Sequence[bytes]:
    return (part(view),)


def _read_header(name: bytes, view: RequestView) -> Sequence[bytes]:
    return view.values(name)


def _read_query(name: bytes, view: RequestView) -> Sequence[bytes]:
    value = view.query(name)
    return () if value is None else (value,)


def _read_port(view: RequestView) -> Sequence[bytes]:
    return (b"%d" % view.port,)
