"""A certificate chain with its key: what it is good for. Runs with the cryptography of Debian 12 (38) and later."""

from __future__ import annotations

import datetime
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

if TYPE_CHECKING:  # Debian 12's cryptography has no such names
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

Roots = Callable[[x509.Certificate], Iterable[x509.Certificate]]
LEAST_RSA = 2048  # bits, NIST SP 800-57 part 1
CURVES = {"secp256r1", "secp384r1"}  # those that browsers take
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
SELFSIGNED_DAYS = 365
NO_CERTIFICATE = "holds no PEM certificate; it needs the leaf, then its intermediates"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - Debian 12's Python knows UTC, older tools do not


def load_chain(text: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM text; none if one of them cannot be read."""
    try:
        return [x509.load_pem_x509_certificate(block) for block in BLOCK.findall(text)]
    except ValueError:
        return []


def load_key(text: bytes) -> tuple[PrivateKeyTypes | None, str | None]:
    """Return (private key, None) or (None, what is wrong)."""
    if b"PUBLIC KEY" in text:
        return None, "is a public key; the private one is needed"
    try:
        return load_pem_private_key(text, None), None
    except TypeError:
        return None, "is encrypted; remove its passphrase and keep it in the vault"
    except (ValueError, UnsupportedAlgorithm):
        return None, "is not a private key in PEM; it must begin with -----BEGIN PRIVATE KEY-----"


def public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def span(certificate: x509.Certificate) -> tuple[datetime.datetime, datetime.datetime]:
    """Return first and last moment of a certificate's life, aware of the time zone."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    first, last = certificate.not_valid_before, certificate.not_valid_after
    return first.replace(tzinfo=now().tzinfo), last.replace(tzinfo=now().tzinfo)


def life_left(certificate: x509.Certificate, moment: datetime.datetime) -> float:
    """Return the share of a certificate's life that is left: 1 at its start, 0 at its end, less when expired."""
    first, last = span(certificate)
    return (last - moment) / (last - first)


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Tell whether a certificate is good for a name (RFC 6125, one wildcard label)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return bool({name, f"*.{name.partition('.')[2]}"} & set(names.get_values_for_type(x509.DNSName)))


def for_servers(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether one certificate signed another (RFC 5280 section 6.1.3); RSASSA-PSS is judged by name alone."""
    if certificate.issuer != issuer.subject:
        return False
    key, signed = issuer.public_key(), (certificate.signature, certificate.tbs_certificate_bytes)
    digest = certificate.signature_hash_algorithm
    try:
        if certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
            return True
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(*signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(*signed, ec.ECDSA(digest))
        else:
            key.verify(*signed)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, AttributeError):  # an X25519 key verifies nothing
        return False
    return True


def roots(certificate: x509.Certificate, ca_file: str | None = None) -> list[x509.Certificate]:
    """Return what may have signed a certificate, of what this machine trusts and of a file of one's own CA."""
    name = certificate.issuer.public_bytes()  # some roots cannot be read: only those that matter are
    trusted = [each for each in ssl.create_default_context().get_ca_certs(binary_form=True) if name in each]
    own = Path(ca_file).read_bytes() if ca_file else b""
    return [*map(x509.load_der_x509_certificate, trusted), *load_chain(own)]


def chain_gap(chain: Sequence[x509.Certificate], trusted: Roots | None) -> str | None:
    """Return what a client misses to get from the leaf to a root it trusts, or None."""
    for child, issuer in pairwise(chain):
        if not issued(child, issuer):
            return f"{title(child)} is not signed by {title(issuer)} after it; it needs the leaf, then each issuer"
    last = chain[-1]
    if not trusted or issued(last, last) or any(issued(last, root) for root in trusted(last)):
        return None
    return (
        f"the chain ends with {title(last)}, whose issuer is no root known here; append the intermediates, "
        "or keep your own CA in nginx_certificate_ca_file"
    )


def title(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return repr(names[0].value if names else certificate.subject.rfc4514_string())


def weakness(leaf: x509.Certificate) -> str | None:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA:
        strong = True
    else:
        strong = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES
    if not strong:
        return f"its key is weak or unknown to browsers; it must be P-256, P-384, or RSA of {LEAST_RSA} bits or more"
    if isinstance(leaf.signature_hash_algorithm, (hashes.SHA1, hashes.MD5)):
        return f"it is signed with {leaf.signature_hash_algorithm.name}; it needs SHA-256 or better"
    return None


def judge_chain(
    text: bytes, names: Iterable[str], moment: datetime.datetime, trusted: Roots | None = None
) -> list[str]:
    """Return what is wrong with a chain for these names.

    ``trusted`` returns the roots that may have signed its end, as ``roots`` does; without it that is not judged.
    """
    chain = load_chain(text)
    if not chain:
        return [NO_CERTIFICATE]
    leaf, said = chain[0], []
    for each in chain:
        first, last = span(each)
        if not first <= moment <= last:
            what = "" if each is leaf else f"{title(each)} is "
            said.append(f"{what}valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, not today")
    missing = [name for name in names if not covers(leaf, name)]
    if missing:
        said.append(f"does not cover {', '.join(missing)}")
    if not for_servers(leaf):
        said.append("is not meant for servers; its extended key usage needs serverAuth")
    return said + [each for each in (weakness(leaf), chain_gap(chain, trusted)) if each]


def judge_key(text: bytes, chain_text: bytes) -> str | None:
    """Return what is wrong with a key for a chain, or None."""
    key, said = load_key(text)
    chain = load_chain(chain_text)
    if not said and chain and public(key.public_key()) != public(chain[0].public_key()):
        said = "is not the key of nginx_certificate_file"
    return said


def make_selfsigned(
    names: Sequence[str], moment: datetime.datetime, signer: dict[str, str] | None = None
) -> tuple[bytes, bytes]:
    """Return chain and key, in PEM, of a new certificate that signs itself.

    :param signer: ``certificate`` and ``key`` in PEM of a CA that signs it instead, which balancers trust.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer, signing = subject, key
    if signer:
        issuer = x509.load_pem_x509_certificate(signer["certificate"].encode()).subject
        signing = load_pem_private_key(signer["key"].encode(), None)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(hours=1))
        .not_valid_after(moment + datetime.timedelta(days=SELFSIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
