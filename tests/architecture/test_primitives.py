"""Vetted primitives only, each where it is known to be, and no algorithm that a caller could choose (B87).

The table is the whole list of what the product uses of cryptography. A name that is not in it, or that turns up in
another module, is found here before anybody reviews it.
"""

from __future__ import annotations

import ast
import textwrap

import pytest

from .syntax import PRODUCT, attribute_path, dotted, imported, modules

ASYMMETRIC = "cryptography.hazmat.primitives.asymmetric"
SERIALIZATION = "cryptography.hazmat.primitives.serialization"

# What is imported -> the modules that may.
ALLOWED: dict[str, frozenset[str]] = {
    "cryptography.exceptions.InvalidTag": frozenset({"leverlock.store.sealing", "leverlock.documents.vault"}),
    "cryptography.exceptions.InvalidSignature": frozenset(
        {"leverlock.domain.checkpoint", "leverlock.gateway.binance.keys"}
    ),
    "cryptography.exceptions.UnsupportedAlgorithm": frozenset({"leverlock.verifiers.host_statement"}),
    "cryptography.hazmat.primitives.ciphers.aead.AESGCM": frozenset(
        {"leverlock.store.sealing", "leverlock.documents.vault"}
    ),
    f"{ASYMMETRIC}.ed25519.Ed25519PrivateKey": frozenset(
        {
            "leverlock.admin.venues",
            "leverlock.checkpoints",
            "leverlock.domain.checkpoint",
            "leverlock.gateway.binance.keys",
            "leverlock.gateway.venue",
            "leverlock.store.sealing",
        }
    ),
    f"{ASYMMETRIC}.ed25519.Ed25519PublicKey": frozenset(
        {
            "leverlock.app.trail",
            "leverlock.checkpoints",
            "leverlock.domain.checkpoint",
            "leverlock.gateway.binance.keys",
            "leverlock.gateway.venue",
            "leverlock.verifiers.host_statement",
            "leverlock.verifiers.public_key",
        }
    ),
    f"{ASYMMETRIC}.ec.EllipticCurvePublicKey": frozenset({"leverlock.verifiers.host_statement"}),
    f"{ASYMMETRIC}.ec.SECP256R1": frozenset({"leverlock.verifiers.host_statement"}),
    f"{SERIALIZATION}.load_pem_private_key": frozenset({"leverlock.admin.venues", "leverlock.gateway.venue"}),
    f"{SERIALIZATION}.load_pem_public_key": frozenset(
        {"leverlock.verifiers.host_statement", "leverlock.verifiers.public_key"}
    ),
    f"{SERIALIZATION}.load_der_public_key": frozenset({"leverlock.verifiers.host_statement"}),
    f"{SERIALIZATION}.Encoding": frozenset({"leverlock.verifiers.host_statement"}),
    f"{SERIALIZATION}.PublicFormat": frozenset({"leverlock.verifiers.host_statement"}),
    # The demo's own security key, a client's half.
    f"{ASYMMETRIC}.ec": frozenset({"leverlock.cli.demo_key"}),
    "cryptography.hazmat.primitives.hashes": frozenset({"leverlock.cli.demo_key"}),
    "joserfc.jws": frozenset({"leverlock.verifiers.host_statement"}),
    "joserfc.errors.JoseError": frozenset({"leverlock.verifiers.host_statement"}),
    "joserfc.errors.SecurityWarning": frozenset({"leverlock.verifiers.host_statement"}),
    "joserfc.jwk.ECKey": frozenset({"leverlock.verifiers.host_statement"}),
    "joserfc.jwk.OKPKey": frozenset({"leverlock.verifiers.host_statement"}),
}
WATCHED = ("cryptography", "joserfc")
# Other ways to the same things: none is used, so none is reviewed.
FOREIGN = frozenset(
    {"Crypto", "Cryptodome", "OpenSSL", "authlib", "ecdsa", "itsdangerous", "jose", "jwt", "nacl", "passlib", "rsa"}
    | {"crypt", "md5", "sha", "pickle", "shelve", "marshal"}
)

# Where a certificate is not checked by its authority -> why that is sound.
UNCHECKED: dict[str, str] = {
    "leverlock.cli.api_client": "a probe that asks whether somebody is there: it sends nothing and believes nothing",
}

