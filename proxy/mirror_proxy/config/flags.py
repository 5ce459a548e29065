"""Flags: the command line of `run`, and its environment variables.

One table makes the parser, its help and the variables' names. Values stay text, with a mark that names their
flag or variable; `overlay` turns them into documents, whose checks then report under that name.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mirror_proxy.config import quantity, settings
from mirror_proxy.config.model import LOG_FORMATS
from mirror_proxy.config.node import Node
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Mark, Problem, Problems, did_you_mean

PREFIX = "MIRROR_PROXY_"
WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of `run`. No `metavar`: a switch. `path`: the settings field it sets, whose help it takes."""

    name: str
    group: str
    metavar: str = ""
    path: tuple[str, ...] = ()
    text: str = ""
    repeats: bool = False
    is_number: bool = False
    has_variable: bool = True

    @property
    def option(self) -> str:
        """The flag as typed."""
        return f"--{self.name}"

    @property
    def key(self) -> str:
        """The name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable of the flag, or an empty string."""
        return PREFIX + self.key.upper() if self.has_variable else ""

    @property
    def help(self) -> str:
        """The help text, with the default."""
        if not self.path:
            return self.text
        field = settings.SPEC.field(*self.path)
        text = self.text or field.text
        return (
            text
            if field.default in (None, "") or not self.metavar
            else f"{text.removesuffix('.')} (default {field.default})."
        )


