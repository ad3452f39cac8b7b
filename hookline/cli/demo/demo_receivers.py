"""The demo's three receivers: real HTTP servers that verify, work a moment and call back; and the timeline they tell."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from rich.console import Console

from hookline.cli.demo.demo_client import shortened
from hookline.cli.receive.receiver import Conduct, Hook, Receiver, Verdict
from hookline.cli.terminal import plain
from hookline.clock import Clock

__all__ = ["Step", "Timeline", "serve"]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Step:
    """One receiver: what it is called, how long it works, and what it then says of a tag."""

    number: int
    name: str
    work_s: float
    verdict: Callable[[str], Verdict]


@dataclass
class Timeline:
    """Prints what the receivers see, in seconds since the push, and remembers it."""

    console: Console
    clock: Clock
    calls: dict[str, list[int]] = field(default_factory=dict)
    """By tag: the steps that were called, in order; a repeat under the same webhook-id counts once."""
    callbacks: dict[str, list[int]] = field(default_factory=dict)
    """By tag: the steps whose callback was answered 200, in order."""
    unverified: int = 0
    unanswered: int = 0
    """Callbacks under way: a chain may be over before its last callback is answered."""
    _began: float = 0.0
    _held: list[str] | None = None
    _callback_shown: bool = False

    @contextmanager
    def push(self) -> Iterator[None]:
        """While a push is sent; what the receivers see meanwhile is shown after its answer."""
        self._began, self._held = self.clock.monotonic(), []
        yield
        held, self._held = self._held, None
        for line in held:
            self.console.print(line)

    def show_callback(self, url: str, verdict: Verdict) -> None:
        """The curl line that the first callback replaces; its token is a secret, so only its beginning is shown."""
        if self._callback_shown:
            return
        self._callback_shown = True
        before, _, token = url.rstrip("/").rpartition("/")
        body = json.dumps({name: verdict[name] for name in ("state", "description")})
        line = f"$ curl {before}/{shortened(token)}/ -d '{body}'"
        self._print(f"                         [command]{plain(line)}[/]")

    def say(self, mark: str, what: str, text: str) -> None:
        """One line, with the seconds since the push."""
        seconds = self.clock.monotonic() - self._began
        self._print(f"  [quiet]{seconds:6.2f} s[/]  {mark} [name]{what:<10}[/] {text}")

    def _print(self, line: str) -> None:
        if self._held is not None:
            self._held.append(line)
        else:
            self.console.print(line)


class StepWitness:
    """One receiver's part of the timeline."""

    def __init__(self, step: Step, timeline: Timeline) -> None:
        self._step = step
        self._timeline = timeline
        self._what = f"{step.number} {step.name}"

    def hook_came(self, hook: Hook) -> None:
        if not hook.verified:
            self._timeline.unverified += 1
        elif hook.times_seen == 1:
            self._timeline.calls.setdefault(hook.text("push_data", "tag"), []).append(self._step.number)

    def answered(self, hook: Hook, status: int) -> None:
        signature = "[good]signature ok[/]" if hook.verified else f"[bad]bad signature: {plain(hook.problem)}[/]"
        repeat = " [warn](again, same webhook-id)[/]" if hook.times_seen > 1 else ""
        self._timeline.say("→", plain(self._what), f"POST {plain(hook.image)}, {signature}{repeat}, answered {status}")

    def calls_back(self, hook: Hook, verdict: Verdict) -> None:
        """Shown now: by the time its answer is here, the next hook may have been called."""
        self._timeline.unanswered += 1
        good = verdict["state"] == "success"
        state = f"[{'good' if good else 'bad'}]{plain(verdict['state'])}[/]"
        self._timeline.say("←", plain(self._what), f"callback {state}: {plain(verdict['description'])}")
        self._timeline.show_callback(hook.callback_url, verdict)

    def called_back(self, hook: Hook, verdict: Verdict, status: int, answer: str) -> None:
        self._timeline.unanswered -= 1
        if status == 200:
            self._timeline.callbacks.setdefault(hook.text("push_data", "tag"), []).append(self._step.number)
        else:
            self._timeline.say(
                "[bad]←[/]", plain(self._what), f"its callback was answered [bad]{status}[/] {plain(answer)}"
            )


def _worker(step: Step, clock: Clock) -> Callable[[Hook], Awaitable[Verdict | None]]:
    async def decide(hook: Hook) -> Verdict | None:
        await clock.sleep(step.work_s)
        return step.verdict(hook.text("push_data", "tag"))

    return decide


@asynccontextmanager
async def serve(
    steps: Sequence[Step], timeline: Timeline
) -> AsyncIterator[tuple[Mapping[str, str], dict[str, list[str]]]]:
    """Each step's URL by its name, and the secrets each verifies with: put them there once they are known."""
    secrets: dict[str, list[str]] = {step.name: [] for step in steps}
    urls: dict[str, str] = {}
    runners: list[web.AppRunner] = []
    try:
        for step in steps:
            receiver = Receiver(secrets[step.name], Conduct(_worker(step, timeline.clock)), StepWitness(step, timeline))
            runner = web.AppRunner(receiver.app(), access_log=None, shutdown_timeout=1)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, HOST, 0).start()
            urls[step.name] = f"http://{HOST}:{runner.addresses[0][1]}/{step.name}"
        yield urls, secrets
    finally:
        await asyncio.gather(*(runner.cleanup() for runner in runners))
