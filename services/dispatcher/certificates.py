"""TLS to receivers: the context that verifies them, and why a certificate was refused, in words."""

import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

__all__ = ["CertificateRefused", "client_context", "refusal_words"]

MAX_NAMES = 3
MAX_NAME = 100
"""Characters of a name in a certificate that are shown."""


class CertificateRefused(ssl.SSLCertVerificationError):
    """A receiver's certificate did not verify. `code`: OpenSSL's X509_V_ERR_*; `chain`: what it sent, DER, its own first.

    OpenSSL's own error has the code alone: neither dates nor names.
    """

    code: int = 0
    chain: Sequence[bytes] = ()


class _Handshake(ssl.SSLObject):
    """Keeps what a receiver sent where it is refused."""

    def do_handshake(self) -> None:
        """Raises CertificateRefused."""
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            refused = CertificateRefused(*error.args)
            refused.code, refused.chain = error.verify_code, _sent_chain(self)
            raise refused from None


def client_context() -> ssl.SSLContext:
    """Verifies receivers by the system's authorities; its connections raise CertificateRefused."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _Handshake
    return context


def refusal_words(refused: CertificateRefused, host: str) -> str:
    """Why the certificate of `host` was refused."""
    sent = [_Facts.of(der) for der in refused.chain]
    leaf, last = (sent[0], sent[-1]) if sent else (_Facts(), _Facts())
    match refused.code:
        case 9:
            return f"its certificate is not valid before {leaf.begins or 'a later date'}"
        case 10 if leaf.is_over:
            return f"its certificate expired on {leaf.ends}"
        case 10:
            return "a certificate between its own and its authority's has expired"
        case 18:
            return "its certificate is self-signed: it is its own authority, which is not trusted here"
        case 19:
            return f"its certificate was signed by an authority that is not trusted here{_quoted(last.subject)}"
        case 20 | 21 if len(sent) == 1:
            return (
                f"its server sent no certificate of the issuer{_quoted(leaf.issuer)}, which is not known here: an"
                " intermediate certificate is missing, or the authority is private"
            )
        case 20 | 21:
            return f"its certificate leads to an authority that is not trusted here{_quoted(last.issuer)}"
        case 62 | 64:
            return f"its certificate is not for {host}{leaf.for_whom}"
        case code:
            return f"its certificate was refused by OpenSSL with code {code}"


class _Facts:
    """What words are made of; "" for what a certificate does not say, or not so that it can be read."""

    def __init__(self) -> None:
        self.begins = self.ends = self.subject = self.issuer = self.for_whom = ""
        self.is_over = False

    @classmethod
    def of(cls, der: bytes) -> "_Facts":
        facts = cls()
        try:
            facts._read(x509.load_der_x509_certificate(der))
        except Exception:  # noqa: BLE001 - anybody's bytes: what cannot be read is not said
            return facts
        return facts

    def _read(self, certificate: x509.Certificate) -> None:
        self.begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        self.ends = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        self.is_over = certificate.not_valid_after_utc < datetime.now(UTC)
        self.subject, self.issuer = _common_name(certificate.subject), _common_name(certificate.issuer)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        said = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
        more = f" and {len(said) - MAX_NAMES} more" if len(said) > MAX_NAMES else ""
        self.for_whom = f" but for {', '.join(map(_clean, said[:MAX_NAMES]))}{more}" if said else ""


def _common_name(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME) or list(name)
    return _clean(str(values[-1].value)) if values else ""


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() and c != '"' else "?" for c in text[:MAX_NAME])


def _quoted(name: str) -> str:
    return f' "{name}"' if name else ""


def _sent_chain(handshake: ssl.SSLObject) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return list(handshake.get_unverified_chain())
    sent = handshake._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way before 3.13
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in sent or ()]
