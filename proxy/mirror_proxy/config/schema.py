"""Schema: small types from which each dialect's table is put together.

A type does two things with one description: `read` a place into a model value, reporting all that is wrong
there, and `schema` itself as JSON Schema for editors. Type errors are worded as the Kubernetes API server's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mirror_proxy.config import quantity
from mirror_proxy.config.node import Place
from mirror_proxy.config.problems import did_you_mean

INVALID: Final = object()  # what `read` returns after it has reported a problem


class Type(Protocol):
    """The type of a field."""

    def read(self, place: Place) -> Any:
        """Return the model's value of the node at `place`, or report and return INVALID."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the node."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, boolean or number that `parse` turns into a model value or refuses by ValueError."""

    types: tuple[str, ...]
    parse: Callable[[Any], Any]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def read(self, place: Place) -> Any:
        """Check the type, then parse."""
        if not _is_type(place, self.types):
            return INVALID
        try:
            return self.parse(place.node.value)
        except ValueError as error:
            place.refuse(str(error))
            return INVALID

    def schema(self) -> dict[str, Any]:
        """Return the types and their bounds."""
        return {"type": self.types[0] if len(self.types) == 1 else list(self.types), **self.extra}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; `besides` names what else is taken in their place."""

    words: Mapping[str, Any]
    besides: str = ""

    def read(self, place: Place) -> Any:
        """Look the word up."""
        if not _is_type(place, ("string",)):
            return INVALID
        word = place.node.value
        if word in self.words:
            return self.words[word]
        hint = did_you_mean(word, self.words)
        known = ", ".join(filter(None, (self.besides, *self.words)))
        place.refuse(f'"{word}" is not one of {known}', hint)
        return INVALID

    def schema(self) -> dict[str, Any]:
        """Return the words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Either:
    """One of several types, by the JSON type of the node."""

    by_type: Mapping[str, Type]

    def read(self, place: Place) -> Any:
        """Read by the type that fits."""
        if not _is_type(place, tuple(self.by_type)):
            return INVALID
        return self.by_type[place.node.type_name].read(place)

    def schema(self) -> dict[str, Any]:
        """Return the alternatives."""
        return {"anyOf": [kind.schema() for kind in self.by_type.values()]}


@dataclass(frozen=True, slots=True)
class Refused:
    """A field whose meaning cannot be kept here."""

    message: str
    hint: str = ""

    def read(self, place: Place) -> Any:
        """Refuse any value."""
        place.refuse(self.message, self.hint)
        return INVALID

    def schema(self) -> dict[str, Any]:
        """Return a schema that nothing meets."""
        return {"not": {}}


