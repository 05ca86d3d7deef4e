"""API and gateway speak TLS themselves where a certificate is set; commands reach them by that name only."""

from __future__ import annotations

import datetime
import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from installation import Installation


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Settings with a fresh self-signed certificate for `localhost`."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    (tmp_path / "tls.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (tmp_path / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "LEVERLOCK__SERVER__TLS_CERTIFICATE": str(tmp_path / "tls.pem"),
        "LEVERLOCK__SERVER__TLS_KEY": str(tmp_path / "tls.key"),
    }


def test_both_doors_speak_tls(installation: Installation, certificate: dict[str, str]) -> None:
    installation.environment.update(certificate)
    trusted = ssl.create_default_context(cafile=certificate["LEVERLOCK__SERVER__TLS_CERTIFICATE"])
    with installation.serving() as server:
        for door, path in (("api", "/healthz"), ("gateway", "/fapi/v1/nothing")):
            url = urlsplit(server.addresses[door])
            assert url.scheme == "https"
            connection = http.client.HTTPSConnection("localhost", url.port, timeout=10, context=trusted)
            connection.request("GET", path)
            assert connection.getresponse().status < 500
            connection.close()
            plain = http.client.HTTPConnection("127.0.0.1", url.port, timeout=10)
            with pytest.raises((http.client.HTTPException, OSError)):
                plain.request("GET", path)
                plain.getresponse()
            plain.close()
        assert installation("healthcheck").code == 0

        installation("account", "create", "alice")
        port = urlsplit(server.addresses["api"]).port
        signing_in = ("approve", "--login", "alice", "--api-url", f"https://localhost:{port}", "--json")
        untrusted = installation(*signing_in)
        assert (untrusted.code, untrusted.out) == (4, "")
        assert "CERTIFICATE_VERIFY_FAILED" in untrusted.err
        known = {"SSL_CERT_FILE": certificate["LEVERLOCK__SERVER__TLS_CERTIFICATE"]}
        assert installation(*signing_in, environment=known).json == {"challenges": []}


def test_a_certificate_that_is_none_is_said(installation: Installation, certificate: dict[str, str]) -> None:
    Path(certificate["LEVERLOCK__SERVER__TLS_KEY"]).write_text("no key")
    ended = installation.process("serve", environment=certificate)
    assert ended.code == 3
    assert "Traceback" not in ended.err
