"""README's receiver does what it says: run as it stands, against a signed request."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest
from standardwebhooks import Webhook

from tests.integration.readme import blocks
from tests.kafka import free_broker_port
from tests.kit.waiting import wait_until

README = Path(__file__).parents[3] / "README.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Callbacks(ThreadingHTTPServer):
    """Keeps what is POSTed to it."""

    def __init__(self) -> None:
        self.bodies: Queue[bytes] = Queue()
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    server = Callbacks()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    """README's receiver on a free port; its URL."""
    (script,) = blocks(README, "Write a receiver", "python")
    port = free_broker_port()
    assert '("127.0.0.1", 9000)' in script
    file = tmp_path / "receiver.py"
    file.write_text(script.replace("9000", str(port)))
    process = subprocess.Popen(
        [sys.executable, str(file)], env={**os.environ, "HOOKLINE_HOOK_SECRET": SECRET}, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/"
    wait_until(lambda: post(url, b"{}", {}) != 0, within_s=30)
    yield url
    process.kill()
    process.wait()


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def signed(body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": "chain-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("chain-1", now, body.decode()),
    }


def test_it_verifies_answers_and_calls_back(receiver: str, callbacks: Callbacks) -> None:
    url = f"http://127.0.0.1:{callbacks.server_address[1]}/u/acme/shop/hook/token/"
    payload = {"callback_url": url, "push_data": {"tag": "1.0.0"}, "repository": {"repo_name": "acme/shop"}}
    body = json.dumps(payload).encode()

    assert post(receiver, body, signed(body)) == 202
    verdict = json.loads(callbacks.bodies.get(timeout=20))
    assert verdict == {"state": "success", "description": "acme/shop:1.0.0 was tested"}

    assert post(receiver, body + b" ", signed(body)) == 401
    assert post(receiver, body, {}) == 401
    assert callbacks.bodies.empty()
