"""ClientTLSSettings: TLS towards an upstream.

Source: istio pkg/config/validation/agent/validation.go (`ValidateTLS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirror_proxy.config import files
from mirror_proxy.config.istio.fields import is_written
from mirror_proxy.config.model import UpstreamTls
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import BOOLEAN, INVALID, TEXT, Choice, Field, ListOf, Record, Refused, Scalar

MODES = {name: name for name in ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")}
CLIENT_FILES = ("cert_file", "key_file")
KUBERNETES = "names a Kubernetes secret, which is out of reach"
FILES = "write paths: caCertificates, clientCertificate, privateKey"


def _tls(place: Place, mode: str = "DISABLE", *, insecure: bool = False, **values: Any) -> Any:
    """Return what the component says of a Cluster: `tls`, None for plain text."""
    if mode == "ISTIO_MUTUAL":
        place.warn("ISTIO_MUTUAL: there are no mesh certificates outside a mesh; plain text is sent")
    if mode not in {"SIMPLE", "MUTUAL"}:
        return {"tls": None}
    problems = list(_problems(place, mode, insecure=insecure))
    for problem in problems:
        place.refuse(problem)
    if problems:
        return INVALID
    if mode == "SIMPLE" and values.keys() & set(CLIENT_FILES):
        place.warn("a client certificate is used in mode MUTUAL only")
        values = {key: value for key, value in values.items() if key not in CLIENT_FILES}
    files.check_tls(*map(values.get, (*CLIENT_FILES, "ca_file", "crl_file")))
    return {"tls": UpstreamTls(verify=not insecure, **values)}


def _problems(place: Place, mode: str, *, insecure: bool) -> Iterator[str]:
    """Yield what fields miss or exclude each other."""
    if insecure and is_written(place, "caCertificates", "subjectAltNames"):
        secret = "or CredentialName " if mode == "SIMPLE" else ""
        yield f"cannot specify CaCertificates {secret}or SubjectAltNames when InsecureSkipVerify is set true"
    if is_written(place, "credentialName"):
        if is_written(place, "clientCertificate", "privateKey", "caCertificates", "caCrl"):
            yield "cannot specify client certificates or CA certificate or CA CRL If credentialName is set"
    elif mode == "MUTUAL":
        if not is_written(place, "clientCertificate"):
            yield "client certificate required for mutual tls"
        if not is_written(place, "privateKey"):
            yield "private key required for mutual tls"


FILE = Scalar(("string",), files.readable)
TLS = Record(
    _tls,
    (
        Field("mode", "mode", Choice(MODES)),
        Field("sni", "sni", TEXT),
        Field("subjectAltNames", "subject_alt_names", ListOf(TEXT)),
        Field("caCertificates", "ca_file", FILE),
        Field("caCrl", "crl_file", FILE),
        Field("clientCertificate", "cert_file", FILE),
        Field("privateKey", "key_file", FILE),
        Field("credentialName", "", Refused(KUBERNETES, FILES)),
        Field("insecureSkipVerify", "insecure", BOOLEAN),
    ),
    placed=True,
    is_proto=True,
)
