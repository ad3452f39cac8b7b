"""`hookline demo --exit` for real: both chains end as they should, and nobody is left."""

import re
import signal
from pathlib import Path

import psutil

from tests.integration.running import Command, clean_environment, free_ports
from tests.kit.waiting import wait_until

MARKED = {
    "HOOKLINE_ADMIN_PASSWORD": "marked-password-0123456789",
    "HOOKLINE_INGRESS_TOKENS": "marked-token-0123456789",
    "HOOKLINE_MASTER_KEYS": "k1:bWFya2VkLW1hc3Rlci1rZXktMDEyMzQ1Njc4OTAxMjM=",
    "HOOKLINE_KAFKA_PASSWORD": "marked-kafka-password-7c1f",
}


def family_of(data: Path) -> list[psutil.Process]:
    """Every process that was told of that folder."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.environ().get("HOOKLINE_DATA_DIR", "")]
        except psutil.Error:
            continue
        if any(str(data) in word for word in told):
            found.append(process)
    return found


def test_exit_0_with_a_chain_that_completes_and_one_that_halts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environment = clean_environment(**free_ports(), **MARKED)
    demo = Command("demo", "--exit", "--data", str(data), environment=environment, cwd=tmp_path)
    try:
        code = demo.wait(110)
        text = demo.text
        assert code == 0, text
        assert re.search(r"completed +3 hooks called, 3 callbacks", text)
        assert re.search(r"halted +at hook 2 \(callback_failure\); hook 3 \(deploy\) was never called", text)
        assert len(re.findall(r"signature ok", text)) == 5
        assert "curl http" in text
        assert f"http://127.0.0.1:{environment['HOOKLINE_CONSOLE_PORT']}" in text
        assert "\x1b" not in text
        assert "Traceback" not in text
        logs = {path.name: path.read_text() for path in (data / "logs").iterdir()}
        assert set(logs) == {"ingress.log", "dispatcher.log", "callbacks.log", "console.log"}
        assert not [secret for secret in MARKED.values() if any(secret in said for said in (text, *logs.values()))]
        assert not (data / "secrets.env").exists()  # there was nothing to make
        wait_until(lambda: not family_of(data), within_s=10)
    finally:
        demo.end()


def test_ctrl_c_while_it_starts_leaves_nobody_and_no_folder(tmp_path: Path) -> None:
    environment = clean_environment(**free_ports(), TMPDIR=str(tmp_path))
    demo = Command("demo", environment=environment, cwd=tmp_path)
    try:
        demo.until_line("kafka")
        (folder,) = tmp_path.glob("hookline-demo-*")
        demo.signal(signal.SIGINT)
        assert demo.wait() == 130
        assert not folder.exists()
        wait_until(lambda: not family_of(folder), within_s=10)
    finally:
        demo.end()
