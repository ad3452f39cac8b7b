"""Certificates of receivers, good and bad, signed by an authority that a test trusts."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Signed", "make_authority", "make_certificate", "pem", "server_context"]

LONG_AGO, FAR_OFF = timedelta(days=-365), timedelta(days=365)


class Signed(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(name: str, by: Signed | None = None) -> Signed:
    """One that may sign others; by another, or by itself."""
    return _signed(name, by, _extension_of(None))


def make_certificate(
    by: Signed | None, names: tuple[str, ...] = ("localhost",), begins: timedelta = LONG_AGO, ends: timedelta = FAR_OFF
) -> Signed:
    """A receiver's; `begins` and `ends` from now."""
    return _signed("receiver", by, _extension_of(names), begins, ends)


def pem(*signed: Signed) -> bytes:
    return b"".join(each.certificate.public_bytes(serialization.Encoding.PEM) for each in signed)


def server_context(folder: Path, *chain: Signed) -> ssl.SSLContext:
    """What a server sends: its own certificate first."""
    private = chain[0].key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem(*chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context


def _extension_of(names: tuple[str, ...] | None) -> x509.ExtensionType:
    if names is None:
        return x509.BasicConstraints(ca=True, path_length=None)
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _signed(
    name: str, by: Signed | None, extension: x509.ExtensionType, begins: timedelta = LONG_AGO, ends: timedelta = FAR_OFF
) -> Signed:
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(by.key if by is not None else key, hashes.SHA256())
    )
    return Signed(certificate, key)
