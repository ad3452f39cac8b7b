"""TLS, SASL and mTLS toward the brokers, from settings; what does not go together is said before anything connects."""

import ssl

from hookline.errors import ConfigError
from hookline.kafka.client import PLAINTEXT, Security
from hookline.settings import Settings

__all__ = ["security_of"]


def security_of(settings: Settings) -> Security:
    """Reads the PEM files. Raises ConfigError: which setting, what is wrong."""
    protocol = settings.kafka_security_protocol
    with_tls, with_sasl = protocol.endswith("SSL"), protocol.startswith("SASL")
    _nothing_unused(settings, with_tls, with_sasl)
    if not with_tls and not with_sasl:
        return PLAINTEXT
    if with_sasl and not (settings.kafka_username and settings.kafka_password.get_secret_value()):
        raise ConfigError(
            f"HOOKLINE_KAFKA_SECURITY_PROTOCOL={protocol} needs HOOKLINE_KAFKA_USERNAME and HOOKLINE_KAFKA_PASSWORD"
        )
    return Security(
        protocol,
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username if with_sasl else None,
        password=settings.kafka_password.get_secret_value() if with_sasl else None,
        ssl_context=_ssl_context(settings) if with_tls else None,
    )


def _nothing_unused(settings: Settings, with_tls: bool, with_sasl: bool) -> None:
    """A credential that is set and not used is a mistake: its owner believes the connection to be safer than it is."""
    if not with_sasl and (settings.kafka_username or settings.kafka_password.get_secret_value()):
        raise ConfigError(
            "HOOKLINE_KAFKA_USERNAME or HOOKLINE_KAFKA_PASSWORD is set, and HOOKLINE_KAFKA_SECURITY_PROTOCOL="
            f"{settings.kafka_security_protocol} does not use it: SASL_SSL does"
        )
    if not with_tls and (settings.kafka_ca_file or settings.kafka_cert_file or settings.kafka_key_file):
        raise ConfigError(
            "HOOKLINE_KAFKA_CA_FILE, HOOKLINE_KAFKA_CERT_FILE or HOOKLINE_KAFKA_KEY_FILE is set, and"
            f" HOOKLINE_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} does not use it: SSL and SASL_SSL do"
        )


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    """Checks the broker's certificate and its host name, always."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"HOOKLINE_KAFKA_CA_FILE={settings.kafka_ca_file} cannot be used: {error}") from None
    certificate, key = settings.kafka_cert_file, settings.kafka_key_file
    if bool(certificate) != bool(key):
        raise ConfigError("HOOKLINE_KAFKA_CERT_FILE and HOOKLINE_KAFKA_KEY_FILE are set together, or neither is")
    if certificate:
        try:
            # Without `password` OpenSSL would ask for a passphrase on the terminal, and wait.
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"HOOKLINE_KAFKA_CERT_FILE={certificate} with HOOKLINE_KAFKA_KEY_FILE={key} cannot be used: {error}"
            ) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key needs a passphrase, and none can be given")
