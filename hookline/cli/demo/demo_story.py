"""What happens in the demo: a pipeline with three hooks, a push whose chain completes, a push whose chain halts at hook 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from hookline.cli.demo.demo_client import DemoClient, DemoFailed, Json
from hookline.cli.demo.demo_receivers import Step, Timeline, serve
from hookline.cli.terminal import plain
from hookline.clock import Clock

__all__ = ["PIPELINE", "REPOSITORY", "Story"]

REPOSITORY = "acme/shop"
PIPELINE = "release"
GOOD_TAG, BAD_TAG = "1.0.0", "1.1.0-rc1"
POLL_S = 0.1
CHAIN_TIMEOUT_S = 60.0


def _verdict(state: str, description: str) -> dict[str, str]:
    return {"state": state, "description": description, "context": "hookline demo"}


def _scan(tag: str) -> dict[str, str]:
    if tag == BAD_TAG:
        return _verdict("failure", "1 critical vulnerability in openssl")
    return _verdict("success", "no known vulnerability")


STEPS = (
    Step(1, "test", 0.6, lambda _: _verdict("success", "387 tests passed")),
    Step(2, "scan", 0.9, _scan),
    Step(3, "deploy", 0.4, lambda tag: _verdict("success", f"{tag} is live")),
)


@dataclass(frozen=True)
class Expected:
    """How a chain should end: its status in History, the steps that were called, the callbacks that were taken."""

    status: str
    calls: Sequence[int]
    callbacks: Sequence[int]


EXPECTED: Mapping[str, Expected] = {
    GOOD_TAG: Expected("success", [1, 2, 3], [1, 2, 3]),
    BAD_TAG: Expected("failure", [1, 2], [1, 2]),
}


class Story:
    """Tell it once with `tell`."""

    def __init__(self, client: DemoClient, console: Console, clock: Clock) -> None:
        self._client = client
        self._console = console
        self._clock = clock
        self._timeline = Timeline(console, clock)

    async def tell(self, username: str, password: str, ingress_token: str) -> bool:
        """True when both chains ended as they should. Raises DemoFailed when something does not answer as it should."""
        self._heading("Log in, as Docker Hub's API has it")
        await self._client.log_in(username, password)
        async with serve(STEPS, self._timeline) as (urls, secrets):
            self._heading(
                f"A pipeline for {REPOSITORY}: three hooks, each called only after the one before it said success"
            )
            await self._client.forget_pipeline(REPOSITORY, PIPELINE)
            hook_ids = await self._client.create_pipeline(REPOSITORY, PIPELINE, urls)
            for name, hook_id in hook_ids.items():
                secrets[name].append(await self._client.hook_secret(hook_id))
            self._heading(f"A push of {REPOSITORY}:{GOOD_TAG}, as Docker Hub sends it")
            good = await self._chain(GOOD_TAG, ingress_token)
            self._heading(f"A push of {REPOSITORY}:{BAD_TAG}, in which the scan finds something")
            bad = await self._chain(BAD_TAG, ingress_token)
        self.show_history(await self._client.history(REPOSITORY, PIPELINE))
        return good and bad

    async def _chain(self, tag: str, ingress_token: str) -> bool:
        before = {row.get("uuid") for row in await self._client.history(REPOSITORY, PIPELINE)}
        with self._timeline.push():
            await self._client.push(ingress_token, _payload(tag))
        row = await self._ended(before)
        expected = EXPECTED[tag]
        calls, callbacks = self._timeline.calls.get(tag, []), self._timeline.callbacks.get(tag, [])
        self._say_end(row, len(calls), len(callbacks))
        right = Expected(str(row.get("status")), calls, callbacks) == expected and not self._timeline.unverified
        if not right:
            self._console.print(
                f"  [bad]not as expected:[/] expected {plain(expected.status)} with hooks {plain(list(expected.calls))} called "
                f"and callbacks {plain(list(expected.callbacks))} taken, saw {plain(row.get('status'))}, {plain(calls)}, {plain(callbacks)}"
            )
        self._console.print()
        return right

    async def _ended(self, before: set[Json]) -> dict[str, Json]:
        """The history's row of the chain that is not in `before`, once it is over and every callback answered."""
        deadline = self._clock.monotonic() + CHAIN_TIMEOUT_S
        while self._clock.monotonic() < deadline:
            for row in await self._client.history(REPOSITORY, PIPELINE):
                is_over = row.get("uuid") not in before and row.get("status") != "pending"
                if is_over and not self._timeline.unanswered:
                    return row
            await self._clock.sleep(POLL_S)
        raise DemoFailed(f"the chain did not end within {CHAIN_TIMEOUT_S:g} s: see the logs under the data folder")

    def _say_end(self, row: Mapping[str, Json], calls: int, callbacks: int) -> None:
        if row.get("status") == "success":
            self._timeline.say("[good]✔[/]", "completed", f"{calls} hooks called, {callbacks} callbacks")
            return
        step = row.get("step")
        never = [f"hook {one.number} ({one.name}) was never called" for one in STEPS if one.number > calls]
        self._timeline.say(
            "[bad]✘[/]", "halted", f"at hook {plain(step)} ({plain(row.get('reason'))}); {plain('; '.join(never))}"
        )

    def _heading(self, text: str) -> None:
        self._console.print(f"[bold]{plain(text)}[/]")

    def show_history(self, rows: Sequence[Mapping[str, Json]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
        for column in ("created", "image", "status", "step", "what the last callback said"):
            table.add_column(column)
        for row in rows[:5]:
            style = {"success": "good", "pending": "warn"}.get(str(row.get("status")), "bad")
            table.add_row(
                plain(row.get("created")),
                plain(f"{REPOSITORY}:{row.get('tag')}"),
                f"[{style}]{plain(row.get('status'))}[/]",
                plain(row.get("step") or ""),
                plain(row.get("description") or ""),
            )
        self._heading("History")
        self._console.print(table)


def _payload(tag: str) -> dict[str, Json]:
    """Docker Hub's body; a float as Docker Hub sends it, which receivers get as an integer."""
    namespace, _, name = REPOSITORY.partition("/")
    return {
        "push_data": {"pushed_at": float(int(datetime.now(UTC).timestamp())), "pusher": "alice", "tag": tag},
        "repository": {
            "repo_name": REPOSITORY,
            "namespace": namespace,
            "name": name,
            "status": "Active",
        },
    }
