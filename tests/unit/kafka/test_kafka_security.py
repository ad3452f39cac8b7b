"""Settings to aiokafka's security options, with a throwaway authority."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hookline.errors import ConfigError
from hookline.kafka.client import PLAINTEXT
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.kafka.security import security_of
from hookline.settings import load_settings

SASL = {"kafka_username": "ingress", "kafka_password": "hunter2hunter2"}


def write_certificate(folder: Path, passphrase: bytes | None = None) -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throwaway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    closed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, closed))
    return str(folder / "tls.crt"), str(folder / "tls.key")


def test_plaintext_is_what_settings_without_any_give() -> None:
    assert security_of(load_settings()) == PLAINTEXT


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_aiokafka_is_given_the_password_and_no_repr_shows_it(protocol: str) -> None:
    cluster = kafka_cluster(load_settings(kafka_security_protocol=protocol, **SASL), "ingress")
    options = cluster.connection.options()

    assert options["security_protocol"] == protocol
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ingress", "hunter2hunter2")
    assert isinstance(options["ssl_context"], ssl.SSLContext) == (protocol == "SASL_SSL")
    assert "hunter2" not in repr(cluster.connection)


def test_tls_trusts_the_authority_that_is_named_alone_and_checks_host_names(tmp_path: Path) -> None:
    authority, _ = write_certificate(tmp_path)

    context = security_of(load_settings(kafka_security_protocol="SSL", kafka_ca_file=authority)).ssl_context

    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "throwaway"),),)]


def test_mtls_takes_certificate_and_key(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    settings = load_settings(kafka_security_protocol="SSL", kafka_cert_file=certificate, kafka_key_file=key)

    assert security_of(settings).ssl_context is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs HOOKLINE_KAFKA_USERNAME and HOOKLINE_KAFKA_PASSWORD"),
        ({"kafka_security_protocol": "SSL", **SASL}, "does not use it: SASL_SSL does"),
        (SASL, "does not use it: SASL_SSL does"),
        ({"kafka_ca_file": "ca.crt"}, "does not use it: SSL and SASL_SSL do"),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "gone.crt"}, "HOOKLINE_KAFKA_CA_FILE=gone.crt cannot"),
        ({"kafka_security_protocol": "SSL", "kafka_key_file": "tls.key"}, "are set together"),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_file": "tls.key", "kafka_cert_file": "gone.crt"},
            "HOOKLINE_KAFKA_CERT_FILE=gone.crt with HOOKLINE_KAFKA_KEY_FILE=tls.key cannot",
        ),
    ],
)
def test_what_does_not_go_together_is_said(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        security_of(load_settings(**settings))

    assert "hunter2" not in str(refused.value)


def test_a_key_with_a_passphrase_is_said_and_asks_nobody(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, b"swordfish")
    settings = load_settings(kafka_security_protocol="SSL", kafka_cert_file=certificate, kafka_key_file=key)

    with pytest.raises(ConfigError, match="the key needs a passphrase"):
        security_of(settings)
