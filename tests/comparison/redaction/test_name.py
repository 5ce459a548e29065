"""Names that mark a secret, and names that look like those of secrets."""

from __future__ import annotations

import pytest

from mirror_proxy.comparison.redaction.name import is_secret, is_secret_header, is_secret_within

SECRETS = """
    password Password newPassword user_password passwords passwordHash passwd userpassword DB_PASSWORD
    user[password] user%5Bpassword%5D user%255Bpassword%255D p%61ssword deep.er.password password2 passwords[0]
    pass user_pass smtpPass passphrase pass_phrase passcode pwd PWD pass-word password_confirmation
    token access_token accessToken accesstoken refresh-token userToken tokens authTokens x-auth-token id_token
    csrf_token csrfmiddlewaretoken _csrf xsrf X-XSRF-TOKEN authenticity_token __RequestVerificationToken
    client_secret clientSecret secret secrets SECRET_2 app.secret.value mysecret
    session sessions session_id sessionId PHPSESSID JSESSIONID ASPSESSIONIDQADCBA sessid connect.sid sid
    cookie cookies Set-Cookie cookie2 auth_cookie sessioncookie
    X-Api-Key apikey api_key apiKeys API-KEY-2 access_key AWS_SECRET_ACCESS_KEY accessKeyId awsaccesskey private_key
    privateKeyPem encryption_key encryptionKey signing-key account_key AccountKey SharedAccessKey secretKey master_key
    ocp-apim-subscription-key key_api
    Authorization proxy-authorization authorization_code auth proxyAuth x-auth-user x-auth-request-email authentication
    credential credentials gcp_credentials jwt bearer signature X-Amz-Signature sig hmac
    ssn social_security_number pin otp totp cvv cvc card_number cardNumber ccNumber creditCard security_code
    recovery_codes backupCodes seed_phrase mnemonic code_verifier oauth_verifier SAMLResponse connection_string
    connectionString
"""

PLAIN = """
    nextPageToken page_token pageToken next_token NextToken nextSyncToken continuation_token ContinuationToken
    token_count tokenCount tokens_used token_type tokenType token_type_hint token_endpoint token_url token_expires_in
    max_tokens total_tokens prompt_tokens completion-tokens tokenizer tokenized
    key keys keyboard monkey turkey primary_key primaryKey foreign_key public_key sort_key partition_key cache_key
    x-key-version keyword keywords
    session_count session_timeout sessionDuration active_sessions session_name session_start
    author authors authority authorized authenticated authenticator auth_provider auth_type authorization_endpoint
    passenger passengers passage passed pass_rate pass_count compass bypass passport pinned pinterest spin opinion
    secretary cookie_policy cookie_consent cookieDomain has_password password_required passwordless requires_token
    password_policy password_expires_at show_password is_secret signature_algorithm signed significant
    allow_credentials tokenFile password_file code status_code country_code postcode zip card cards name id user email
    phone version digest hash etag number order_number isbn
"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_a_name_of_a_secret_is_known_however_it_is_written(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", [*PLAIN.split(), ""])
def test_a_name_that_only_looks_like_a_secret_is_none(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "name", ["x-some-key", "private-token", "sec-websocket-key", "cookie", "dd-application-key"]
)
def test_any_key_in_a_header_is_a_secret(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name",
    [
        "idempotency-key",
        "surrogate-key",
        "x-cache-key",
        "access-control-allow-credentials",
        "x-key-version",
        "accept",
    ],
)
def test_headers_of_caches_and_of_cors_are_no_secrets(name: str) -> None:
    assert not is_secret_header(name)


def test_of_a_long_name_the_end_decides() -> None:
    assert is_secret("a-" * 10_000 + "password")
    assert not is_secret("a-" * 10_000)


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        ("session", "id"),
        ("tokens", "value"),
        ("cookie", "a"),
        ("credentials", "type"),
        ("password", "name"),
        ("", "a"),
    ],
)
def test_what_belongs_to_a_secret_is_one(holder: str, name: str) -> None:
    assert is_secret_within(holder, name)


@pytest.mark.parametrize(
    ("holder", "name"),
    [("sessions", "title"), ("token", "type"), ("userToken", "expires_in"), ("cookie", "path")],
)
def test_properties_of_sessions_tokens_and_cookies_are_no_secrets(holder: str, name: str) -> None:
    assert not is_secret_within(holder, name)