FORWARD, MIRROR, ADDRESSES, PROCESS, FILES = (
    "forwarding",
    "mirroring",
    "addresses",
    "process",
    "reading files",
)
COMPARE = "comparing"
FLAGS = (
    Flag(
        "primary",
        FORWARD,
        "URL",
        text="The upstream that answers clients: http(s)://HOST[:PORT] or unix://PATH.",
    ),
    Flag(
        "timeout",
        FORWARD,
        "TIME",
        text="Time limit for the primary's whole response (default: no limit). limits.streamIdleTimeout ends one"
        " without progress.",
    ),
    Flag("primary-ca", FORWARD, "FILE", text="PEM authorities for the primary (default: the system's)."),
    Flag("primary-cert", FORWARD, "FILE", text="PEM client certificate towards the primary."),
    Flag("primary-key", FORWARD, "FILE", text="PEM key of that certificate."),
    Flag("primary-sni", FORWARD, "NAME", text="Server name to ask the primary for (default: its host)."),
    Flag("primary-insecure", FORWARD, text="Do not verify the primary's certificate."),
    Flag("mirror", MIRROR, "URL", text="An upstream that gets copies; repeat for several.", repeats=True),
    Flag(
        "percent",
        MIRROR,
        "N",
        text="Percentage to copy, such as 0.5: once for all mirrors or once for each (default 100).",
        repeats=True,
        is_number=True,
    ),
    Flag(
        "methods",
        MIRROR,
        "LIST",
        ("mirroring", "methods"),
        "Which methods to mirror: safe, all, or a list such as GET,HEAD.",
    ),
    Flag("mirror-timeout", MIRROR, "TIME", ("mirroring", "timeout")),
    Flag(
        "mirror-remove-header",
        MIRROR,
        "NAME",
        ("mirroring", "headers", "remove"),
        "Header to leave out of copies, such as authorization; repeat for several.",
        repeats=True,
    ),
    Flag("mirror-host", MIRROR, "HOST", ("mirroring", "host")),
    Flag("shadow-suffix", MIRROR, path=("shadowHostSuffix",)),
    Flag("mark-key-file", MIRROR, "FILE", ("mirroring", "markKeyFile")),
    Flag("mirror-ca", MIRROR, "FILE", text="PEM authorities for https mirrors (default: the system's)."),
    Flag("mirror-cert", MIRROR, "FILE", text="PEM client certificate towards https mirrors."),
    Flag("mirror-key", MIRROR, "FILE", text="PEM key of that certificate."),
    Flag("mirror-sni", MIRROR, "NAME", text="Server name to ask https mirrors for (default: their host)."),
    Flag("mirror-insecure", MIRROR, text="Do not verify the mirrors' certificates."),
    Flag("compare", COMPARE, "N", ("compare", "percent"), is_number=True),
    Flag("label", COMPARE, "NAME", ("compare", "label")),
    Flag("compare-store", COMPARE, "URL", ("compare", "store", "url")),
    Flag(
        "secondary",
        COMPARE,
        "URL",
        text="A second v1, asked what is compared: how the two differ is noise.",
    ),
    Flag(
        "repeat-safe",
        COMPARE,
        "RULE",
        ("compare", "repeatSafe"),
        "Requests that the second v1 gets although their method is not safe, such as 'POST /search', 'POST /graphql"
        " query' or 'Get List Describe'; repeat for several.",
        repeats=True,
    ),
    Flag(
        "listen",
        ADDRESSES,
        "H:P",
        ("listeners", "address"),
        "HOST:PORT or unix://PATH to accept traffic on; repeat for several; port 0 is any free port"
        " (default 0.0.0.0:8080).",
        repeats=True,
    ),
    Flag(
        "tls-cert",
        ADDRESSES,
        "FILE",
        ("listeners", "tls", "certFile"),
        "PEM certificate chain: --listen speaks TLS.",
    ),
    Flag("tls-key", ADDRESSES, "FILE", ("listeners", "tls", "keyFile")),
    Flag("tls-client-ca", ADDRESSES, "FILE", ("listeners", "tls", "clientCaFile")),
    Flag("admin", ADDRESSES, "H:P", ("admin", "address")),
    Flag("admin-token-file", ADDRESSES, "FILE", ("admin", "tokenFile")),
    Flag("metrics", ADDRESSES, "H:P", ("metrics", "address")),
    Flag("workers", PROCESS, "N|auto", ("workers",), is_number=True),
    Flag(
        "access-log",
        PROCESS,
        "PATH|-",
        ("accessLog", "path"),
        'Where to log exchanges, "-" is standard output.',
    ),
    Flag("log-format", PROCESS, "|".join(LOG_FORMATS), ("log", "format")),
    Flag("log-level", PROCESS, "LEVEL", ("log", "level")),
    Flag("otlp-endpoint", PROCESS, "URL", ("tracing", "otlpEndpoint")),
    Flag("drain-delay", PROCESS, "TIME", ("drain", "delay")),
    Flag("grace", PROCESS, "TIME", ("drain", "grace")),
    Flag(
        "endpoint",
        FILES,
        "HOST[/SUBSET]=ADDRESS:PORT",
        text="Where a host, or one subset of it, is served; wins over files; repeat for several. A short host is the"
        " service of that name in every namespace.",
        repeats=True,
    ),
    Flag("namespace", FILES, "NAME", text="Namespace of documents without one (default default)."),
    Flag(
        "host-match",
        FILES,
        "auto|strict",
        text="auto: a single virtual service takes every Host; strict: only its hosts (default auto).",
    ),
    Flag(
        "service-port",
        FILES,
        "N",
        text="The port that a match's port means (default: the listener's).",
        is_number=True,
        has_variable=False,  # Kubernetes sets a variable of that name for a Service called mirror-proxy
    ),
    Flag(
        "workload-labels",
        FILES,
        "K=V,...",
        text="The proxy's own labels, for sourceLabels in a match.",
    ),
    Flag(
        "as",
        FILES,
        "mesh|NAMESPACE/GATEWAY",
        text="Which gateway to be, or mesh (default: all of them at once).",
    ),
    Flag("print-config", PROCESS, text="Print the configuration as documents, to keep in a file, and leave."),
)
READING = tuple(flag for flag in FLAGS if flag.name != "print-config")  # the flags of verbs other than run


