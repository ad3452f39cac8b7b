"""What the broker's process is given, and what is said when it dies; `java` is a script here."""

import threading
from pathlib import Path

import pytest

from hookline.broker import EmbeddedBroker
from hookline.broker.jars import Jars
from hookline.errors import BrokerError
from tests.kafka import free_broker_port
from tests.kit.waiting import wait_until

FORMAT = 'mkdir data.new; echo "cluster.id=$(cat cluster-id)" > data.new/meta.properties'


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write what `java` does as a broker; as StorageTool it makes the data as it should."""
    program = tmp_path / "jdk" / "bin" / "java"
    program.parent.mkdir(parents=True)
    (tmp_path / "format").write_text(FORMAT)
    program.write_text(
        f"""#!/bin/sh
case "$*" in
  -version) echo 'openjdk version "17.0.15"' >&2 ;;
  *StorageTool*) echo "$*" > storage-tool; . {tmp_path}/format ;;
  *) . {tmp_path}/run ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    return tmp_path / "run"


def broker(tmp_path: Path, **more: object) -> EmbeddedBroker:
    return EmbeddedBroker(tmp_path / "kafka", free_broker_port(), jars=Jars(tmp_path / "cache", []), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last_words", "said"),
    [
        (
            "ERROR Exiting Kafka: java.net.BindException: Address already in use",
            r"taken by another program while the broker started: set HOOKLINE_KAFKA_PORT",
        ),
        (
            "KafkaException: Failed to acquire lock on file .lock in /x. A Kafka instance",
            r"in use by another running broker\. Stop that one",
        ),
        (
            "java.io.IOException: No space left on device",
            r"the disk that holds .* is full: make room there, or choose another folder",
        ),
        (
            "OutOfMemoryError",
            r"ended with code 3 before it was ready\. Its last words in .*kafka\.log:\n    OutOfMemoryError",
        ),
    ],
)
def test_how_it_died_is_said_with_what_to_do(tmp_path: Path, java: Path, last_words: str, said: str) -> None:
    java.write_text(f"echo '{last_words}' > kafka.log; exit 3")
    with pytest.raises(BrokerError, match=said):
        broker(tmp_path).start()


def test_what_the_jvm_itself_said_is_quoted(tmp_path: Path, java: Path) -> None:
    java.write_text("echo 'Unrecognized VM option' >&2; exit 1")
    with pytest.raises(BrokerError, match=r"ended with code 1.*\n    Unrecognized VM option"):
        broker(tmp_path).start()


def test_the_quote_leaves_the_depths_of_a_stack_trace_out(tmp_path: Path, java: Path) -> None:
    java.write_text(r"printf 'Exception: the cause\n\tat a.B.c(D.java:1)\n\t... 20 more\n' >&2; exit 1")
    with pytest.raises(BrokerError) as caught:
        broker(tmp_path).start()
    assert str(caught.value).endswith(":\n    Exception: the cause")


def test_a_format_that_fails_is_quoted_and_tried_again(tmp_path: Path, java: Path) -> None:
    (tmp_path / "format").write_text("mkdir data.new; echo half > data.new/half; echo 'bad property' >&2; exit 1")
    with pytest.raises(BrokerError, match=r"could not prepare its data in .*\nbad property"):
        broker(tmp_path).start()
    assert not (tmp_path / "kafka" / "data").exists()
    (tmp_path / "format").write_text(FORMAT)
    java.write_text("echo 'got as far as Kafka' >&2; exit 1")
    with pytest.raises(BrokerError, match="got as far as Kafka"):
        broker(tmp_path).start()
    assert [one.name for one in (tmp_path / "kafka" / "data").iterdir()] == ["meta.properties"]


def test_a_format_that_was_cut_off_is_done_anew(tmp_path: Path, java: Path) -> None:
    half = tmp_path / "kafka" / "data.new"
    half.mkdir(parents=True)
    (half / "half").write_text("")
    java.write_text("exit 1")
    with pytest.raises(BrokerError, match="ended with code 1"):
        broker(tmp_path).start()
    assert not (tmp_path / "kafka" / "data" / "half").exists()


def test_the_broker_gets_no_setting_of_ours(tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_MASTER_KEYS", "k1:secret")
    java.write_text("env > seen; exit 1")
    with pytest.raises(BrokerError):
        broker(tmp_path).start()
    seen = (tmp_path / "kafka" / "seen").read_text()
    assert "HOOKLINE" not in seen
    assert "JAVA_HOME=" in seen


def test_a_start_that_failed_leaves_the_folder_free_and_nothing_running(tmp_path: Path, java: Path) -> None:
    java.write_text("exec sleep 60")
    one = broker(tmp_path, start_timeout_s=0)
    with pytest.raises(BrokerError, match="did not answer"):
        one.start()
    assert not one.is_alive()
    java.write_text("echo 'the next one got in' >&2; exit 1")
    with pytest.raises(BrokerError, match="the next one got in"):
        broker(tmp_path).start()


def test_stopping_in_mid_start_ends_the_start_and_by_force_what_does_not_stop(tmp_path: Path, java: Path) -> None:
    said, errors, deaf = list[str](), list[BrokerError](), tmp_path / "deaf"
    java.write_text(f"trap '' TERM; touch {deaf}; while true; do sleep 0.1; done")
    one = broker(tmp_path, stop_timeout_s=0.2, say=said.append)

    def start() -> None:
        try:
            one.start()
        except BrokerError as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    wait_until(deaf.exists)
    one.stop()
    starting.join(10)
    assert not one.is_alive()
    assert [str(error) for error in errors] == ["the broker was stopped before it was ready"]
    assert said[-1] == "the broker did not stop within 0.2 s: killed"


def test_arguments_for_the_format_reach_it(tmp_path: Path, java: Path) -> None:
    java.write_text("exit 1")
    with pytest.raises(BrokerError):
        broker(tmp_path, format_arguments=["--add-scram", "SCRAM-SHA-512=[name=admin,password=x]"]).start()
    arguments = (tmp_path / "kafka" / "storage-tool").read_text().split("kafka.tools.StorageTool ")[1].split()
    assert arguments[0] == "format"
    assert arguments[-3:] == ["--standalone", "--add-scram", "SCRAM-SHA-512=[name=admin,password=x]"]
    assert arguments[arguments.index("--cluster-id") + 1] == (tmp_path / "kafka" / "cluster-id").read_text().strip()


def test_a_launcher_starts_the_brokers_process(tmp_path: Path, java: Path) -> None:
    java.write_text("env > seen; exit 1")
    with pytest.raises(BrokerError):
        broker(tmp_path, launcher=["env", "LAUNCHED=yes"]).start()
    assert "LAUNCHED=yes\n" in (tmp_path / "kafka" / "seen").read_text()


def test_its_settings_are_readable_by_their_owner_only(tmp_path: Path, java: Path) -> None:
    java.write_text("exit 1")
    with pytest.raises(BrokerError):
        broker(tmp_path, properties={"some.password": "x"}).start()
    file = tmp_path / "kafka" / "server.properties"
    assert "some.password=x\n" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_stopping_what_was_never_started_is_fine(tmp_path: Path) -> None:
    one = broker(tmp_path)
    one.stop()
    one.kill()
    assert not one.is_alive()
    assert one.pid is None
    assert one.last_log_lines() == []
