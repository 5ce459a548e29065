"""Serve ./packages on a port with the WSGI application of either version."""

import inspect
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

if not hasattr(inspect, "getargspec"):  # 1.4.2 was published before Python 3.11 removed it
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]

import pypiserver


class Quiet(WSGIRequestHandler):
    """Logs nothing, and does not look the client's name up."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def address_string(self) -> str:
        """Return the address."""
        return str(self.client_address[0])


if hasattr(pypiserver, "default_config"):  # before 1.5
    application = pypiserver.app(
        root="packages", redirect_to_fallback=False, authenticated=[], password_file="."
    )
else:
    application = pypiserver.app(
        roots=["packages"], disable_fallback=True, authenticate=[], password_file="."
    )
make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=Quiet).serve_forever()
