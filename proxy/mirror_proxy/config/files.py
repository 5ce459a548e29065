"""Files that the configuration names: there, readable and of use, checked before anything starts."""

from __future__ import annotations

from pathlib import Path

MIN_KEY_BYTES = 16


def readable(path: str) -> str:
    """Return the path of a file that can be read and is not empty."""
    if not _content(path):
        raise ValueError(f"{path} is empty")
    return path


def key_file(path: str) -> str:
    """Return the path of a file that holds a key of at least 16 bytes."""
    if len(_content(path).strip()) < MIN_KEY_BYTES:
        raise ValueError(f"{path} holds fewer than {MIN_KEY_BYTES} bytes; fill it with random ones")
    return path


def log_path(path: str) -> str | None:
    """Return where to log: None when empty, `-` for standard output, or a path in a folder that exists."""
    if path not in {"", "-"} and not Path(path).parent.is_dir():
        raise ValueError(f"{path}: its folder does not exist")
    return path or None


def check_tls(cert: str | None, key: str | None, authorities: str | None, revoked: str | None = None) -> None:
    """Raise ValueError unless certificate and key belong together and the others are of use to OpenSSL."""
    import ssl  # noqa: PLC0415  slow to import, and only TLS needs it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if authorities:
            context.load_verify_locations(authorities)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{authorities} holds no usable PEM certificates") from error
    try:
        if revoked:
            context.load_verify_locations(revoked)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{revoked} holds no usable PEM list of revoked certificates") from error
    try:
        if cert and key:
            context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = "are not a PEM certificate and its key, without a passphrase"
        raise ValueError(f"{cert} and {key} {reason}") from error


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
