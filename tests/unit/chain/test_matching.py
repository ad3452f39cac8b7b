"""Globs of repositories and tags, and ranges of versions."""

import pytest

from hookline.chain.matching import MAX_TAG, matches_repository, matches_tag, range_fault


@pytest.mark.parametrize(
    ("pattern", "repository", "matches"),
    [
        ("acme/app", "acme/app", True),
        ("acme/app", "acme/app2", False),
        ("acme/app", "acme/App", False),
        ("acme/*", "acme/app", True),
        ("acme/*", "acme/team/app", True),
        ("acme/*", "acme", False),
        ("acme/*", "other/acme/app", False),
        ("*/app", "acme/team/app", True),
        ("*", "app", True),
        ("acme/app-?", "acme/app-1", True),
        ("acme/app-?", "acme/app-12", False),
        ("acme/[ab]pp", "acme/bpp", True),
        ("acme/[!ab]pp", "acme/bpp", False),
        ("acme.*", "acmex", False),
        ("acme/*", "acme/app\nx", True),
    ],
)
def test_repositories(pattern: str, repository: str, matches: bool) -> None:
    assert matches_repository(pattern, repository) is matches


@pytest.mark.parametrize(
    ("wanted", "tag", "matches"),
    [
        (None, "v1", True),
        (None, None, True),
        (("v*",), None, False),
        (("v*", "latest"), "latest", True),
        (("v*", "latest"), "v1.0", True),
        (("v*", "latest"), "nightly", False),
        (("V*",), "v1", False),
        ((), "v1", False),
        ("*", None, False),
        # ranges
        ("^1.2", "v1.4.0", True),
        ("^1.2", "1.4.0", True),
        ("^1.2", "2.0.0", False),
        ("^1.2", "1.1.9", False),
        (">=1.9.0", "1.10.0", True),
        ("1.x || >=2.5.0 <3", "2.5.1", True),
        ("1.x || >=2.5.0 <3", "2.4.9", False),
        ("1.2.3 - 2", "2.9.9", True),
        ("~> 1.2", "1.2.9", True),
        ("*", "0.0.1", True),
        # a tag that is no version
        ("*", "latest", False),
        ("*", "1", False),
        ("*", "1.4", False),
        ("*", "1.2.3.4", False),
        ("*", "release-1.2.3", False),
        ("*", "9" * 5000 + ".0.0", False),
        ("*", "1.0.0-" + "a" * MAX_TAG, False),
        # pre-releases
        ("^1.2.3", "1.2.4-rc.1", False),
        ("*", "1.0.0-rc.1", False),
        ("^1.2.3-rc.1", "1.2.3-rc.2", True),
        ("^1.2.3-rc.2", "1.2.3-rc.1", False),
        ("^1.2.3-rc.2", "1.2.3-rc.10", True),
        ("^1.2.3-rc.1", "1.2.4-rc.1", False),
        ("^1.2.3-rc.1", "1.2.4", True),
        ("^1.2.3", "1.4.0-alpine", False),
        # what nobody could save, but a log may hold
        ("garbage", "1.0.0", False),
    ],
)
def test_tags(wanted: tuple[str, ...] | str | None, tag: str | None, matches: bool) -> None:
    assert matches_tag(wanted, tag) is matches


@pytest.mark.parametrize(
    "text",
    ["^1.2", "*", "v*", "1", "1.x", "v1.2", "1.x || >=2.5.0 <3", "1.2.3 - 2", "~> 1.2", ">= 1.0.0-0", "=1.2.3", "<2 || 3.0.0-rc.1"],
)  # fmt: skip
def test_good_ranges(text: str) -> None:
    assert range_fault(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a part"),
        (" ", "a part"),
        ("1.x ||", "a part"),
        ("latest", "latest"),
        (">=1.0 latest", "latest"),
        ("^1.2, <2", "^1.2,"),
        (">>1", ">>1"),
        ("1.2.3.4", "1.2.3.4"),
    ],
)
def test_faulty_ranges(text: str, said: str) -> None:
    fault = range_fault(text)
    assert fault is not None
    assert fault.startswith(said)
