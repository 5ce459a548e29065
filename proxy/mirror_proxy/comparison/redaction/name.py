"""Names: which names mark their value as a secret, however they are written.

A name is percent-decoded and split into words: at signs, at changes of case and at digits, so that `userToken`,
`user-token`, `USER_TOKEN2` and `user%5Btokens%5D` have the same words. A word of `_SECRETS` marks a secret, unless the
words beside it make the name that of a property: `token_type`, `nextPageToken`, `session_count`, `has_password`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

#: Of a longer name only the end is read.
MAX_NAME = 200

_NO_PLURALS = ("ss", "us", "is")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _singular(word: str) -> str:
    word = word.lower()
    return word[:-1] if word.endswith("s") and not word.endswith(_NO_PLURALS) else word


def _words(text: str) -> frozenset[str]:
    return frozenset(map(_singular, text.split()))


_SECRETS = _words(
    """
    authorization bearer cookie credential csrf cvc cvv hmac jwe jws jwt mnemonic otp passcode passkey
    kennwort passphrase passw passwd password passwort pwd secret sessid session signature ssn token totp xsrf
    """
)
#: What a word without separators may end in: `accesstoken`, `PHPSESSID`, `clientsecret`.
_ENDS = (
    "authorization",
    "cardnumber",
    "connectionstring",
    "cookie",
    "credential",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "sessid",
    "signature",
    "token",
)
#: Words that mark a secret only at the end of a name: `db_pass`, `proxyAuth`; not `pass_rate`, `auth_provider`.
_LAST = frozenset(("auth", "authentication", "pass", "pin", "psk", "pw", "sig", "verifier"))
#: Words that mark a secret only together, in this order.
_TOGETHER = frozenset(
    (
        ("auth", "code"),
        ("authorization", "code"),
        ("backup", "code"),
        ("card", "no"),
        ("card", "number"),
        ("cc", "number"),
        ("client", "assertion"),
        ("confirmation", "code"),
        ("connect", "sid"),
        ("connection", "string"),
        ("credit", "card"),
        ("mfa", "code"),
        ("oauth", "code"),
        ("pass", "code"),
        ("pass", "key"),
        ("pass", "phrase"),
        ("pass", "wd"),
        ("pass", "word"),
        ("recovery", "code"),
        ("recovery", "phrase"),
        ("saml", "assertion"),
        ("saml", "request"),
        ("saml", "response"),
        ("sec", "code"),
        ("security", "answer"),
        ("security", "code"),
        ("seed", "phrase"),
        ("sess", "id"),
        ("set", "cookie"),
        ("social", "security"),
        ("verification", "code"),
        ("x", "auth"),
    )
)
#: Names that mark a secret as a whole.
_WHOLE = frozenset(("creditcard", "ccnum", "cvn", "dsn", "pan", "pem", "salt", "sid", "xauth"))
#: What makes a key a secret.
_KEYS = _words(
    """
    access account aes api app application auth client consumer crypto decryption deploy encrypt
    encryption functions gpg hmac license master pgp private rsa secret shared signing ssh ssl
    subscription tls webhook
    """
)
#: Before `token` or `session`, words that make it a place in a list or a number of them.
_COUNTED = _words(
    """
    active average avg cached completion concurrent continuation count cursor input max maximum min
    minimum next num number open output page pagination prev previous prompt reasoning remaining resume
    sync total used
    """
)
#: First words of names of booleans, of actions and of lists of names.
_ABOUT = _words(
    """
    allow allows can disable enable expose forgot forgotten has hide is lost missing must need needs no
    require required requires show support supports use uses want wants with without
    """
)
_HOLDERS = (["cookie"], ["session"], ["token"])
#: After a word of secrets, words that make the name that of a property.
_PROPERTIES = _words(
    """
    about accepted active affinity age alg algorithm arn at attempt attempts audience available banner
    budget bytes changed class consent cost count counts created date default description dir disabled docs domain
    duration enabled end ended endpoint endpoints ends error errors exists expiration expired expires
    expiry failures file folder format help helper helpers in index info invalid issued issuer kind label last len
    length level lifetime limit limits link links manager max message metadata method methods min
    missing mode name names notice ok path per placeholder policy position preference preferences price
    provider providers rate ratio ref reference required requirements rotated rotation samesite scheme
    schemes scope scopes secure service set settings size start started status storage store strength
    supported sync time timeout times title total ttl type types unique updated uri uris url urls usage
    used valid validator validity version window
    """
)


#: What `apikey` or `awsaccesskey` has before its end; shorter words end too many other names.
_KEY_ENDS = (
    "access",
    "account",
    "api",
    "auth",
    "encryption",
    "license",
    "master",
    "private",
    "secret",
    "shared",
)
_COUNTED_ENDS = ("continuation", "cursor", "next", "page", "prev", "previous", "resume", "sync")


def is_secret(name: str) -> bool:
    """Return whether a name of a header, parameter, member, element or column marks a secret."""
    return _is_secret(name[-MAX_NAME:])


def is_holder(name: str) -> bool:
    """Return whether what a name stands for has properties that are no secrets: a session, token or cookie."""
    return words_of(name[-MAX_NAME:])[-1:] in _HOLDERS


def is_secret_within(holder: str, name: str) -> bool:
    """Return whether a member is a secret because it belongs to `holder`, whose name marks one.

    Not the `type` of a token, nor the `title` of a session.
    """
    return not is_holder(holder) or is_secret(f"{holder} {name}")


def is_secret_header(name: str) -> bool:
    """Return the same of the name of a header, where any token or key is a secret but for those of caches."""
    if name.lower().startswith("access-control-"):
        return False
    if is_secret(name):
        return True
    words = words_of(name[-MAX_NAME:])
    return words[-1:] == ["key"] and not {"cache", "idempotency", "public", "surrogate"} & set(words)


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case and in singular, without its numbers."""
    plain = unquote(unquote(name)) if "%" in name else name
    return [_singular(word) for word in _WORD.findall(plain) if not word.isdigit()]


@lru_cache(maxsize=8192)
def _is_secret(name: str) -> bool:
    words = words_of(name)
    if not words:
        return False
    if "".join(words) in _WHOLE:
        return True
    return any(_marks(words, at) and not _is_property(words, at) for at in range(len(words)))


def _marks(words: list[str], at: int) -> bool:
    """Return whether the word at `at` marks a secret, by itself or together with its neighbours."""
    word, is_last = words[at], at == len(words) - 1
    before = words[at - 1] if at else ""
    if (before, word) in _TOGETHER or (is_last and word in _LAST):
        return True
    if word == "key":
        return before in _KEYS or (not is_last and words[at + 1] in _KEYS)
    if word.endswith("key") and word.removesuffix("key").endswith(_KEY_ENDS):
        return True
    if word in {"token", "session"} and before in _COUNTED:
        return False
    if word.endswith("token") and word.removesuffix("token").endswith(_COUNTED_ENDS):
        return False
    begins = word.startswith(("csrf", "password", "xsrf")) and word != "passwordless"
    return begins or "sessionid" in word or word in _SECRETS or word.endswith(_ENDS)


def _is_property(words: list[str], at: int) -> bool:
    """Return whether the name is that of a property of the secret, not of the secret."""
    if words[0] in _ABOUT and len(words) > 1:
        return True
    if (words[0], *words[1:2]) == ("x", "auth"):
        return False
    after = words[at + 1 :]
    return bool(after) and (after[0] in _PROPERTIES or after[-1] in _PROPERTIES)
