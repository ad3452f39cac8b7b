"""A real registry: Debian's docker-registry (CNCF Distribution 2.8), pushed to by skopeo, its notifications pointed at a URL."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.system import TOKEN
from tests.kafka import free_broker_port
from tests.kit.waiting import until

__all__ = ["MISSING", "Registry"]

PROGRAMS = {"docker-registry": "docker-registry", "skopeo": "skopeo"}
"""Program to the Debian package that has it."""
MISSING = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
USER, PASSWORD = "alice", "s3cret"
HTPASSWD = "alice:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"
TIMEOUT_S, THRESHOLD, BACKOFF_S = 1.0, 3, 0.5
"""Its own defaults for the first; a shorter backoff than the usual second."""


class Registry:
    """One process with a folder of its own. `skopeo` pushes as `alice`."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder, target
        self.port, self._debug_port = free_broker_port(), free_broker_port()
        self.layout = folder / "layout"
        self._http: aiohttp.ClientSession

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Registry"]:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "htpasswd").write_text(HTPASSWD)
        (self.folder / "config.yml").write_text(self._config())
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        with (self.folder / "registry.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "docker-registry", "serve", str(self.folder / "config.yml"), stdout=log, stderr=log
            )
        try:
            await until(self._answers)
            yield self
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
            await self._http.close()

    async def push(self, source_tag: str, repository: str, tag: str) -> None:
        """Copy an image of the layout, all its platforms."""
        await self._skopeo(
            "copy",
            "--all",
            "--preserve-digests",
            f"oci:{self.layout}:{source_tag}",
            self._name(repository, tag),
            where="dest",
        )

    async def pull(self, repository: str, tag: str) -> None:
        await self._skopeo("copy", "--all", self._name(repository, tag), f"oci:{self.folder / 'pulled'}:x", where="src")

    async def delete(self, repository: str, digest: str) -> None:
        """A manifest, with all its tags."""
        url = f"http://127.0.0.1:{self.port}/v2/{repository}/manifests/{digest}"
        headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
        async with self._http.delete(url, headers=headers) as answer:
            assert answer.status == 202, await answer.text()

    async def until_delivered(self) -> None:
        """Wait until no event is left in its queue: what has not come by then never will."""
        await until(self._is_delivered)

    async def metrics(self) -> dict[str, Any]:
        """What it counts of its endpoint: Pending, Events, Successes, Failures, Errors, Statuses."""
        async with self._http.get(f"http://127.0.0.1:{self._debug_port}/debug/vars") as answer:
            found = json.loads(await answer.text())["registry"]["notifications"]
        (endpoint,) = found["endpoints"]
        metrics: dict[str, Any] = endpoint["Metrics"]
        return metrics

    async def _answers(self) -> bool:
        try:
            async with self._http.get(f"http://127.0.0.1:{self.port}/v2/") as answer:
                return answer.status == 401
        except aiohttp.ClientError:
            return False

    async def _is_delivered(self) -> bool:
        metrics = await self.metrics()
        return bool(metrics["Pending"] == 0 and metrics["Successes"] == metrics["Events"])

    async def _skopeo(self, command: str, *words: str, where: str) -> None:
        """Without Debian's policy file: the package that has it may not be here."""
        options = ("--insecure-policy", command, f"--{where}-tls-verify=false", f"--{where}-creds={USER}:{PASSWORD}")
        process = await asyncio.create_subprocess_exec(
            *("skopeo", *options, *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    def _name(self, repository: str, tag: str) -> str:
        return f"docker://127.0.0.1:{self.port}/{repository}:{tag}"

    def _config(self) -> str:
        return f"""\
version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: {self.folder}/storage}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{self.port}
  secret: only-for-tests
  debug: {{addr: "127.0.0.1:{self._debug_port}"}}
auth:
  htpasswd: {{realm: test, path: {self.folder}/htpasswd}}
notifications:
  events: {{includereferences: true}}
  endpoints:
    - name: hookline
      url: {self.target}
      headers: {{Authorization: [Bearer {TOKEN}]}}
      timeout: {TIMEOUT_S:g}s
      threshold: {THRESHOLD}
      backoff: {BACKOFF_S:g}s
"""
