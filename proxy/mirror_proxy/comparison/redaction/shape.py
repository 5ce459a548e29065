"""Shapes: secrets that are known by their form, whatever stands before them.

JSON web tokens, private keys in PEM, keys of well-known services by their prefixes, passwords in addresses, and what
follows a scheme of authentication. Each form is searched only where a text that it always has is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirror_proxy.comparison.redaction.span import REDACTED, Span

#: Prefixes of keys and tokens, and what comes after them.
_PREFIXES = {
    "AGE-SECRET-KEY-1": r"[0-9A-Z]{20,}",  # age
    "pat": r"[A-Za-z0-9]{14}\.[0-9a-f]{40,}",  # Airtable
    "LTAI": r"[A-Za-z0-9]{12,}",  # Alibaba
    "ATATT3": r"[A-Za-z0-9_=-]{20,}",  # Atlassian
    "AKIA": r"[A-Z0-9]{12,}",  # AWS access key
    "ABIA": r"[A-Z0-9]{12,}",  # AWS bearer token
    "ACCA": r"[A-Z0-9]{12,}",  # AWS context credential
    "ASIA": r"[A-Z0-9]{12,}",  # AWS temporary access key
    "xkeysib-": r"[A-Za-z0-9-]{20,}",  # Brevo
    "CFPAT-": r"[A-Za-z0-9_-]{20,}",  # Contentful
    "dapi": r"[0-9a-f]{32}",  # Databricks
    "dop_v1_": r"[0-9a-f]{40,}",  # DigitalOcean
    "doo_v1_": r"[0-9a-f]{40,}",  # DigitalOcean
    "dckr_pat_": r"[A-Za-z0-9_-]{20,}",  # Docker
    "dp.": r"(?:ct|pt|sa|scim|st)\.[A-Za-z0-9_.-]{30,}",  # Doppler
    "sl.": r"[A-Za-z0-9_-]{60,}",  # Dropbox
    "EAA": r"[A-Za-z0-9]{60,}",  # Facebook
    "figd_": r"[A-Za-z0-9_-]{20,}",  # Figma
    "gho_": r"[A-Za-z0-9]{20,}",  # GitHub
    "ghp_": r"[A-Za-z0-9]{20,}",  # GitHub
    "ghr_": r"[A-Za-z0-9]{20,}",  # GitHub
    "ghs_": r"[A-Za-z0-9]{20,}",  # GitHub
    "ghu_": r"[A-Za-z0-9]{20,}",  # GitHub
    "github_pat_": r"[A-Za-z0-9_]{20,}",  # GitHub
    "gl": r"(?:agent|cbt|dt|ft|imt|oas|pat|ptt|rt|soat)-[A-Za-z0-9_-]{16,}",  # GitLab
    "AIza": r"[A-Za-z0-9_-]{30,}",  # Google API key
    "ya29.": r"[A-Za-z0-9_-]{16,}",  # Google OAuth
    "GOCSPX-": r"[A-Za-z0-9_-]{20,}",  # Google OAuth client
    "1//0": r"[A-Za-z0-9_-]{30,}",  # Google refresh token
    "GOOG1E": r"[A-Z0-9]{20,}",  # Google storage
    "glc_": r"[A-Za-z0-9+/=]{30,}",  # Grafana
    "glsa_": r"[A-Za-z0-9_]{30,}",  # Grafana
    "gsk_": r"[A-Za-z0-9]{30,}",  # Groq
    "HRKU-": r"[A-Za-z0-9_-]{20,}",  # Heroku
    "hf_": r"[A-Za-z0-9]{20,}",  # Hugging Face
    "lin_api_": r"[A-Za-z0-9]{20,}",  # Linear
    "key-": r"[0-9a-f]{32}",  # Mailgun
    "NRAK-": r"[A-Z0-9]{20,}",  # New Relic
    "ntn_": r"[A-Za-z0-9]{30,}",  # Notion
    "secret_": r"[A-Za-z0-9]{30,}",  # Notion
    "npm_": r"[A-Za-z0-9]{20,}",  # npm
    "oy2": r"[a-z0-9]{43}",  # NuGet
    "sk-": r"[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic
    "b3BlbnNzaC1rZXktdjE": r"[A-Za-z0-9+/=\s]*",  # OpenSSH key without its lines
    "pscale_": r"(?:oauth|pw|tkn)_[A-Za-z0-9_.-]{20,}",  # PlanetScale
    "PMAK-": r"[A-Za-z0-9-]{20,}",  # Postman
    "pul-": r"[0-9a-f]{40}",  # Pulumi
    "pypi-": r"[A-Za-z0-9_-]{16,}",  # PyPI
    "rzp_": r"(?:live|test)_[A-Za-z0-9]{12,}",  # Razorpay
    "r8_": r"[A-Za-z0-9]{30,}",  # Replicate
    "rubygems_": r"[0-9a-f]{20,}",  # RubyGems
    "SG.": r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    "sntry": r"[su]_[A-Za-z0-9+/=_.-]{30,}",  # Sentry
    "shp": r"(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",  # Shopify
    "xox": r"[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}",  # Slack
    "xapp-": r"[A-Za-z0-9-]{10,}",  # Slack app
    "sq0": r"(?:atp|csp|idp)-[A-Za-z0-9_-]{20,}",  # Square
    "rk_live_": r"[A-Za-z0-9]{8,}",  # Stripe
    "rk_test_": r"[A-Za-z0-9]{8,}",  # Stripe
    "sk_live_": r"[A-Za-z0-9]{8,}",  # Stripe
    "sk_test_": r"[A-Za-z0-9]{8,}",  # Stripe
    "whsec_": r"[A-Za-z0-9+/=]{16,}",  # Stripe webhook
    "sb_secret_": r"[A-Za-z0-9_-]{16,}",  # Supabase
    "sbp_": r"[0-9a-f]{40}",  # Supabase
    "tk-us-": r"[A-Za-z0-9_-]{30,}",  # Thinkific
    "AC": r"[0-9a-f]{32}",  # Twilio account
    "SK": r"[0-9a-f]{32}",  # Twilio API key
    "hvb.": r"[A-Za-z0-9_-]{20,}",  # Vault
    "hvs.": r"[A-Za-z0-9_-]{20,}",  # Vault
}
#: The prefix comes first, since texts are searched for it fastest.
_KEYS = tuple(
    (prefix, re.compile(f"{re.escape(prefix)}(?<![A-Za-z0-9]{re.escape(prefix)}){rest}"))
    for prefix, rest in _PREFIXES.items()
)
#: A text that the form always has, and the form; what it hides is its group, or all of it.
_FORMS = tuple(
    (sign, re.compile(form))
    for sign, form in (
        # JWT and JWE, whose parts may be empty.
        (
            "eyJ",
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+(?=\.*+[A-Za-z0-9_-])(?:\.[A-Za-z0-9_-]*+){1,8}+",
        ),
        ("_secret_", r"(?<![A-Za-z0-9])[A-Za-z]{2,6}_[A-Za-z0-9]{8,64}_secret_[A-Za-z0-9]{8,}"),
        ("hooks.slack.com/", r"hooks\.slack\.com/(?:services|triggers|workflows)/([A-Za-z0-9_/-]++)"),
        ("/api/webhooks/", r"/api/webhooks/([0-9]{5,30}/[A-Za-z0-9_-]++)"),
        ("webhook.office.com/", r"webhook\.office\.com/(\S++)"),
        (":AA", r"(?<![0-9A-Za-z])[0-9]{6,12}:AA[A-Za-z0-9_-]{30,}"),  # Telegram
        (
            ".",
            r"[MNO](?<![A-Za-z0-9_-][MNO])[A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
        ),  # Discord
        ("8Q~", r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[0-9]?8Q~[A-Za-z0-9_~.-]{30,}"),  # Microsoft Entra ID
        ("-us", r"(?<![0-9a-f])[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])"),  # Mailchimp
        ("AAAAAAAAAAAAAAAAAAAA", r"(?<![A-Za-z0-9])A{20}[A-Za-z0-9%]{30,}"),  # Twitter
        (".atlasv1.", r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{30,}"),  # Terraform
        ("==", r"(?<![A-Za-z0-9+/-])[A-Za-z0-9+/]{86}==(?!=)"),  # Azure storage
        ("access-", r"(?<![A-Za-z0-9-])access-(?:development|production|sandbox)-[0-9a-f-]{36}"),  # Plaid
        # What follows a scheme of authentication, unless it is a plain word.
        ("earer", r"\b[Bb]earer[ \t]{1,8}(?![a-z]{1,19}\b(?![.~+/=-]))([A-Za-z0-9._~+/-]{6,}+=*+)"),
        ("BEARER", r"\bBEARER[ \t]{1,8}([A-Za-z0-9._~+/-]{6,}+=*+)"),
        (
            "asic",
            r"\b[Bb]asic[ \t]{1,8}(?=[A-Za-z0-9+/_=-]{8})([A-Za-z0-9+/_-]{0,500}(?:[0-9+/]|[a-z][A-Z])[\w+/-]*+=*+)",
        ),
        ("egotiate", r"\b[Nn]egotiate[ \t]{1,8}([A-Za-z0-9+/]{16,}+=*+)"),
        ("NTLM", r"\bNTLM[ \t]{1,8}([A-Za-z0-9+/]{8,}+=*+)"),
        # A password in an address, or all before the host if there is no name.
        (
            "@",
            r"//[^\s/?#@:\"'<>]{0,200}+:(?![0-9]{1,5}(?:[/?#]|\Z))([^\s/\"'<>][^\s\"'<>]{0,200})@",
        ),
        ("@", r"//([^\s/?#@:\"'<>]{16,200}+)@"),
        ("@tcp(", r"(?<![^\s\"'=])[A-Za-z0-9_.-]{1,100}+:([^\s@\"']{1,200}+)@tcp\("),
        ("@unix(", r"(?<![^\s\"'=])[A-Za-z0-9_.-]{1,100}+:([^\s@\"']{1,200}+)@unix\("),
        ("login", r"\blogin\s{1,8}\S{1,100}\s{1,8}password\s{1,8}(\S++)"),  # .netrc
        ("-u", r"(?<!\S)-u[ =]{1,4}[\"']?[^\s:\"']{1,200}+:([^\s\"']++)"),
        ("--user", r"(?<!\S)--user[ =]{1,4}[\"']?[^\s:\"']{1,200}+:([^\s\"']++)"),
    )
)
#: PEM but for what is public. Where the end is missing, as in a text that was cut, all that follows is hidden.
_PEM = re.compile(
    r"-----BEGIN (?!CERTIFICATE|PUBLIC|RSA PUBLIC|X509|DH PARAM|EC PARAM|NEW CERTIFICATE|PGP PUBLIC|PGP SIGN|TRUSTED)"
    r"[A-Z0-9 ]{1,60}-----"
)
_PEM_END = "-----END "
_PUTTY = re.compile(r"Private-Lines: [0-9]{1,4}\r?\n((?:[A-Za-z0-9+/=]{1,100}+\r?\n?)*+)")


def shapes(text: str) -> Iterator[Span]:
    """Yield what has the form of a secret."""
    for prefix, key in _KEYS:
        if prefix in text:
            yield from ((*match.span(), REDACTED) for match in key.finditer(text))
    for sign, form in _FORMS:
        if sign in text:
            yield from ((*match.span(form.groups), REDACTED) for match in form.finditer(text))
    if "-----BEGIN " in text:
        yield from _pem(text)
    if "Private-Lines" in text:
        yield from ((*match.span(1), REDACTED) for match in _PUTTY.finditer(text))


def _pem(text: str) -> Iterator[Span]:
    at = 0
    while (match := _PEM.search(text, at)) is not None:
        end = text.find(_PEM_END, match.end())
        at = end if end >= 0 else len(text)
        yield match.end(), at, REDACTED