HASHES = frozenset({"sha256"})
DIGESTS = frozenset({"sha256"})  # of HMAC; TOTP's come from RFC 6238 by a table of its own
TOTP = "leverlock.domain.totp"


def faults(module: str, tree: ast.Module) -> list[str]:
    """What this module uses that is not in the table, by line."""
    found = []
    for node in ast.walk(tree):
        for name in imported(node, module):
            root = name.split(".")[0]
            if root in FOREIGN or (root in WATCHED and module not in ALLOWED.get(name, frozenset())):
                found.append(f"{node.lineno}: imports {name}")  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {fault}" for fault in call_faults(module, node)]
        if module in UNCHECKED:
            continue
        if isinstance(node, ast.Attribute) and attribute_path(node) in {"ssl.CERT_NONE", "ssl.CERT_OPTIONAL"}:
            found.append(f"{node.lineno}: {attribute_path(node)}")
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr == "check_hostname" for target in node.targets
        ):
            found.append(f"{node.lineno}: check_hostname is set")
    return found


def call_faults(module: str, call: ast.Call) -> list[str]:
    path = attribute_path(call.func)
    last = path.rsplit(".", 1)[-1]
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    found = []
    if path.startswith("hashlib.") and last not in HASHES:
        found.append(f"{path} is no hash of ours")
    if path in {"hmac.digest", "hmac.new"} and module != TOTP:
        how = call.args[2] if len(call.args) > 2 else given.get("digest", given.get("digestmod"))
        if not (isinstance(how, ast.Constant) and how.value in DIGESTS):
            found.append(f"{path} without a pinned hash")
    if last in {"deserialize_compact", "validate_compact", "deserialize_json", "decode"} and path.startswith(
        ("jws.", "jwt.", "jwe.")
    ):
        pinned = given.get("algorithms")
        if not (isinstance(pinned, ast.List) and len(pinned.elts) == 1):
            found.append(f"{path} without exactly one algorithm")
    found += [
        f"{path}({name}=False)"
        for name in ("verify", "verify_ssl", "ssl", "verify_signature")
        if isinstance(given.get(name), ast.Constant) and given[name].value is False  # type: ignore[union-attr]
    ]
    return found


@pytest.mark.bar("B87")
def test_only_what_stands_in_the_table_is_used() -> None:
    found = [f"{path}:{fault}" for path, tree in modules(PRODUCT) for fault in faults(dotted(path), tree)]
    assert not found, "\n".join(found)


@pytest.mark.bar("B87")
def test_nothing_stands_in_the_table_that_is_not_used() -> None:
    used = {
        (name, dotted(path))
        for path, tree in modules(PRODUCT)
        for node in ast.walk(tree)
        for name in imported(node, dotted(path))
    }
    idle = [(name, module) for name, allowed in ALLOWED.items() for module in allowed if (name, module) not in used]
    assert not idle


@pytest.mark.bar("B87")
@pytest.mark.parametrize(
    "source",
    [
        "import jwt",
        "from jose import jwt",
        "import pickle",
        "from cryptography.hazmat.primitives.ciphers import Cipher",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
        "from joserfc import jws",
        "from joserfc import jwt",
        "import hashlib; hashlib.md5(b'')",
        "import hashlib; hashlib.new('sha256')",
        "import hmac; hmac.new(k, m, name)",
        "import hmac; hmac.digest(k, m, 'sha1')",
        "jws.deserialize_compact(t, k)",
        "jws.deserialize_compact(t, k, algorithms=allowed)",
        "jws.deserialize_compact(t, k, algorithms=['EdDSA', 'HS256'])",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "session.get(url, verify=False)",
    ],
)
def test_the_rule_finds(source: str) -> None:
    assert faults("leverlock.somewhere", ast.parse(textwrap.dedent(source)))


@pytest.mark.bar("B87")
@pytest.mark.parametrize(
    "source",
    [
        "import hashlib; hashlib.sha256(b'')",
        "import hmac; hmac.digest(k, m, 'sha256')",
        "import hmac; hmac.compare_digest(a, b)",
        "jws.deserialize_compact(t, k, algorithms=[key.algorithm.value])",
        "from argon2 import PasswordHasher",
    ],
)
def test_the_rule_lets_pass(source: str) -> None:
    assert not faults("leverlock.somewhere", ast.parse(source))