@dataclass(frozen=True, slots=True)
class Ignored:
    """A field of the dialect that has no meaning here: accepted, unread."""

    def read(self, place: Place) -> Any:
        """Accept anything."""
        return place.node

    def schema(self) -> dict[str, Any]:
        """Return a schema that everything meets."""
        return {}


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array, read as a tuple, or as whatever `build` makes of it; INVALID when an item is.

    `null` is the message for a null item. `is_partial` leaves INVALID items out, so that the others can be checked
    further.
    """

    item: Type
    null: str = "must not be null"
    build: Callable[[tuple[Any, ...]], Any] = tuple
    at_least: int = 0
    is_partial: bool = False

    def read(self, place: Place) -> Any:
        """Read each item."""
        if not _is_type(place, ("array",)):
            return INVALID
        if len(place.node.value) < self.at_least:
            place.refuse(f"needs at least {self.at_least} item")
            return INVALID
        values = tuple(self._read_item(child) for child in place.items())
        if self.is_partial:
            values = tuple(value for value in values if value is not INVALID)
        return INVALID if INVALID in values else self.build(values)

    def _read_item(self, child: Place) -> Any:
        if child.node.value is None:
            child.refuse(self.null)
            return INVALID
        return self.item.read(child)

    def schema(self) -> dict[str, Any]:
        """Return the array of items."""
        least = {"minItems": self.at_least} if self.at_least else {}
        return {"type": "array", "items": self.item.schema(), **least}


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with free keys, read as a tuple of pairs; `key` turns a key or refuses it by ValueError."""

    value: Type
    key: Callable[[str], str] = str

    def read(self, place: Place) -> Any:
        """Read each pair, in the order written."""
        if not _is_type(place, ("object",)):
            return INVALID
        pairs = []
        for name in place.node.value:
            child = place.at(name)
            try:
                key = self.key(name)
            except ValueError as error:
                child.refuse(str(error))
                continue
            if (value := self.value.read(child)) is not INVALID:
                pairs.append((key, value))
        return tuple(pairs)

    def schema(self) -> dict[str, Any]:
        """Return the object of values."""
        return {"type": "object", "additionalProperties": self.value.schema()}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a Record.

    `attribute` is the argument of the record's `build` (empty: read and checked, then dropped); `default` is
    shown in help and JSON Schema, as one would write it. `missing` is the message for a missing required key.
    """

    key: str
    attribute: str
    kind: Type
    text: str = ""
    default: Any = None
    required: bool = False
    altname: str = ""
    missing: str = "Required value"

    def schema(self) -> dict[str, Any]:
        """Return the kind's schema with this key's description and default."""
        described = {"description": self.text} if self.text else {}
        defaulted = {} if self.default is None else {"default": self.default}
        return {**described, **defaulted, **self.kind.schema()}


@dataclass(frozen=True, slots=True)
class Record:
    """An object with known keys, given to `build` as keyword arguments (absent keys are left out).

    `placed` adds `place`, for checks that need more than one key. `is_proto` accepts Istio's snake_case
    names with a warning. `elsewhere` has hints for keys that belong to another place. Returns INVALID when a required
    key is missing or `build` cannot go on; with `is_whole` also when any key cannot be read.
    """

    build: Callable[..., Any]
    fields: tuple[Field, ...]
    placed: bool = False
    is_proto: bool = False
    is_whole: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    by_name: dict[str, Field] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.by_name.update((known.key, known) for known in self.fields)
        self.by_name.update((known.altname, known) for known in self.fields if known.altname)

    def read(self, place: Place) -> Any:
        """Read each key, refuse unknown ones, and build."""
        if not _is_type(place, ("object",)):
            return INVALID
        values: dict[str, Any] = {"place": place} if self.placed else {}
        is_complete = True
        written = self._written(place)
        for key, child in written.items():
            known = self.by_name[key]
            value = known.kind.read(child)
            is_complete &= value is not INVALID or not (known.required or self.is_whole)
            if known.attribute and value is not INVALID:
                values[known.attribute] = value
        for known in self.fields:
            if known.required and known.key not in written:
                _absent(place, known.key).refuse(known.missing)
                is_complete = False
        if not is_complete:
            return INVALID
        try:
            return self.build(**values)
        except ValueError as error:
            place.refuse(str(error))
            return INVALID

    def _written(self, place: Place) -> dict[str, Place]:
        """Return the place of each known key that is there and not null."""
        written: dict[str, Place] = {}
        for name, node in place.node.value.items():
            known = self.by_name.get(name)
            if known is None and self.is_proto and "_" in name:
                known = self.by_name.get(camel(name))
            if known is None:
                hint = self.elsewhere.get(name) or did_you_mean(name, [known.key for known in self.fields])
                place.at(name).refuse(f'unknown field "{name}"', hint)
            elif node.value is not None and (name == known.key or known.key not in written):
                written[known.key] = child = place.at(name)
                if name not in {known.key, known.altname}:
                    child.warn(f"kubectl will reject this; write {known.key}")
        return written

    def schema(self) -> dict[str, Any]:
        """Return the keys, closed."""
        required = [known.key for known in self.fields if known.required]
        return {
            "type": "object",
            "properties": {
                known.key: known.schema() for known in self.fields if not isinstance(known.kind, Refused)
            },
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def field(self, *path: str) -> Field:
        """Return the field that a path of keys leads to."""
        found = next(known for known in self.fields if known.key == path[0])
        if len(path) == 1:
            return found
        kind = found.kind.item if isinstance(found.kind, ListOf) else found.kind
        if not isinstance(kind, Record):
            raise KeyError(path)
        return kind.field(*path[1:])


def _absent(place: Place, key: str) -> Place:
    """Return the place of a key that is not there."""
    return Place(place.node, place.problems, place.subject, f"{place.path}.{key}".lstrip("."))


def camel(name: str) -> str:
    """Return the lowerCamelCase form of a snake_case name."""
    if "_" not in name:
        return name
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


def _is_type(place: Place, types: tuple[str, ...]) -> bool:
    if place.node.type_name in types:
        return True
    named = [name for name in types if name != "integer" or "number" not in types]
    place.refuse(f'must be of type {" or ".join(named)}: "{place.node.type_name}"')
    return False


def whole(least: int, most: int) -> Scalar:
    """Return the type of a whole number within bounds."""
    return Scalar(("integer",), _within(least, most), {"minimum": least, "maximum": most})


def number(least: float, most: float) -> Scalar:
    """Return the type of a number within bounds."""
    return Scalar(
        ("number", "integer"), _within(least, most), {"type": "number", "minimum": least, "maximum": most}
    )


def duration(least_s: float = 0.001, most_s: float = 86_400.0) -> Scalar:
    """Return the type of a duration in seconds, by default at least a millisecond and at most a day."""

    def parse(text: str) -> float:
        seconds = quantity.duration(text)
        if seconds < least_s:
            raise ValueError("duration must be greater than 1ms" if least_s < 1 else f"at least {least_s:g}s")
        if seconds > most_s:
            raise ValueError(f'"{text}" is too long; the most is {most_s:g}s')
        return seconds

    return Scalar(("string",), parse, {"pattern": rf"^(0|({quantity.DURATION_PATTERN})+)$"})


def size(least: int, most: int) -> Scalar:
    """Return the type of a size in bytes."""
    within = _within(least, most)
    pattern = {"pattern": f"^{quantity.SIZE_PATTERN}$"}
    return Scalar(("string", "integer"), lambda value: within(quantity.size(value)), pattern)


def optional_size(least: int, most: int) -> Scalar:
    """Return the type of a size in bytes, or an empty string for None: no limit."""
    within = _within(least, most)
    pattern = {"pattern": f"^({quantity.SIZE_PATTERN})?$"}
    return Scalar(
        ("string", "integer"), lambda value: None if value == "" else within(quantity.size(value)), pattern
    )


def _within(least: float, most: float) -> Callable[[Any], Any]:
    def check(value: float) -> float:
        if not least <= value <= most:
            raise ValueError(f"must be in the range {least}..{most} (it is {value})")
        return value

    return check


TEXT = Scalar(("string",), str)
BOOLEAN = Scalar(("boolean",), bool)
ADDRESS = Scalar(
    ("string",), quantity.address, {"pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+):[0-9]{1,5}$"}
)
LISTENER_ADDRESS = Scalar(
    ("string",),
    quantity.listener_address,
    {"pattern": r"^((\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+):[0-9]{1,5}|unix://[/@].+)$"},
)
