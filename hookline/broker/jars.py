"""The jars of the embedded broker: pinned in `jars.json`, downloaded once into the cache folder by jgo (design section 6, "The broker").

The lock file is the class path: jgo walks the POMs only when a version is changed (`python -m hookline.broker lock`).
So a start needs no network to know what it needs. A jar is held against its sha256 when it comes, against its size at each start.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from hookline.errors import BrokerError

__all__ = ["KAFKA_VERSION", "Jar", "Jars", "cache_dir", "fetch", "lock", "read_lock"]

KAFKA_VERSION = "4.3.1"
ROOTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!")
"""What is run; all else in the lock file comes with it. The second writes the broker's log.

The `!` keeps jgo from taking log4j's dependency management for a word on Kafka's jars: without it kafka-clients is 3.9.1.
"""
DOWNLOADS_AT_ONCE = 6
DOWNLOAD_TIMEOUT_S = 30
"""Without a byte."""
SPARE_BYTES = 64 * 1024 * 1024
"""Left free on the cache's disk beside the jars."""

_OR_ANOTHER_KAFKA = "or set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours"


@dataclass(frozen=True)
class Jar:
    """One pinned jar; size in bytes."""

    coordinate: str
    size: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies under the cache's repository, as Maven lays it out."""
        group, artifact, version = self.coordinate.split(":")
        return Path(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


Download: TypeAlias = Callable[[Jar, Path, Callable[[int], None]], None]
"""Brings a jar into a repository folder, at `jar.path` under it, and tells the last argument each count of bytes as it comes."""


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """`HOOKLINE_CACHE_DIR` if set, else `hookline` in the user's cache folder (XDG)."""
    if chosen := environment.get("HOOKLINE_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "hookline"


def read_lock(text: str | None = None) -> tuple[Jar, ...]:
    """The pinned jars, in class path order: `{coordinate: {"size": bytes, "sha256": hex}}`."""
    text = files("hookline.broker").joinpath("jars.json").read_text() if text is None else text
    return tuple(Jar(coordinate, pin["size"], pin["sha256"]) for coordinate, pin in json.loads(text).items())


class Jars:
    """The pinned jars in one cache folder."""

    def __init__(self, cache: Path, jars: Sequence[Jar] | None = None, download: Download | None = None) -> None:
        self._cache = cache
        self._repository = cache / "jars"
        self._jars = read_lock() if jars is None else tuple(jars)
        self._download = download or _download_with_jgo

    def class_path(self) -> str:
        """For `java -cp`; only good once `fetch` has returned."""
        return os.pathsep.join(str(self._repository / jar.path) for jar in self._jars)

    def missing(self) -> tuple[Jar, ...]:
        """Jars that are not there with their size: what a broken-off download left counts as missing."""
        return tuple(jar for jar in self._jars if _size(self._repository / jar.path) != jar.size)

    def fetch(self, say: Callable[[str], None]) -> None:
        """Download what is missing; without anything missing no network is touched.

        Two processes may call this at once: the second waits for the first. Raises BrokerError: offline, no disk, a wrong jar.
        """
        try:
            if not self.missing():
                return
            self._cache.mkdir(parents=True, exist_ok=True)
            with _alone(self._cache / "fetch.lock", say):
                if missing := self.missing():  # else the one we waited for has fetched them
                    self._check_space(sum(jar.size for jar in missing))
                    self._fetch(missing, say)
        except OSError as error:
            raise BrokerError(
                f"cannot keep the broker's jars in {self._cache}: {error.strerror or error}. "
                "Make room there, or set HOOKLINE_CACHE_DIR to a folder that can be written and has 50 MB free."
            ) from error

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._cache).free
        if free < needed + SPARE_BYTES:
            raise BrokerError(
                f"no room for the broker's jars in {self._cache}: {_mb(needed + SPARE_BYTES)} MB are needed, {_mb(free)} MB are free. "
                "Make room there, or set HOOKLINE_CACHE_DIR to another folder."
            )

    def _fetch(self, missing: Sequence[Jar], say: Callable[[str], None]) -> None:
        progress = _Progress(missing, say)

        def one(jar: Jar) -> None:
            target = self._repository / jar.path
            target.unlink(missing_ok=True)
            self._download(jar, self._repository, progress.came)
            _verify(jar, target)
            progress.done()

        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            try:
                list(pool.map(one, missing))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


class _Progress:
    """Says how many jars and MB have come, whenever another tenth of the bytes is there; told from several threads."""

    def __init__(self, jars: Sequence[Jar], say: Callable[[str], None]) -> None:
        self._count, self._bytes = len(jars), sum(jar.size for jar in jars)
        self._say = say
        self._lock = threading.Lock()
        self._done = self._came = self._tenths = 0
        say(f"downloading Apache Kafka {KAFKA_VERSION}: {self._count} jars, {_mb(self._bytes)} MB (only this once)")

    def came(self, count: int) -> None:
        with self._lock:
            self._came += count
            tenths = 10 * self._came // self._bytes
            if self._tenths < tenths < 10:
                self._tenths = tenths
                self._say(f"{_mb(self._came)} of {_mb(self._bytes)} MB, {self._done} of {self._count} jars")

    def done(self) -> None:
        with self._lock:
            self._done += 1
            if self._done == self._count:
                self._say(f"all {self._count} jars are there")


def fetch(say: Callable[[str], None]) -> None:
    """Download what is missing of the pinned jars into the user's cache folder; see `Jars.fetch`."""
    Jars(cache_dir()).fetch(say)


def lock() -> str:
    """The text of a new jars.json: everything ROOTS need at run time, as jgo resolves it from the POMs (needs the network)."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache_dir() / "jars")
    roots, rest = context.resolver.resolve([context.create_dependency(root) for root in ROOTS])
    artifacts = [one.artifact for one in [*roots, *(one for one in rest if one.scope in ("compile", "runtime"))]]
    return (
        json.dumps(
            {f"{one.groupId}:{one.artifactId}:{one.version}": _pin(one.resolve()) for one in artifacts},
            indent=1,
        )
        + "\n"
    )


def _pin(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _download_with_jgo(jar: Jar, repository: Path, came: Callable[[int], None]) -> None:
    try:
        import requests  # jgo's own
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise BrokerError(f"Hookline's own broker needs jgo: install hookline[broker], {_OR_ANOTHER_KAFKA}.") from error

    @contextmanager
    def progress(_: str, __: int) -> Iterator[Callable[[int], None]]:
        yield came

    context = MavenContext(
        PythonResolver(progress_callback=progress), repo_cache=repository, timeout=DOWNLOAD_TIMEOUT_S
    )
    try:
        context.create_dependency(jar.coordinate).artifact.resolve()
    except (requests.RequestException, RuntimeError) as error:
        raise BrokerError(
            f"cannot download {jar.coordinate} from Maven Central ({type(error).__name__}). Is this machine online, and HTTPS_PROXY set "
            "if it needs a proxy? Try again: the jars that have come are kept. For a machine that is never online, copy the cache folder "
            f"({cache_dir()}, or HOOKLINE_CACHE_DIR) from one that has it, {_OR_ANOTHER_KAFKA}."
        ) from error


def _verify(jar: Jar, path: Path) -> None:
    found = _pin(path)["sha256"]
    if found != jar.sha256:
        path.unlink()
        raise BrokerError(
            f"{jar.coordinate} came with sha256 {found}, pinned is {jar.sha256}: it was dropped. "
            "Try again; if it happens again, something between here and Maven Central changes downloads."
        )


@contextmanager
def _alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process downloads the broker's jars: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _mb(size: int) -> int:
    return round(size / 1_000_000)
