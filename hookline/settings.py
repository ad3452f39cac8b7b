"""Every setting, from the environment with the prefix `HOOKLINE_` (docs/settings.md is the table for people)."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hookline.broker_login import KAFKA_PASSWORD, MECHANISM, PROTOCOL, SECRETS_FILE, BrokerLogin, read_secrets
from hookline.chain.keys import KeyRing
from hookline.chain.registry_names import RegistryNames
from hookline.errors import ConfigError
from hookline.explain import faults_of
from hookline.web.hook_proxy import HookProxy, parse_hook_proxy

__all__ = ["MAX_CLOCK_SKEW_S", "IPNetwork", "Settings", "load_settings", "settings_of_environment"]

IPNetwork: TypeAlias = IPv4Network | IPv6Network
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
MAX_CLOCK_SKEW_S = 60
ADMIN_OFFSET = 1000
"""The admin port (`/livez /readyz /metrics`) is the service's own plus this."""
_ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Lists are comma-separated. Secrets are SecretStr: they show as stars in any print."""

    model_config = SettingsConfigDict(env_prefix="HOOKLINE_", frozen=True, extra="ignore")

    kafka_bootstrap_servers: Annotated[tuple[str, ...], NoDecode] = ()
    """Empty: the embedded broker (`hookline up` and `demo` start it; the rest look for it at `kafka_port`)."""
    kafka: Literal["", "docker"] = ""
    kafka_port: Port = 9092
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """The six after it say how (`hookline.kafka.security`)."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: str = ""
    kafka_cert_file: str = ""
    kafka_key_file: str = ""
    kafka_fetcher: Literal["own", "aiokafka"] = "own"
    """What reads records (`hookline.kafka.fallback_consumer` says what the second one cannot do)."""
    topic_prefix: str = "hookline."
    partitions: int = Field(default=12, ge=1, le=1000)
    replication: int | None = Field(default=None, ge=1)
    """None: 3 on a cluster of three or more brokers, else 1."""
    retention_days: int = Field(default=0, ge=0, le=36_500)
    """How long `topics create` has the four logs kept, 0 forever (`hookline.log.retention`)."""
    quarantine_days: int = Field(default=30, ge=0, le=36_500)
    """Likewise `quarantine`, and how much of it, 0 without a bound."""
    quarantine_bytes: int = Field(default=1024**3, ge=0)
    master_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    registry_aliases: Annotated[tuple[str, ...], NoDecode] = ()
    """`NAME=HOST`: pushes of the registry NAME are those of HOST (`hookline.chain.registry_names`)."""
    public_callback_url: str = ""
    public_console_url: str = ""
    """Where users reach the console: a scheme and a host, without a slash at its end (`services.console.api.links`)."""
    console_idle_minutes: int = Field(default=60, ge=1, le=1440)
    """A session of the console that is not used for so long ends (`services.console.sessions`)."""
    host: str = "127.0.0.1"
    ingress_port: Port = 8081
    callbacks_port: Port = 8082
    console_port: Port = 8080
    dispatcher_port: Port = 8083
    database_url: SecretStr = SecretStr("")
    admin_username: str = "admin"
    admin_password: SecretStr = SecretStr("")
    ingress_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    ingress_secrets_file: str = ""
    """TOML: each source's own credentials (`services.ingress.secret_file`)."""
    insecure_ingress: bool = False
    ingress_bytes_in_flight: int = Field(default=32 * 1024 * 1024, ge=2 * 1024 * 1024)
    """Of bodies whose signature is not judged yet, all together, in one process (`hookline.web.in_flight`)."""
    ingress_rate: int = Field(default=2_000, ge=1)
    """Deliveries a second with one credential to one source, in one process (`services.ingress.allowance`)."""
    ingress_byte_rate: int = Field(default=4 * 1024 * 1024, ge=1024)
    """Likewise bytes."""
    generic_file: str = ""
    """TOML: further mappings of the source `generic`, each under a name (`services.ingress.mapping_file`)."""
    generic_repository: str = ""
    """As the others: where the source `generic` finds that field in a body, in JMESPath (`services.ingress.mapping`)."""
    generic_image: str = ""
    generic_tag: str = ""
    generic_digest: str = ""
    generic_registry: str = ""
    generic_media_type: str = ""
    generic_pusher: str = ""
    generic_pushed_at: str = ""
    generic_id: str = ""
    generic_when: str = ""
    generic_each: str = ""
    generic_default_registry: str = ""
    """A registry, no expression: of pushes for which none is found."""
    allow_private_addresses: Annotated[tuple[IPNetwork, ...], NoDecode] = ()
    hook_https_only: bool = False
    """As `hook_ports`: which URLs hooks may have (`hookline.web.hook_rules`)."""
    hook_ports: Annotated[tuple[Port, ...], NoDecode] = ()
    """Empty: every port."""
    hook_proxy: SecretStr = SecretStr("")
    """Its URL may have a password in it (`hookline.web.hook_proxy`)."""
    trusted_proxies: Annotated[tuple[IPNetwork, ...], NoDecode] = ()
    """Whose `X-Forwarded-For` is believed (`hookline.web.client_address`)."""
    group_instance_id: str = ""
    session_timeout_ms: int = Field(default=45_000, ge=1000)
    max_posts: int = Field(default=200, ge=1)
    """Hooks in flight at once, in one process."""
    max_posts_per_host: int = Field(default=32, ge=1)
    max_clock_skew: int = Field(default=MAX_CLOCK_SKEW_S, ge=1)
    """Seconds that this process's clock may be off from the brokers' (`hookline.log.skew`)."""
    clock_skew_ms: int = 0
    """Moves this process's clock: for tests of clock skew only."""
    log_format: Literal["json", "text"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    data_dir: Path = Path("hookline-data")

    @field_validator(
        "kafka_bootstrap_servers", "master_keys", "ingress_tokens", "hook_ports", "registry_aliases", mode="before"
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        return _split(value)

    @field_validator("allow_private_addresses", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        parts = _split(value)
        return tuple(map(ip_network, parts)) if isinstance(parts, list) else parts

    @field_validator("hook_proxy")
    @classmethod
    def _a_proxy(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value():
            parse_hook_proxy(url.get_secret_value())
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _not_everybody(cls, networks: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...]:
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError(
                "that trusts everyone, so anyone could pretend any address: name the networks of your proxies"
            )
        return networks

    @field_validator("public_console_url")
    @classmethod
    def _origin(cls, url: str) -> str:
        if url and _ORIGIN.fullmatch(url) is None:
            raise ValueError(
                "it must be a scheme and a host, such as https://hookline.example.com: pages have no path before them"
            )
        return url.rstrip("/")

    def key_ring(self) -> KeyRing:
        """The master keys. Raises ConfigError when there is none or one is not as it must be."""
        return KeyRing.parse(key.get_secret_value() for key in self.master_keys)

    def registry_names(self) -> RegistryNames:
        """Raises ConfigError for aliases that are none."""
        return RegistryNames.parse(self.registry_aliases)

    def outgoing_proxy(self) -> HookProxy | None:
        """What hooks go through; None where they go out by themselves."""
        url = self.hook_proxy.get_secret_value()
        return parse_hook_proxy(url) if url else None

    def callback_base_url(self) -> str:
        """Where receivers reach the callbacks service, without a slash at the end."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return (self.public_callback_url or f"http://{host}:{self.callbacks_port}").rstrip("/")


def load_settings(**overrides: object) -> Settings:
    """From the environment; where it names no Kafka, with what lets one into the broker of `hookline up`.

    Raises ConfigError in words: which setting, what is wrong; never the value of a secret.
    """
    settings = settings_of_environment(**overrides)
    return settings if settings.kafka_bootstrap_servers else _let_in(settings)


def settings_of_environment(**overrides: object) -> Settings:
    """From the environment alone. Raises ConfigError as `load_settings`."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        said = (f"HOOKLINE_{str(fault.where[0]).upper()}: {fault.said}" for fault in faults_of(error))
        raise ConfigError("; ".join(said)) from None


def _let_in(settings: Settings) -> Settings:
    """As the broker of `hookline up` on this data folder asks for it; unchanged where it says how a Kafka is reached, or `up` never ran."""
    given = settings.kafka_password.get_secret_value()
    if settings.kafka_security_protocol != "PLAINTEXT" or settings.kafka_username:
        return settings
    password = given or read_secrets(settings.data_dir / SECRETS_FILE).get(KAFKA_PASSWORD, "")
    if not password:
        return settings
    login = BrokerLogin(password)
    return settings.model_copy(
        update={
            "kafka_security_protocol": PROTOCOL,
            "kafka_sasl_mechanism": MECHANISM,
            "kafka_username": login.username,
            "kafka_password": SecretStr(login.password),
        }
    )
