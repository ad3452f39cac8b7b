"""`hookline receive`: a receiver to try things with, what request bins were for."""

import asyncio
import json
import shlex
import signal
from enum import StrEnum
from typing import Annotated

import typer
from aiohttp import web
from rich.console import Console

from hookline.cli.receive.ask import TypedLines
from hookline.cli.receive.receiver import Conduct, Hook, Receiver, Verdict, check_secret
from hookline.cli.terminal import make_console, plain
from hookline.errors import ConfigError

__all__ = ["receive"]


class State(StrEnum):
    """What to call back; `none` leaves the step waiting."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    NONE = "none"


ANSWERS = {"s": State.SUCCESS, "f": State.FAILURE, "e": State.ERROR, "n": State.NONE}


class Printer:
    """Prints what the receiver sees."""

    def __init__(self, console: Console, *, full: bool) -> None:
        self._console = console
        self._full = full

    def hook_came(self, hook: Hook) -> None:
        if hook.verified:
            signature = "[good]signature ok[/]"
        elif hook.verified is None:
            signature = "[warn]NOT verified: no secret given (--secret or HOOKLINE_HOOK_SECRET)[/]"
        else:
            signature = f"[bad]BAD SIGNATURE: {plain(hook.problem)}[/]"
        pusher = hook.text("push_data", "pusher")
        by = f" pushed by {plain(pusher)}" if pusher else ""
        self._say(f"[name]hook[/] [bold]{plain(hook.image)}[/]{by}   {signature}")
        repeat = f" [warn](seen {hook.times_seen:d} times: a repeat)[/]" if hook.times_seen > 1 else ""
        self._more(f"webhook-id {plain(hook.webhook_id) or 'none'}{repeat}, {len(hook.body)} bytes")
        self._more(f"callback   {plain(hook.callback_url) or 'none'}")
        if self._full:
            self._console.print_json(json.dumps(hook.payload))

    def answered(self, hook: Hook, status: int) -> None:
        self._say(f"answered {status}")

    def calls_back(self, hook: Hook, verdict: Verdict) -> None: ...

    def called_back(self, hook: Hook, verdict: Verdict, status: int, answer: str) -> None:
        style = "good" if status == 200 else "bad"
        reply = f"{status} {answer}" if status else f"no answer ({answer})"
        self._say(f"called back [bold]{plain(verdict['state'])}[/]: [{style}]{plain(reply)}[/]")

    def will_not_call_back(self, hook: Hook) -> None:
        """With the curl line to do it by hand."""
        if hook.callback_url:
            self._more(
                "no callback from here; by hand: "
                + f'curl -d \'{{"state": "success"}}\' {plain(shlex.quote(hook.callback_url))}'
            )

    def _say(self, text: str) -> None:
        self._console.print(f"[quiet]{self._console.get_datetime():%H:%M:%S}[/]  {text}")

    def _more(self, text: str) -> None:
        self._console.print(f"          [quiet]{text}[/]")


def receive(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 9000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            help="The hook's secret (whsec_...); give it several times to accept several hooks. Better in the environment.",
            envvar="HOOKLINE_HOOK_SECRET",
            show_envvar=True,
        ),
    ] = None,
    state: Annotated[State, typer.Option(help="What to call back; none: do not call back.")] = State.SUCCESS,
    after: Annotated[float, typer.Option(help="Seconds of work before the callback.", min=0)] = 0.0,
    ask: Annotated[bool, typer.Option("--ask", help="Ask at the terminal what to call back, for each hook.")] = False,
    early: Annotated[bool, typer.Option("--early", help="Call back before the hook is answered.")] = False,
    status: Annotated[int, typer.Option(help="HTTP status of the answer, such as 302 or 500.", min=200, max=599)] = 200,
    description: Annotated[str, typer.Option(help="The callback's description.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Print the whole payload.")] = False,
) -> None:
    """A receiver for experiments: prints each hook, verifies its signature, answers and calls back as you say.

    What request bins were for, on your own machine.

    Examples:
        hookline receive                        # every hook: 200, then success
        hookline receive --state failure --description "2 tests failed"
        hookline receive --ask                  # you say what each hook gets
        hookline receive --status 302 --early   # as odd as some in the wild
        HOOKLINE_HOOK_SECRET=whsec_... hookline receive --port 9001 --after 3
    """
    console = make_console()
    secrets = [one for one in secret or [] if one]
    for one in secrets:
        check_secret(one)
    printer = Printer(console, full=full)

    questions = Questions(console, TypedLines()) if ask else None

    async def decide(hook: Hook) -> Verdict | None:
        chosen = await questions.ask(hook) if questions else state
        if chosen is State.NONE:
            printer.will_not_call_back(hook)
            return None
        await asyncio.sleep(after)
        said = {"description": description} if description else {}
        return {"state": chosen.value, "context": "hookline receive", **said}

    headers = {"Location": "/"} if 300 <= status < 400 else {}
    receiver = Receiver(secrets, Conduct(decide, status, headers, early), printer)
    asyncio.run(_serve(receiver, host, port, console, verifies=bool(secrets)))


class Questions:
    """Asks what to call back, one hook at a time."""

    def __init__(self, console: Console, lines: TypedLines) -> None:
        self._console = console
        self._lines = lines
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, hook: Hook) -> State:
        """The user's choice; `none` once standard input has ended."""
        async with self._one_at_a_time:
            while True:
                self._console.print(
                    f"          {plain(hook.image)}: call back (s)uccess, (f)ailure, (e)rror or (n)othing? ", end=""
                )
                said = await self._lines.next()
                if said is None:
                    return State.NONE
                if chosen := ANSWERS.get(said.lower()[:1]):
                    return chosen


async def _serve(receiver: Receiver, host: str, port: int, console: Console, *, verifies: bool) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(receiver.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --port") from None
    console.print(f"listening on [url]http://{plain(host)}:{port}/[/]  [quiet]Ctrl-C stops it[/]")
    if not verifies:
        console.print("[warn]signatures are not verified: give --secret or HOOKLINE_HOOK_SECRET[/]")
    await stopping.wait()
    await runner.cleanup()
