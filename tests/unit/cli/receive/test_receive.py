"""`hookline receive`: what it prints, and what it calls back when told or asked."""

import asyncio
import io
import os
import threading

import pytest
from rich.console import Console

from hookline.cli.receive.ask import TypedLines
from hookline.cli.receive.receive import Printer, Questions, State
from hookline.cli.receive.receiver import Hook
from hookline.cli.terminal import THEME

HOOK = Hook(
    webhook_id="6f-12-0-0-1",
    body=b"{...}",
    payload={
        "callback_url": "http://127.0.0.1:8082/u/acme/shop/hook/tok/",
        "repository": {"repo_name": "acme/shop"},
        "push_data": {"tag": "1.0.0", "pusher": "alice [bold]"},
    },
    verified=True,
)


def console() -> Console:
    return Console(file=io.StringIO(), theme=THEME, width=200, soft_wrap=True)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_hook_in_a_few_lines() -> None:
    out = console()
    Printer(out, full=False).hook_came(HOOK)
    text = said(out)
    assert "acme/shop:1.0.0 pushed by alice [bold]" in text  # markup in what came is only text
    assert "signature ok" in text
    assert "webhook-id 6f-12-0-0-1" in text
    assert "http://127.0.0.1:8082/u/acme/shop/hook/tok/" in text


@pytest.mark.parametrize(
    ("verified", "problem", "words"),
    [(None, "", "NOT verified"), (False, "No matching signature found", "BAD SIGNATURE: No matching signature found")],
)
def test_it_says_plainly_what_was_not_verified(verified: bool | None, problem: str, words: str) -> None:
    out = console()
    Printer(out, full=False).hook_came(Hook("id", b"{}", {}, verified, problem))
    assert words in said(out)
    assert "signature ok" not in said(out)


def test_without_a_callback_it_shows_how_to_do_it_by_hand() -> None:
    out = console()
    Printer(out, full=False).will_not_call_back(HOOK)
    assert """curl -d '{"state": "success"}' http://127.0.0.1:8082/u/acme/shop/hook/tok/""" in said(out)


def test_full_prints_the_payload() -> None:
    out = console()
    Printer(out, full=True).hook_came(HOOK)
    assert '"repo_name": "acme/shop"' in said(out)


class Keyboard:
    """What is typed, read as from a terminal."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self.lines = TypedLines(lambda: os.read(self._read_end, 4096))

    def type(self, text: str) -> None:
        os.write(self._write_end, text.encode())

    def close(self) -> None:
        os.close(self._write_end)


async def test_what_is_typed_decides() -> None:
    keyboard, out = Keyboard(), console()
    questions = Questions(out, keyboard.lines)
    keyboard.type("what?\nFailure\ns\n")
    assert await questions.ask(HOOK) is State.FAILURE
    assert await questions.ask(HOOK) is State.SUCCESS
    assert said(out).count("acme/shop:1.0.0: call back") == 3  # asked again after what was no answer
    keyboard.close()
    assert await questions.ask(HOOK) is State.NONE


async def test_two_hooks_are_asked_one_after_the_other() -> None:
    keyboard, out = Keyboard(), console()
    questions = Questions(out, keyboard.lines)
    both = [asyncio.create_task(questions.ask(HOOK)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert said(out).count("call back") == 1
    keyboard.type("e\nn\n")
    assert await asyncio.gather(*both) == [State.ERROR, State.NONE]
    keyboard.close()


async def test_waiting_for_the_keyboard_does_not_hold_up_the_exit() -> None:
    keyboard = Keyboard()
    waiting = asyncio.create_task(keyboard.lines.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "keyboard")
    keyboard.close()
