"""Hook URLs: what is saved, and what is called, come from one parser."""

from collections.abc import Iterator
from ipaddress import ip_network
from random import Random

import pytest

from hookline.clock import SystemClock
from hookline.web.hook_rules import ANY_URL
from hookline.web.hook_url import HookUrlError, parse_hook_url
from services.console.hook_urls import accepted
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.sender import Sender
from tests.unit.dispatcher.instant_dial import InstantDial
from tests.unit.dispatcher.raw_receiver import OK
from tests.unit.dispatcher.test_sender import KEYS, a_post

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@pytest.mark.parametrize(
    "url",
    [
        "http://h", "http://h/", "http://h?x", "https://H.Example:8443/a%3Ab?sp=%2Frun%2Fmanual", "http://h/a//b/../c;x=1/./",
        "http://h/~a!$&'()*+,;=:@?/?:@", "http://[::1]:80/x", "http://[2001:db8::1]/", "http://127.1/", "http://0x7f.1/", "HTTP://h/",
        "http://xn--bcher-kva.example/", "http://a.b./", "http://my_service:80/", "http://r3---sn-x.example/", "http://1-2.example/",
    ],
)  # fmt: skip
def test_a_valid_url_stays_byte_for_byte(url: str) -> None:
    parsed = parse_hook_url(url)
    assert parsed.text == url
    behind = url.partition("://")[2]
    assert parsed.authority + parsed.target in (behind, behind + "/", behind.replace("?", "/?", 1))


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ("http://bücher.example/ä?q=ü|{}", "http://xn--bcher-kva.example/%C3%A4?q=%C3%BC%7C%7B%7D"),
        ("http://faß.de/", "http://xn--fa-hia.de/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://ⓛocalhost/", "http://localhost/"),
        ("http://h:/x", "http://h/x"),
        ('http://h/<">^`[]', "http://h/%3C%22%3E%5E%60%5B%5D"),
    ],
)
def test_what_has_one_meaning_is_normalised_when_it_is_saved(given: str, saved: str) -> None:
    assert parse_hook_url(given).text == saved
    assert parse_hook_url(saved).text == saved


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://xn--a/", "no domain can have"), ("http://xn--0.com/", "no domain can have"), ("http://xn--aa-.com/", "impossible host"),
        ("http://xn--/", "impossible host"), ("http://a..b/", "impossible host"), (f"http://{'a' * 64}/", "impossible host"),
        (f"http://{'.'.join(['a' * 60] * 5)}/", "impossible host"), ("http://-a/", "impossible host"), ("http://a-/", "impossible host"),
        ("http://./", "impossible host"), ("http://ex%61mple.com/", "impossible host"), ("http://i❤.ws/", "no domain can have"),
        ("http://1.2.3.4.5/", "not an IPv4"), ("http://256.1.1.1/", "not an IPv4"), ("http://foo.1/", "not an IPv4"), ("http://foo.0x1/", "not an IPv4"),
        ("http://h:0/", "port"), ("http://h:65536/", "port"), ("http://h:٣/", "port"), ("http://h:1:2/", "port"), ("http://h:-1/", "port"),
        ("http://[::1", "IPv6"), ("http://[::1]x/", "IPv6"), ("http://[1::2::3]/", "IPv6"), ("http://[fe80::1%25eth0]/", "IPv6"),
        ("http://[v1.x]/", "IPv6"), ("http://h/%zz", "'%'"), ("http://h/100%", "'%'"), ("http://h/a b", "space"), ("http://h/a\tb", "space"),
        ("http://h\\x/", "backslash"), ("http://h/\ud800", "control character"), ("http://u@h/", "user name"), ("http://h/#x", "fragment"),
        ("//h/", "begin with"), ("h/", "begin with"), ("http:///", "begin with"), ("ftp://h/", "begin with"), ("", "begin with"),
        (f"http://h/{'a' * 2048}", "longer"), (f"http://h/{'ä' * 400}", "longer"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_words(url: str, said: str) -> None:
    with pytest.raises(HookUrlError, match=said):
        parse_hook_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "localhost", "a.localhost.", "①②⑦.⓪.⓪.①", "ⓛocalhost", "0177.0.0.1"])  # fmt: skip
def test_an_address_of_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(HookUrlError, match="HOOKLINE_ALLOW_PRIVATE_ADDRESSES"):
        accepted(f"http://{host}/", (), ANY_URL)


def generated(seed: int) -> Iterator[str]:
    """URLs without end: of parts that are good, odd and bad."""
    random = Random(seed)
    good = "abcXYZ019-_.~!$&'()*+,;=:@/?|{}^`\"<>[]äß中①。"
    bad = "%\\ #\t\u200d\xad\u0661\ud800"
    hosts = [
        "h",
        "example.com",
        "xn--bcher-kva.example",
        "bücher.example",
        "127.0.0.1",
        "127.1",
        "[::1]",
        "a_b",
        "1.2.3.4.5",
        "faß.de",
        "xn--a",
        "①.②",
        "h.",
    ]
    while True:
        letters = good + bad if random.random() < 0.1 else good
        host = (
            random.choice(hosts) if random.random() < 0.8 else "".join(random.choices(letters, k=random.randint(1, 8)))
        )
        port = random.choice(["", "", "", "", ":80", ":8443", ":", ":1", ":65535", ":0", ":٣"])
        rest = "".join(random.choices(letters, k=random.randint(0, 30)))
        yield f"{random.choice(['http', 'https', 'HTTP'])}://{host}{port}{random.choice(['/', '/', '?', ''])}{rest}"


async def test_50_000_urls_that_the_console_accepts_can_be_called() -> None:
    """The dispatcher takes each apart into what the console saved; each fifth is sent: to one host, with one request line."""
    requests: list[bytes] = []

    def say(_: object, request: bytes) -> list[bytes]:
        requests.append(request)
        return [OK]

    dial = InstantDial(say)
    sender = Sender(KEYS, SystemClock(), AddressGuard(EVERYWHERE), dial=dial)
    accepted_urls = refused = 0
    for url in generated(seed=3):
        try:
            saved = accepted(url, EVERYWHERE, ANY_URL)
        except HookUrlError:
            refused += 1
            continue
        assert parse_hook_url(saved.text) == saved, "shown, saved and called are one"
        assert saved.text.isascii()
        assert saved.target.startswith("/")
        assert 0 < saved.port < 65_536
        if saved.address is None:
            saved.host.encode("idna")  # what Python's resolver would do with it
        if accepted_urls % 5 == 0:
            outcome = await sender.post(a_post(saved.text))
            assert (outcome.status, dial.dialled.pop()) == (200, saved)
            line, host = requests.pop().split(b"\r\n")[:2]
            assert line == b"POST %s HTTP/1.1" % saved.target.encode("ascii")
            assert host == b"Host: %s" % saved.authority.encode("ascii")
        accepted_urls += 1
        if accepted_urls == 50_000:
            break
    assert refused > 10_000, "the others are among them"
