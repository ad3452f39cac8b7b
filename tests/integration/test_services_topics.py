"""`python -m services topics create` on a real broker: what the chart's job runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def create(servers: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    env = {
        "PATH": os.environ["PATH"],
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": servers,
        "HOOKLINE_PARTITIONS": "3",
        **settings,
    }
    command = [sys.executable, "-m", "services", "topics", "create"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_it_makes_them_once_and_says_what_does_not_fit(kafka: str, topic_prefix: str) -> None:
    first, again = (create(kafka, HOOKLINE_TOPIC_PREFIX=topic_prefix) for _ in range(2))
    too_large = create(kafka, HOOKLINE_TOPIC_PREFIX=f"{topic_prefix}other.", HOOKLINE_REPLICATION="3")

    assert first.returncode == 0, first.stderr
    assert first.stdout.count(f"made {topic_prefix}") == 7
    assert "wrote log_id" in first.stdout
    assert (again.returncode, again.stdout) == (0, "nothing to do: all seven are there and fit\n")
    assert too_large.returncode == 1
    assert "HOOKLINE_REPLICATION=3, and there are 1 brokers" in too_large.stderr
