"""The client's address: the right-most that no trusted proxy is."""

from ipaddress import ip_network

import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from hookline.errors import ConfigError
from hookline.settings import load_settings
from hookline.web.client_address import TRUSTED_PROXIES, client_address, client_of
from hookline.web.service import app_runner

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # no proxy of ours says so
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),  # the client wrote the first itself
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1 , 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1", "10.9.9.9"), "198.51.100.1"),
        ("10.0.0.1", ("10.2.2.2, 10.9.9.9",), "10.2.2.2"),
        ("10.0.0.1", ("1.1.1.1, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("1.1.1.1, nonsense, 10.9.9.9",), "10.9.9.9"),
        ("10.0.0.1", ("1.1.1.1,",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("fd00::1", ("2001:DB8:0::1",), "2001:db8::1"),
        ("fe80::1%eth0", ("2001:db8::1",), "fe80::1"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        (None, ("198.51.100.1",), "unknown"),
        ("/run/socket", ("198.51.100.1",), "/run/socket"),
    ],
)
def test_the_right_most_that_is_no_proxy_of_ours(peer: str | None, forwarded: tuple[str, ...], client: str) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


PROXY = "10.0.0.1"


@given(st.lists(st.text()), st.ip_addresses(v=4).map(str).filter(lambda address: address != PROXY))
def test_nothing_that_a_client_writes_changes_its_address(written: list[str], client: str) -> None:
    assert client_of(PROXY, [*written, client], (ip_network(PROXY),)) == client
    assert client_of(client, [*written, PROXY], ()) == client


@pytest.mark.parametrize(("trusted", "client"), [((), "127.0.0.1"), ((ip_network("127.0.0.0/8"),), "198.51.100.1")])
async def test_of_a_request(trusted: tuple[()], client: str) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=client_address(request))

    app = web.Application()
    app[TRUSTED_PROXIES] = trusted
    app.router.add_get("/", tell)
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    headers = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "198.51.100.1")]
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with ClientSession() as http, http.get(url, headers=headers) as answer:
        assert await answer.text() == client
    await runner.cleanup()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("proxy.example", "proxy.example"),
        ("10.0.0.1/8", "has host bits set"),
        ("10.0.0.0/8,0.0.0.0/0", "everyone"),
        ("::/0", "everyone"),
    ],
)
def test_a_network_that_is_none_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("HOOKLINE_TRUSTED_PROXIES", value)
    with pytest.raises(ConfigError, match=f"HOOKLINE_TRUSTED_PROXIES: .*{said}"):
        load_settings()