def add_to(parser: argparse.ArgumentParser, flags: tuple[Flag, ...] = FLAGS) -> None:
    """Add flags to a parser, grouped; values stay text until they are read with their documents."""
    wanted = dict.fromkeys(flag.group for flag in flags)
    groups = {name: parser.add_argument_group(name) for name in wanted}
    for flag in flags:
        if flag.metavar:
            action = "append" if flag.repeats else "store"
            groups[flag.group].add_argument(flag.option, metavar=flag.metavar, action=action, help=flag.help)
        else:
            groups[flag.group].add_argument(flag.option, action="store_const", const=True, help=flag.help)


class Given:
    """The values given by flag or, failing that, by environment variable, each with its mark."""

    def __init__(self, arguments: Mapping[str, Any], environ: Mapping[str, str], problems: Problems) -> None:
        self.problems = problems
        self._nodes: dict[str, list[Node]] = {}
        for flag in FLAGS:
            value, mark = arguments.get(flag.key), _mark(flag.option)
            if value is None and environ.get(flag.variable):
                value, mark = (
                    self._from_variable(flag, environ[flag.variable]),
                    _mark(flag.variable),
                )
            if value is not None and (value or flag.path):  # a switch of a setting can be off above a file's
                values = value if isinstance(value, list) else [value]
                self._nodes[flag.key] = [
                    Node(_number(item) if flag.is_number else item, mark) for item in values
                ]
        self._warn_of_unknown(environ)

    def _from_variable(self, flag: Flag, text: str) -> Any:
        if flag.metavar:
            return [part.strip() for part in text.split(",")] if flag.repeats else text
        if text.lower() not in WORDS:
            self.refuse(_mark(flag.variable), f'"{text}" is neither true nor false')
        return WORDS.get(text.lower())

    def _warn_of_unknown(self, environ: Mapping[str, str]) -> None:
        known = {flag.variable.removeprefix(PREFIX) for flag in FLAGS if flag.variable}
        for name in sorted(environ):
            rest = name.removeprefix(PREFIX)
            hint = did_you_mean(rest, known) if rest != name and rest not in known else ""
            if hint:
                self.problems.add(
                    Problem(_mark(name), "is no flag's variable", hint=hint, severity="warning")
                )

    def refuse(self, mark: Mark, message: str, hint: str = "") -> None:
        """Report an error of a flag or variable."""
        self.problems.add(Problem(mark, message, hint=hint))

    def one(self, key: str) -> Node | None:
        """Return the value of a flag, or None."""
        return next(iter(self.all(key)), None)

    def all(self, key: str) -> list[Node]:
        """Return every value of a flag that repeats."""
        return self._nodes.get(key, [])

    def is_on(self, key: str) -> bool:
        """Return whether a switch is on."""
        return key in self._nodes


def _mark(name: str) -> Mark:
    return Mark(name, is_flag=True)


def _number(text: str) -> int | float | str:
    """Return the number that a text is, or else the text, which the document's own check refuses."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def options(given: Given) -> Options:
    """Read the options on how to read the files; report values that cannot be read."""
    reader = _OptionReader(given)
    return Options(
        namespace=reader.text("namespace", quantity.namespace) or Options().namespace,
        endpoints=tuple(filter(None, map(reader.endpoint, given.all("endpoint")))),
        host_match=reader.text("host_match", quantity.host_match) or Options().host_match,
        service_port=reader.text("service_port", quantity.port),
        workload_labels=reader.text("workload_labels", quantity.labels),
        acts_as=reader.text("as", quantity.gateway),
    )


class _OptionReader:
    def __init__(self, given: Given) -> None:
        self._given = given

    def text(self, key: str, parse: Callable[[Any], Any]) -> Any:
        """Return a flag's value, or None when it is not given or refused."""
        node = self._given.one(key)
        return self._parse(node, parse) if node else None

    def endpoint(self, node: Node) -> EndpointOption | None:
        """Read one `HOST[/SUBSET]=ADDRESS:PORT`."""
        parts = self._parse(node, quantity.endpoint)
        return EndpointOption(node.mark, *parts) if parts else None

    def _parse(self, node: Node, parse: Callable[[Any], Any]) -> Any:
        try:
            return parse(node.value)
        except ValueError as error:
            self._given.refuse(node.mark, str(error))
            return None
