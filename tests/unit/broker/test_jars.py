"""The pinned jars: fetched once, checked, and every way to fail said in words."""

import errno
import hashlib
import shutil
import threading
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from hookline.broker.jars import KAFKA_VERSION, Jar, Jars, cache_dir, read_lock
from hookline.errors import BrokerError

Usage = namedtuple("Usage", "total used free")


def jar(name: str, content: bytes | None = None) -> Jar:
    content = content or name.encode() * 100
    return Jar(f"org.example:{name}:1.0", len(content), hashlib.sha256(content).hexdigest())


class Remote:
    """Stands for Maven Central: gives each jar's content, and remembers what was asked for."""

    def __init__(self, **contents: bytes) -> None:
        self.asked: list[str] = []
        self._contents = contents

    def __call__(self, jar: Jar, repository: Path, came: Callable[[int], None]) -> None:
        name = jar.coordinate.split(":")[1]
        self.asked.append(name)
        content = self._contents.get(name, name.encode() * 100)
        target = repository / jar.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        came(len(content))


def nobody(jar: Jar, repository: Path, came: Callable[[int], None]) -> None:
    raise AssertionError(f"asked the network for {jar.coordinate}")


def test_the_lock_pins_one_version_of_kafka_and_what_writes_its_log() -> None:
    versions = {tuple(one.coordinate.rsplit(":", 1)) for one in read_lock()}
    kafka = {version for name, version in versions if name.startswith("org.apache.kafka:")}
    assert kafka == {KAFKA_VERSION}
    assert ("org.apache.kafka:kafka_2.13", KAFKA_VERSION) in versions
    bound = {version for name, version in versions if name.startswith("org.apache.logging.log4j:")}
    assert len(bound) == 1, "log4j's parts must be of one version"
    assert all(len(one.sha256) == 64 and one.size > 0 for one in read_lock())
    assert len({name for name, _ in versions}) == len(read_lock()), "a jar is there in two versions"


def test_what_is_missing_is_fetched_once_and_never_asked_for_again(tmp_path: Path) -> None:
    remote, said = Remote(), list[str]()
    jars = [jar("a"), jar("b")]
    Jars(tmp_path, jars, remote).fetch(said.append)
    assert sorted(remote.asked) == ["a", "b"]
    assert f"downloading Apache Kafka {KAFKA_VERSION}: 2 jars" in said[0]
    assert said[-1] == "all 2 jars are there"
    again = list[str]()
    Jars(tmp_path, jars, nobody).fetch(again.append)
    assert again == []


def test_progress_is_said_in_tenths_of_the_bytes(tmp_path: Path) -> None:
    def slowly(one: Jar, repository: Path, came: Callable[[int], None]) -> None:
        Remote(big=b"x" * 1000)(one, repository, lambda _: None)
        for _ in range(1000):
            came(1)

    said = list[str]()
    Jars(tmp_path, [jar("big", b"x" * 1000)], slowly).fetch(said.append)
    assert len(said) == 1 + 9 + 1


def test_the_class_path_names_every_jar_in_the_locks_order(tmp_path: Path) -> None:
    jars = Jars(tmp_path, [jar("b"), jar("a")], Remote())
    jars.fetch(lambda _: None)
    first, second = jars.class_path().split(":")
    assert first.endswith("org/example/b/1.0/b-1.0.jar")
    assert second.endswith("org/example/a/1.0/a-1.0.jar")
    assert Path(first).exists()


def test_a_download_that_was_broken_off_is_fetched_again(tmp_path: Path) -> None:
    remote = Remote()
    jars = Jars(tmp_path, [jar("a"), jar("b")], remote)
    jars.fetch(lambda _: None)
    half = Path(jars.class_path().split(":")[0])
    half.write_bytes(half.read_bytes()[:10])
    assert [one.coordinate for one in jars.missing()] == ["org.example:a:1.0"]
    jars.fetch(lambda _: None)
    assert sorted(remote.asked) == ["a", "a", "b"]
    assert jars.missing() == ()


def test_a_jar_that_is_not_the_pinned_one_is_dropped(tmp_path: Path) -> None:
    jars = Jars(tmp_path, [jar("a")], Remote(a=b"b" * 100))
    with pytest.raises(BrokerError, match=r"org\.example:a:1\.0 came with sha256"):
        jars.fetch(lambda _: None)
    assert jars.missing() != ()
    assert not list(tmp_path.rglob("*.jar"))


def test_offline_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> requests.Response:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "request", refuse)
    with pytest.raises(
        BrokerError,
        match=r"cannot download org\.example:a:1\.0 .*online.*HTTPS_PROXY.*HOOKLINE_KAFKA_BOOTSTRAP_SERVERS",
    ):
        Jars(tmp_path, [jar("a")]).fetch(lambda _: None)


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 10**6))
    with pytest.raises(BrokerError, match=r"no room.*HOOKLINE_CACHE_DIR"):
        Jars(tmp_path, [jar("a")], nobody).fetch(lambda _: None)


def test_a_disk_that_fills_up_is_said_in_words(tmp_path: Path) -> None:
    def full(one: Jar, repository: Path, came: Callable[[int], None]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BrokerError, match=r"No space left on device.*HOOKLINE_CACHE_DIR"):
        Jars(tmp_path, [jar("a")], full).fetch(lambda _: None)


def test_a_cache_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerError, match=r"cannot keep the broker's jars.*HOOKLINE_CACHE_DIR"):
        Jars(tmp_path / "file" / "cache", [jar("a")], nobody).fetch(lambda _: None)


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    remote, begun, go_on, waiting = Remote(), threading.Event(), threading.Event(), threading.Event()
    said = list[str]()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    def held(one: Jar, repository: Path, came: Callable[[int], None]) -> None:
        begun.set()
        assert go_on.wait(10)
        remote(one, repository, came)

    first = threading.Thread(target=Jars(tmp_path, [jar("a")], held).fetch, args=(lambda _: None,))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=Jars(tmp_path, [jar("a")], nobody).fetch, args=(say,))
    second.start()
    assert waiting.wait(10)
    go_on.set()
    for thread in (first, second):
        thread.join(10)
    assert remote.asked == ["a"]
    assert said == ["another process downloads the broker's jars: waiting for it"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOOKLINE_CACHE_DIR": "/x/y", "XDG_CACHE_HOME": "/z"}, Path("/x/y")),
        ({"HOOKLINE_CACHE_DIR": "near"}, Path.cwd() / "near"),
        ({"XDG_CACHE_HOME": "/z"}, Path("/z/hookline")),
        ({}, Path.home() / ".cache" / "hookline"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], expected: Path) -> None:
    assert cache_dir(environment) == expected
