"""HOOKLINE_GENERIC_FILE: what is wrong in it is said with file, mapping and field, and ingress does not start."""

from pathlib import Path

import pytest

from hookline.errors import ConfigError
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.expression import MAX_EXPRESSION
from services.ingress.mapping_file import MAX_FILE, MAX_MAPPINGS, read_mappings
from services.ingress.sources import discover


def said_of(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        discover(Settings(generic_file=str(path)))
    said = str(raised.value)
    assert said.startswith(f"HOOKLINE_GENERIC_FILE: {path}")
    return said


WRONG = [
    ("[ci", "m.toml is not TOML: "),
    ("a = 1", "a: must be a table: [a]"),
    ("[[ci]]\nimage = 'x'", "ci: must be a table: [ci]"),
    ("[CI]\nimage = 'x'", "CI: a mapping's name is 1 to 32 small letters"),
    ("['a/b']\nimage = 'x'", "a/b: a mapping's name is"),
    (f"[{'a' * 33}]\nimage = 'x'", "a mapping's name is"),
    ("[ci-]\nimage = 'x'", "ci-: a mapping's name is"),
    ("[ci]", "ci: neither image nor repository"),
    ("[ci]\ntag = 'x'", "ci: neither image nor repository"),
    ("[ci]\nimage = 'x'\nimages = 'y'", "ci: there is no images; there are: image, repository, tag, "),
    ("[ci]\nimage = 'x'\ntoken = 'y'", "ci: there is no token; "),
    ("[ci]\nimage = 7", "ci: image: must be non-empty text"),
    ("[ci]\nimage = ' '", "ci: image: must be non-empty text"),
    ("[ci]\nimage = 'a.['", "ci: image is not JMESPath: "),
    ("[ci]\nimage = 'x'\ntag = 'jion(x)'", "ci: tag is not JMESPath: there is no function jion()"),
    ("[ci]\nimage = 'x'\ntag = 'join(x)'", "ci: tag is not JMESPath: join() takes 2 arguments, not 1"),
    (f"[ci]\nimage = '{'a' * (MAX_EXPRESSION + 1)}'", "ci: image is longer than 2000 characters"),
    (f"[ci]\nimage = '{'(' * 900}a{')' * 900}'", "ci: image is not JMESPath: nested too deep"),
    ("[ci]\nimage = 'x'\ndefault_registry = 'a b'", "ci: default_registry: not a host"),
    ("[ci]\nimage = 'x'\nsignature = 'y'", "ci: signature: must be a table with a header"),
    ("[ci]\nimage = 'x'\nsignature = {}", "ci: signature: must be a table with a header"),
    ("[ci]\nimage = 'x'\nsignature = {header = 'X', secret = 'marked'}", "ci: signature: has no secret; it has header, "),
    ("[ci]\nimage = 'x'\nsignature = {header = 'X y'}", "ci: signature: header: 1 to 64 letters"),
    ("[ci]\nimage = 'x'\nsignature = {header = 7}", "ci: header: must be non-empty text"),
    ("[ci]\nimage = 'x'\nsignature = {header = 'X', prefix = ' '}", "ci: signature: prefix: "),
    ("[ci]\nimage = 'x'\nsignature = {header = 'X', algorithm = 'md5'}", "ci: signature: algorithm: one of sha1, sha256, sha512"),
    ("[ci]\nimage = 'x'\nsignature = {header = 'X', encoding = 'utf8'}", "ci: signature: encoding: one of hex, base64"),
    ("[ci]\nimage = 'x'\nsecret_header = 'User-Agent'", "ci: secret_header: User-Agent is kept with every push"),
    ("[ci]\nimage = 'x'\nsecret_header = 'webhook-id'", "ci: secret_header: webhook-id is kept with every push"),
    ("[ci]\nimage = 'x'\nstandard_webhooks = false", "ci: standard_webhooks: true, or left out"),
    ("[ci]\nimage = 'x'\nstandard_webhooks = true\nsecret_header = 'X'", "ci: secret_header and standard_webhooks: a mapping has one"),
    ("\n".join(f"[m{n}]\nimage = 'x'" for n in range(MAX_MAPPINGS + 1)), "more than 100 mappings"),
    ("#" * (MAX_FILE + 1), "larger than 256 KiB"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=lambda value: value[:40])
def test_a_wrong_file_is_said_in_words(text: str, said: str, tmp_path: Path) -> None:
    found = said_of(tmp_path / "m.toml", text)
    assert said in found
    assert "marked" not in found


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"HOOKLINE_GENERIC_FILE: cannot read .*none: No such file"):
        discover(Settings(generic_file=str(tmp_path / "none")))
    (tmp_path / "none").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        discover(Settings(generic_file=str(tmp_path / "none")))


def test_each_mapping_is_a_source_beside_the_one_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("[b]\nimage = 'x'\n[a-1]\nrepository = 'y'\ndefault_registry = 'Quay.io:443'\n")
    found = discover(Settings(generic_file=str(tmp_path / "m.toml")))
    assert [name for name in found if name.startswith("generic")] == ["generic", "generic/a-1", "generic/b"]
    assert found["generic/b"].name == "generic/b"
    assert found["generic"].unset()
    assert not found["generic/b"].unset()
    assert found["generic/b"].by_settings
    assert found["generic/a-1"].checks == found["generic"].checks
    assert list(discover()) == [name for name in found if "/" not in name], "without settings there are none"


def test_no_file_no_mapping() -> None:
    assert read_mappings("", ManualClock()) == []


@pytest.mark.parametrize("name", ["generic/ci", "generic/a-1"])
def test_an_audit_knows_them_by_name_without_the_file(name: str) -> None:
    source = discover()["generic"].below(name)
    assert source is not None
    assert (source.name, source.by_settings) == (name, True)


@pytest.mark.parametrize("name", ["generic", "generic/", "generic/A", "generic/a/b", "quay/a", ""])
def test_what_is_no_name_of_one_is_nobodys(name: str) -> None:
    assert discover()["generic"].below(name) is None


@pytest.mark.parametrize("field", ["repository", "each", "when"])
def test_settings_are_said_by_their_names(field: str) -> None:
    name = f"HOOKLINE_GENERIC_{field.upper()}"
    with pytest.raises(ConfigError, match=f"^{name} is not JMESPath: "):
        discover(Settings(**{f"generic_{field}": "a.["}))
    with pytest.raises(ConfigError, match=f"^{name} is not JMESPath: there is no function nothing"):
        discover(Settings(**{f"generic_{field}": "nothing(a)"}))


def test_a_default_registry_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"^HOOKLINE_GENERIC_DEFAULT_REGISTRY is not a host"):
        discover(Settings(generic_default_registry="a b"))
