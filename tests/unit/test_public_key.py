"""RSA signatures, judged beside OpenSSL: by cryptography, which the program does without here."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from nodecheck.trust.public_key import PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what Amazon's older signatures carry
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
SECRETS: Final = [
    rsa.generate_private_key(exponent, bits)
    for exponent, bits in ((65537, 2048), (3, 2048), (65537, 2056), (65537, 3072))
]
DIGEST: Final = hashlib.sha256(b"what was signed").digest()
PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")


def public_of(secret: rsa.RSAPrivateKey) -> PublicKey:
    numbers = secret.public_key().public_numbers()
    return PublicKey("0" * 40, datetime.now(UTC), numbers.n, numbers.e, b"")


def openssl_says(secret: rsa.RSAPrivateKey, algorithm: str, digest: bytes, value: int) -> bool:
    size = (secret.key_size + 7) // 8
    if value.bit_length() > 8 * size:
        return False
    kind = utils.Prehashed(KINDS[algorithm])
    try:
        secret.public_key().verify(value.to_bytes(size, "big"), digest, padding.PKCS1v15(), kind)
    except InvalidSignature:
        return False
    return True


def signed(secret: rsa.RSAPrivateKey, algorithm: str, digest: bytes) -> int:
    made = secret.sign(digest, padding.PKCS1v15(), utils.Prehashed(KINDS[algorithm]))
    return int.from_bytes(made, "big")


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: str(secret.key_size))
@pytest.mark.parametrize("algorithm", KINDS)
def test_a_signature_is_of_its_digest_algorithm_and_key(
    secret: rsa.RSAPrivateKey, algorithm: str
) -> None:
    digest = hashlib.new(algorithm, b"what was signed").digest()
    value = signed(secret, algorithm, digest)
    assert public_of(secret).verifies(algorithm, digest, value)
    assert not public_of(secret).verifies(algorithm, digest[::-1], value)
    assert not public_of(secret).verifies(algorithm, digest, value ^ 1)
    others = [other for other in KINDS if other != algorithm]
    for other in others:
        same_text = hashlib.new(other, b"what was signed").digest()
        assert not public_of(secret).verifies(other, same_text, value)
    strangers = [public_of(other) for other in SECRETS if other is not secret]
    assert not any(stranger.verifies(algorithm, digest, value) for stranger in strangers)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: str(secret.key_size))
def test_each_value_has_one_spelling(secret: rsa.RSAPrivateKey) -> None:
    value = signed(secret, "sha256", DIGEST)
    modulus = public_of(secret).modulus
    assert not public_of(secret).verifies("sha256", DIGEST, value + modulus)
    assert not any(
        public_of(secret).verifies("sha256", DIGEST, other)
        for other in (0, 1, modulus - 1, modulus, modulus - value)
    )


def encoded(size: int, head: bytes = b"\x00\x01", tail: bytes = b"\x00" + PREFIX + DIGEST) -> bytes:
    return head + b"\xff" * (size - len(head) - len(tail)) + tail


FORGED: Final[dict[str, Callable[[int], bytes]]] = {
    "what it should be": encoded,
    "short padding, garbage behind": lambda size: encoded(8 + 3 + len(PREFIX) + len(DIGEST)).ljust(
        size, b"\x5a"
    ),
    "short padding, zeros behind": lambda size: encoded(8 + 3 + len(PREFIX) + len(DIGEST)).ljust(
        size, b"\x00"
    ),
    "garbage between padding and prefix": lambda size: encoded(
        size, tail=b"\x00" + b"\x5a" * 32 + PREFIX + DIGEST
    ),
    "a hole in the padding": lambda size: encoded(size, head=b"\x00\x01\xff\xff\xfe\xff"),
    "block of type 2": lambda size: encoded(size, head=b"\x00\x02"),
    "block of type 0": lambda size: encoded(size, head=b"\x00\x00"),
    "no separator": lambda size: encoded(size, tail=b"\xff" + PREFIX + DIGEST),
    "two separators": lambda size: encoded(size, tail=b"\x00\x00" + PREFIX + DIGEST),
    "no prefix": lambda size: encoded(size, tail=b"\x00" + DIGEST),
    "prefix without NULL": lambda size: encoded(
        size, tail=b"\x00" + bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + DIGEST
    ),
    "prefix of SHA-512/256": lambda size: encoded(
        size, tail=b"\x00" + bytes.fromhex("3031300d060960864801650304020605000420") + DIGEST
    ),
    "lengths in long form": lambda size: encoded(
        size,
        tail=b"\x00"
        + bytes.fromhex("308133" + "30810d" + "0609608648016503040201" + "0500" + "048120")
        + DIGEST,
    ),
    "a byte behind the digest": lambda size: encoded(
        size, tail=b"\x00" + PREFIX + DIGEST + b"\x00"
    ),
}


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: str(secret.key_size))
@pytest.mark.parametrize("name", FORGED)
def test_only_the_one_encoding_is_believed(secret: rsa.RSAPrivateKey, name: str) -> None:
    numbers = secret.private_numbers()
    block = FORGED[name]((secret.key_size + 7) // 8)
    value = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    assert openssl_says(secret, "sha256", DIGEST, value) is (name == "what it should be")
    assert public_of(secret).verifies("sha256", DIGEST, value) is (name == "what it should be")


def test_a_cube_root_of_the_right_beginning_is_no_signature() -> None:
    """Forge for the exponent 3 without the secret, as in CVE-2006-4339."""
    secret = next(item for item in SECRETS if public_of(item).exponent == 3)
    block = FORGED["short padding, zeros behind"](256)
    target = int.from_bytes(block, "big")
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < target else (low, middle)
    begins = (low**3).to_bytes(256, "big")[:60]
    assert begins == block[:60]
    assert not public_of(secret).verifies("sha256", DIGEST, low)
    assert not openssl_says(secret, "sha256", DIGEST, low)


@given(
    st.sampled_from(SECRETS),
    st.sampled_from(sorted(KINDS)),
    st.binary(max_size=40),
    st.integers(0, 2),
    st.integers(min_value=0),
)
@settings(max_examples=200, deadline=None)
def test_openssl_says_the_same(
    secret: rsa.RSAPrivateKey, algorithm: str, text: bytes, change: int, noise: int
) -> None:
    digest = hashlib.new(algorithm, text).digest()
    value = signed(secret, algorithm, digest)
    value = (value, value ^ (1 << noise % secret.key_size), noise)[change]
    expected = openssl_says(secret, algorithm, digest, value)
    assert public_of(secret).verifies(algorithm, digest, value) is expected
    assert expected is (change == 0)


def test_a_digest_of_another_length_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="a sha256 digest of 20 bytes"):
        public_of(SECRETS[0]).verifies("sha256", DIGEST[:20], 1)
