"""Secrets: which names, of headers, parameters and JSON members, say that their value is nobody's business.

A name is read without its case, hyphens and underscores. What is hidden is compared all the same, so that too much
hidden costs little; too little hidden is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_WHOLE = frozenset(
    (
        "auth",
        "cardnumber",
        "cookie",
        "credential",
        "credentials",
        "cvc",
        "cvv",
        "jwt",
        "otp",
        "pass",
        "pin",
        "pwd",
        "setcookie",
        "sig",
        "ssn",
        "token",
    )
)
#: `client_secret`, `newPassword`, `X-Amz-Signature`; but not `nextPageToken`.
_ENDS = (
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "authenticitytoken",
    "authorization",
    "authtoken",
    "bearertoken",
    "csrfmiddlewaretoken",
    "csrftoken",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "securitytoken",
    "sessid",
    "sessionid",
    "sessiontoken",
    "signature",
    "verificationtoken",
    "xsrftoken",
)
_MAX_NAME = 100


def is_secret(name: str) -> bool:
    """Tell whether what bears this name is to be hidden. Names of more than 100 characters are no such names."""
    return len(name) <= _MAX_NAME and _is_secret(name)


def is_secret_header(name: str) -> bool:
    """Tell the same of a header, whose names say less: any token or key is hidden."""
    return is_secret(name) or name.lower().endswith(("-token", "-key"))


def names_secret(members: Mapping[str, object]) -> bool:
    """Tell whether an object says that its `value` is to be hidden: `{"name": "DB_PASSWORD", "value": ...}`."""
    return any(
        isinstance(said, str) and is_secret_header(said) for said in (members.get("name"), members.get("key"))
    )


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    plain = re.sub(r"[-_ ]", "", name).lower()
    return plain in _WHOLE or plain.endswith(_ENDS)
