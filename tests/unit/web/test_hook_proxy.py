"""HOOKLINE_HOOK_PROXY: what it may be, and that its password shows nowhere."""

import pytest

from hookline.errors import ConfigError
from hookline.settings import load_settings
from hookline.web.hook_proxy import parse_hook_proxy

PASSWORD = "s3cret-word"


@pytest.mark.parametrize(
    ("url", "host", "port", "authorization"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128, ""),
        ("HTTP://Proxy.Example:3128/", "proxy.example", 3128, ""),
        ("http://10.0.0.1:80", "10.0.0.1", 80, ""),
        ("http://[fd00::1]:8080", "fd00::1", 8080, ""),
        ("http://user:pass@proxy.example:3128", "proxy.example", 3128, "Basic dXNlcjpwYXNz"),
        ("http://user:p%40%3A%2F@proxy.example:3128", "proxy.example", 3128, "Basic dXNlcjpwQDov"),
        ("http://user:a:b@proxy.example:3128", "proxy.example", 3128, "Basic dXNlcjphOmI="),
        ("http://user:@proxy.example:3128", "proxy.example", 3128, "Basic dXNlcjo="),
        ("http://us%0D%0Aer:%0D%0AX:y@proxy.example:1", "proxy.example", 1, "Basic dXMNCmVyOg0KWDp5"),
    ],
)
def test_what_it_may_be(url: str, host: str, port: int, authorization: str) -> None:
    proxy = parse_hook_proxy(url)

    assert (proxy.host, proxy.port, proxy.authorization) == (host, port, authorization)
    assert str(proxy.address) == (host if ":" in host or host[0].isdigit() else "None")


BAD = [
    ("https://{}proxy.example:3128", "must begin with http://"),
    ("socks5://{}proxy.example:1080", "must begin with http://"),
    ("{}proxy.example:3128", "must be http://host:port"),
    ("http://{}proxy.example", "must name the proxy's port"),
    ("http://{}proxy.example:", "must name the proxy's port"),
    ("http://{}proxy.example:70000", "its host or port is impossible"),
    ("http://{}pro xy.example:3128", "its host or port is impossible"),
    ("http://{}xn--a:3128", "its host or port is impossible"),
    ("http://{}proxy.example:3128/path", "must be http://host:port"),
    ("http://{}proxy.example:3128?q", "must be http://host:port"),
    ("http://{}proxy.example:3128\r\nX: y", "must name the proxy's port"),
    ("http://{}", "must be http://host:port"),
    ("http://user@proxy.example:3128/{}", "must be http://host:port"),
    ("http://" + PASSWORD + "@proxy.example:3128", "a user name but no password"),
    ("http://us%3Aer:" + PASSWORD + "@proxy.example:3128", "a ':' in its user name"),
]


@pytest.mark.parametrize(("form", "said"), BAD)
def test_everything_else_is_refused_at_start_without_the_password(form: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(hook_proxy=form.format(f"user:{PASSWORD}@"))

    assert "HOOKLINE_HOOK_PROXY: " in str(refused.value)
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_the_password_shows_in_no_print() -> None:
    settings = load_settings(hook_proxy=f"http://user:{PASSWORD}@proxy.example:3128")
    proxy = settings.outgoing_proxy()

    assert proxy is not None
    for shown in (repr(settings), str(settings.hook_proxy), repr(proxy), str(proxy), settings.model_dump_json()):
        assert PASSWORD not in shown
        assert proxy.authorization.removeprefix("Basic ") not in shown


def test_none_by_default() -> None:
    assert load_settings().outgoing_proxy() is None
