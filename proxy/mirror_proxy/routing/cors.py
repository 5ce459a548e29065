"""Cross-origin rules, as Envoy's CORS filter follows them (`source/extensions/filters/http/cors/cors_filter.cc`)."""

from __future__ import annotations

from mirror_proxy.config import model
from mirror_proxy.routing.match import string_test
from mirror_proxy.routing.view import RequestView

#: A field's name and its whole line.
Field = tuple[bytes, bytes]


class Cors:
    """A compiled `model.CorsPolicy`."""

    __slots__ = (
        "_allow_headers",
        "_allow_methods",
        "_allows",
        "_forward_unmatched",
        "_preflight",
        "_response",
    )

    def __init__(self, config: model.CorsPolicy) -> None:
        self._allows = [string_test(origin) for origin in config.allow_origins]
        self._allow_methods = config.allow_methods.encode()
        self._allow_headers = config.allow_headers.encode()
        self._forward_unmatched = config.forward_unmatched
        credentials = "true" if config.allow_credentials else ""
        self._preflight = _fields(allow_credentials=credentials, max_age=config.max_age)
        self._response = _fields(allow_credentials=credentials, expose_headers=config.expose_headers)

    def allows(self, origin: bytes) -> bool:
        """Return whether `origin` may; a matcher that takes `*` takes all."""
        return any(test(b"*") or test(origin) for test in self._allows)

    def preflight(self, view: RequestView) -> list[Field] | None:
        """Give the fields that answer a preflight; None for what is none, or is left to the upstream."""
        origin = view.header(b"origin")
        method = view.header(b"access-control-request-method")
        if not origin or not method or view.method != b"OPTIONS":
            return None
        is_allowed = self.allows(origin)
        if not is_allowed and self._forward_unmatched:
            return None
        requested = view.header(b"access-control-request-headers") or b""
        fields = self.response(view)[:1] + self._preflight
        for name, allowed, wanted in (
            (b"access-control-allow-methods", self._allow_methods, method),
            (b"access-control-allow-headers", self._allow_headers, requested),
        ):
            value = wanted if allowed == b"*" else allowed
            if value:
                fields.append((name, b"%b: %b" % (name, value)))
        return fields + [field for field in self.response(view) if field not in fields]

    def response(self, view: RequestView) -> list[Field]:
        """Give the fields that an answer to a request has set; none for an origin that may not."""
        origin = view.header(b"origin")
        if not origin or not self.allows(origin):
            return []
        name = b"access-control-allow-origin"
        return [(name, b"%b: %b" % (name, origin)), *self._response]


def _fields(**values: str) -> list[Field]:
    names = {f"access-control-{name.replace('_', '-')}": value for name, value in values.items() if value}
    return [(name.encode(), f"{name}: {value}".encode()) for name, value in names.items()]
