"""Which URLs hooks may have by settings: who saves one and who calls it judge alike, and neither is silent."""

import pytest

from hookline.chain.events import AttemptError, HookPlan
from hookline.clock import SystemClock
from hookline.errors import ConfigError
from hookline.settings import load_settings
from hookline.web.hook_rules import HookRules
from hookline.web.hook_url import HookUrlError
from services.console.hook_urls import accepted, warning_of
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.sender import HookPost, Sender
from tests.unit.dispatcher.instant_dial import InstantDial
from tests.unit.dispatcher.raw_receiver import OK
from tests.unit.dispatcher.test_sender import KEYS

HTTPS = HookRules(https_only=True)
PORTS = HookRules(ports=(443, 8443))
BOTH = HookRules(https_only=True, ports=(443, 8443))
ANY = HookRules()
NO_HTTPS = "Must begin with https:// (HOOKLINE_HOOK_HTTPS_ONLY)."


def bad_port(port: int) -> str:
    return f"Has port {port}: hooks may use 443, 8443 only (HOOKLINE_HOOK_PORTS)."


CASES: list[tuple[HookRules, str, str | None]] = [
    (ANY, "http://r.example:25/", None),
    (HTTPS, "https://r.example/", None),
    (HTTPS, "HTTPS://r.example:25/", None),
    (HTTPS, "http://r.example/", NO_HTTPS),
    (HTTPS, "HTTP://r.example:443/", NO_HTTPS),
    (HTTPS, "http://93.184.215.14/", NO_HTTPS),
    (PORTS, "https://r.example/", None),
    (PORTS, "https://r.example:/", None),
    (PORTS, "https://r.example:443/", None),
    (PORTS, "http://r.example:8443/", None),
    (PORTS, "https://r.example:08443/", None),
    (PORTS, "http://r.example/", bad_port(80)),
    (PORTS, "https://r.example:25/", bad_port(25)),
    (PORTS, "https://r.example:22/", bad_port(22)),
    (PORTS, "https://[2606:2800:21f::1]:444/", bad_port(444)),
    (PORTS, "https://93.184.215.14:4430/?a=:443", bad_port(4430)),
    (BOTH, "http://r.example:25/", NO_HTTPS),
    (BOTH, "https://r.example:8443/", None),
]


@pytest.mark.parametrize(("rules", "url", "said"), CASES)
async def test_who_saves_and_who_calls_judge_alike(rules: HookRules, url: str, said: str | None) -> None:
    saved = accepted(url, (), ANY).text
    refusal = None
    try:
        assert accepted(url, (), rules).text == saved
    except HookUrlError as error:
        refusal = str(error)
    assert refusal == said
    dial = InstantDial(lambda url, request: [OK])
    sender = Sender(KEYS, SystemClock(), AddressGuard(()), rules=rules, dial=dial)

    outcome = await sender.post(HookPost(HookPlan(id="h1", version=1, key="k1", name="1", url=saved), "c-1", b"{}", 5))
    await sender.close()

    if said is None:
        assert (outcome.error, outcome.status, len(dial.dialled)) == (None, 200, 1)
    else:
        assert (outcome.error, outcome.detail) == (AttemptError.BLOCKED, f"its URL is not allowed here: {said}")
        assert dial.dialled == [], "nothing was called"


async def test_a_url_that_was_saved_before_is_warned_of() -> None:
    async def resolve(host: str) -> list[object]:
        raise AssertionError("what is not allowed is not looked up")

    said = await warning_of("http://r.example/", (), HTTPS, resolve)  # type: ignore[arg-type]

    assert said == f"A hook's URL is no longer allowed, so its attempts fail: {NO_HTTPS}"


def test_the_settings_are_what_is_gone_by() -> None:
    made = load_settings(hook_https_only="true", hook_ports="443, 8443")

    assert HookRules.of(made) == BOTH
    assert HookRules.of(load_settings()) == ANY


@pytest.mark.parametrize("ports", ["0", "65536", "https", "443;80", "-1"])
def test_ports_that_are_none_are_refused_by_name(ports: str) -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_HOOK_PORTS"):
        load_settings(hook_ports=ports)
