"""What `hookline up` prints: a line as each part gets ready, `ready` with the addresses, and what goes wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from textwrap import shorten

from rich.console import Console

from hookline import __version__
from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, SecretFile
from hookline.cli.local.readiness import NO_ANSWER, local_host
from hookline.cli.local.supervisor import TRIES, Unit
from hookline.cli.terminal import plain, shown_path
from hookline.clock import Clock
from hookline.settings import Settings

__all__ = ["SAMPLE_PUSH", "UpVoice", "curl_push"]

SAMPLE_PUSH = (
    """{"push_data": {"pushed_at": '$(date +%s)', "pusher": "me", "tag": "1.0.0"}, """
    """"repository": {"repo_name": "acme/shop"}}"""
)
"""For a shell, between single quotes; its time is now, for the same body sent twice within an hour counts once."""
PATIENCE_S = 5.0
"""So long a unit may take before it is said why it is not ready, and then between two such lines."""
LONGEST_DETAIL = 100
REBUILD = "--rebuild"
"""In the last words of a console whose database is of another log, or broken."""
REBUILD_NEEDS = (
    "database_url",
    "kafka_security_protocol",
    "kafka_sasl_mechanism",
    "kafka_username",
    "kafka_password",
    "kafka_ca_file",
    "kafka_cert_file",
    "kafka_key_file",
)
"""Settings that `hookline console --rebuild` must have beside those that its line shows."""
WITHOUT: Mapping[str, str] = {
    "console": "pushes come in, hooks are called, callbacks are accepted. Pages, API, History and new pipelines are unavailable"
}
"""What still works without a service, and what does not."""
QUIET_S = 10.0
"""After an error line of a service was shown, its next ones only go to its log file, for so long."""


class UpVoice:
    """Prints to one console; knows where each part listens."""

    def __init__(
        self,
        console: Console,
        clock: Clock,
        settings: Settings,
        data_dir: Path,
        secrets: Mapping[str, str],
        made: frozenset[str],
        *,
        own_broker: bool,
    ) -> None:
        self._console = console
        self._clock = clock
        self._settings = settings
        self._data_dir = data_dir
        self._secrets = secrets
        self._made = made
        self._own_broker = own_broker
        host = local_host(settings)
        self._urls = {
            "kafka": ",".join(settings.kafka_bootstrap_servers),
            "ingress": f"http://{host}:{settings.ingress_port}",
            "callbacks": settings.callback_base_url(),
            "console": f"{settings.public_console_url or f'http://{host}:{settings.console_port}'}/",
        }
        self._seen_ready: set[str] = set()
        self._shown_error_at: dict[str, float] = {}
        self._said_waiting_at: dict[str, float] = {}

    def begin(self) -> None:
        self._console.print(
            f"[bold]Hookline {plain(__version__)}[/] [quiet]data, secrets and logs in {shown_path(self._data_dir)}[/]"
        )

    def says(self, what: str, text: str) -> None:
        """Progress in words."""
        self._console.print(f"  [quiet]{plain(what):<11} {plain(text)}[/]")

    def topics_fit(self, done: Sequence[str]) -> None:
        if made := sum(line.startswith("made ") for line in done):
            self._line("topics", f"{made:d} made, {self._settings.partitions:d} partitions")
        else:
            self._line("topics", "there, and as they must be")

    def became_ready(self, unit: Unit, after_s: float) -> None:
        address = self._urls.get(unit.name, "")
        again = "" if unit.name not in self._seen_ready else "[good]is back[/] "
        self._seen_ready.add(unit.name)
        self._line(plain(unit.name), f"{again}{plain(address):<28} [quiet]{after_s:.1f} s[/]")

    def is_waiting(self, unit: Unit, detail: str, for_s: float) -> None:
        if for_s < PATIENCE_S or detail in ("", NO_ANSWER):
            return
        now = self._clock.monotonic()
        if now - self._said_waiting_at.get(unit.name, float("-inf")) >= PATIENCE_S:
            self._said_waiting_at[unit.name] = now
            self.says(unit.name, f"after {for_s:.0f} s: {shorten(detail, LONGEST_DETAIL, placeholder=' ...')}")

    def died(self, unit: Unit, how: str, pause_s: float) -> None:
        last = unit.last_lines()[-1:] if how.startswith("exit code") else []
        said = f" [quiet]{plain(last[0])}[/]" if last else ""
        self._console.print(
            f"[warn]![/] [name]{plain(unit.name):<11}[/] ended ({plain(how)}): started again in {pause_s:g} s{said}"
        )

    def given_up(self, unit: Unit, how: str, pause_s: float) -> None:
        """What happened, what still works, and what to do."""
        show, last = self._console.print, "".join(unit.last_lines()[-1:])
        show(f"[bad]![/] [name]{plain(unit.name):<11}[/] ended {TRIES:d} times before it was ready ({plain(how)})")
        if last:
            self._add(last)
        self._add(f"the rest keeps running without it: {WITHOUT.get(unit.name, '')}")
        if must_rebuild := REBUILD in last:
            self._add(f"to do: {self._rebuild()}")
            self._add(f"{self._as_here()}it rebuilds everything from Kafka; nothing is lost")
        else:
            self._add(f"to do: see {shown_path(self._log_file(unit.name))}, and what `hookline doctor` says")
        self._add(f"it is tried again every {pause_s:g} s{', also while that runs' if must_rebuild else ''}")

    def _add(self, text: str) -> None:
        self._console.print(f"  {'':<11} [quiet]{plain(text)}[/]")

    def _rebuild(self) -> str:
        """The command, with what it needs to know: it is for another terminal."""
        known = {}
        if not self._own_broker:
            known["HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"] = self._urls["kafka"]
        elif self._settings.kafka_port != Settings.model_fields["kafka_port"].default:
            known["HOOKLINE_KAFKA_PORT"] = str(self._settings.kafka_port)
        known["HOOKLINE_DATA_DIR"] = str(self._data_dir)
        if self._settings.topic_prefix != Settings.model_fields["topic_prefix"].default:
            known["HOOKLINE_TOPIC_PREFIX"] = self._settings.topic_prefix
        return " ".join([*(f"{name}={quote(value)}" for name, value in known.items()), "hookline console --rebuild"])

    def _as_here(self) -> str:
        """Which settings that command must have too: some are secrets, so their values are not shown."""
        needs = [name for name in REBUILD_NEEDS if not (self._own_broker and name.startswith("kafka_"))]
        differ = [n for n in needs if getattr(self._settings, n) != Settings.model_fields[n].default]
        named = ", ".join(f"HOOKLINE_{name.upper()}" for name in differ)
        return f"with {named} set as here; " if named else ""

    def _log_file(self, service: str) -> Path:
        return self._data_dir / "logs" / f"{service}.log"

    def error_line(self, service: str, line: str) -> None:
        """An error in a service's log: shown, but not a flood of them."""
        now = self._clock.monotonic()
        if now - self._shown_error_at.get(service, float("-inf")) < QUIET_S:
            return
        self._shown_error_at[service] = now
        more = f"[quiet](more in {shown_path(self._log_file(service))})[/]"
        self._console.print(f"[bad]![/] [name]{plain(service):<11}[/] {plain(line)} {more}")

    def all_ready(self, without: Sequence[str] = ()) -> None:
        """The line `ready`, the addresses, how to log in, and a push to paste."""
        show, urls = self._console.print, self._urls
        show(f"\n[warn]ready, without the {plain(', '.join(without))}[/]" if without else "\n[good]ready[/]")
        if "console" in without:
            show("  console     [warn]not ready: see above[/]")
        else:
            show(f"  console     [url]{plain(urls['console'])}[/]   {self._login()}")
        show(f"  ingress     [url]{plain(urls['ingress'])}[/]")
        show(f"  callbacks   [url]{plain(urls['callbacks'])}[/]")
        show(f"  kafka       {plain(urls['kafka'])}")
        show("\n[quiet]A push, as Docker Hub sends it:[/]")
        line = curl_push(urls["ingress"], self._shown_token(), SAMPLE_PUSH)
        show(f"  {self._sourcing()}[command]{plain(line)}[/]")
        show(
            "\n[quiet]Ctrl-C stops it; `hookline demo` shows what it does; `hookline receive` is a receiver to try.[/]"
        )

    def stopping(self) -> None:
        self._console.print("[quiet]stopping[/]")

    def had_to_kill(self, name: str) -> None:
        self._console.print(f"[warn]![/] [name]{plain(name):<11}[/] did not stop in time: killed")

    def stopped(self) -> None:
        self._console.print("[quiet]stopped[/]")

    def _line(self, name: str, text: str) -> None:
        self._console.print(f"  [name]{name:<11}[/] {text}")

    def _login(self) -> str:
        user = f"log in as [bold]{plain(self._settings.admin_username)}[/]"
        if ADMIN_PASSWORD in self._made:
            password = plain(self._secrets[ADMIN_PASSWORD])
            return f"{user}, password [bold]{password}[/] [quiet](made now, kept in {self._file()})[/]"
        if self._settings.admin_password.get_secret_value():
            return f"{user} [quiet]with HOOKLINE_ADMIN_PASSWORD[/]"
        return f"{user} [quiet]with the password in {self._file()}[/]"

    def _shown_token(self) -> str:
        """The token as the curl line shows it: itself only when it was made just now."""
        return self._secrets[INGRESS_TOKENS] if INGRESS_TOKENS in self._made else "${HOOKLINE_INGRESS_TOKENS%%,*}"

    def _sourcing(self) -> str:
        """What to run before the curl line, so that its token is there."""
        is_there = INGRESS_TOKENS in self._made or self._settings.ingress_tokens
        return "" if is_there else f". {self._file()}; "

    def _file(self) -> str:
        return shown_path(SecretFile(self._data_dir).path)


def curl_push(ingress_url: str, token: str, body: str) -> str:
    """The curl line that sends `body` as Docker Hub would."""
    return (
        f'curl -sS -H "Authorization: Bearer {token}" -H "Content-Type: application/json" '
        f"-d '{body}' {ingress_url}/events/dockerhub"
    )
