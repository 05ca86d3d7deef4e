"""Codes of implementations that are not ours: oathtool, pyotp and cryptography agree with the domain (B1, M5)."""

from __future__ import annotations

import base64
import random
import subprocess

import pyotp
import pytest
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from leverlock.domain.totp import NEVER_USED, HashName, Window, hotp, match_step, step_at

from .vectors import vectors

ALGORITHMS: list[HashName] = ["sha1", "sha256", "sha512"]
RFC6238 = vectors("rfc6238")


def oathtool(*arguments: str) -> str:
    """What the program prints. Loopback to nothing: it reads no file and no clock when told the time."""
    done = subprocess.run(["oathtool", *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


@pytest.mark.bar("B1")
@pytest.mark.mission("M5")
@pytest.mark.debian("oathtool")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_oathtool_makes_the_same_totp(algorithm: HashName) -> None:
    secret = RFC6238["secrets"][algorithm].encode()
    chance = random.Random(algorithm)
    times = [value["time"] for value in RFC6238["value"]] + [chance.randrange(2**33) for _ in range(10)]
    for time in times:
        for digits in (6, 8):
            printed = oathtool(f"--totp={algorithm}", "-d", str(digits), "-N", f"@{time}", secret.hex())
            assert printed == hotp(secret, step_at(time * 1000), digits=digits, algorithm=algorithm), time


@pytest.mark.bar("B1")
@pytest.mark.debian("oathtool")
@pytest.mark.parametrize("counter", [0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**40 + 12345, 2**63 - 1])
def test_oathtool_makes_the_same_hotp_for_counters_of_64_bits(counter: int) -> None:
    secret = b"12345678901234567890"
    assert oathtool("--hotp", "-c", str(counter), secret.hex()) == hotp(secret, counter)


@pytest.mark.mission("M5")
@pytest.mark.debian("oathtool")
def test_a_code_made_by_oathtool_with_its_own_defaults_is_accepted() -> None:
    """No option but the time: SHA-1, six digits and 30 s are what an app takes for granted."""
    chance = random.Random(6238)
    for _ in range(10):
        secret, time = chance.randbytes(20), chance.randrange(2**32)
        code = oathtool("--totp", "-N", f"@{time}", secret.hex())
        match = match_step(secret, code, now_ms=time * 1000, last_step=NEVER_USED, window=Window.NARROW)
        assert match.step == time // 30


@pytest.mark.bar("B1")
@pytest.mark.mission("M5")
def test_pyotp_makes_the_same_codes() -> None:
    chance = random.Random(4226)
    for _ in range(500):
        secret, time = chance.randbytes(20), chance.randrange(2**35)
        app = pyotp.TOTP(base64.b32encode(secret).decode())
        match = match_step(secret, app.at(time), now_ms=time * 1000, last_step=NEVER_USED, window=Window.NARROW)
        assert match.step == time // 30


@pytest.mark.bar("B1")
@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cryptography_makes_the_same_hotp(algorithm: HashName, digits: int) -> None:
    hash_of = {"sha1": SHA1, "sha256": SHA256, "sha512": SHA512}[algorithm]
    chance = random.Random(f"{algorithm}{digits}")
    for _ in range(200):
        secret, counter = chance.randbytes(chance.choice([20, 32, 64])), chance.randrange(2**64)
        witness = HOTP(secret, digits, hash_of()).generate(counter).decode()
        assert hotp(secret, counter, digits=digits, algorithm=algorithm) == witness
