"""What shows that a fault was really made can fail: a process that was not stopped, a link over which nothing went, a fault that never came."""

import asyncio
import signal
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.integration.kafka_proxy import KafkaProxy, Manner, Trouble, Way
from tests.kafka import free_broker_port
from tests.kit.waiting import until
from tests.soak.fault_plan import Fault
from tests.soak.faults import not_made
from tests.soak.ledger import Happened
from tests.soak.processes import can_open_nothing, is_stopped, setting_of, until_stopped

OPENS_A_FILE_WHEN_TOLD = """
import sys
for line in sys.stdin:
    try:
        open("/dev/null").close()
        print("opened", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""
EMFILE = "24"


@asynccontextmanager
async def child() -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OPENS_A_FILE_WHEN_TOLD, stdin=pipe, stdout=pipe
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def ask(process: asyncio.subprocess.Process) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    return (await process.stdout.readline()).decode().strip()


async def test_a_process_is_seen_to_be_stopped_and_to_be_awake() -> None:
    async with child() as process:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        assert await until_stopped(process.pid)
        process.send_signal(signal.SIGCONT)
        assert await ask(process) == "opened"
        assert not is_stopped(process.pid)
    assert not is_stopped(process.pid), "it is gone"


async def test_a_setting_of_a_process_is_the_one_that_it_was_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_SETTING", "7")
    async with child() as process:
        assert await ask(process) == "opened"
        monkeypatch.setenv("SOAK_SETTING", "8")
        assert setting_of(process.pid, "SOAK_SETTING") == "7"
        assert setting_of(process.pid, "SOAK_SET") is None


async def test_a_process_that_may_open_nothing_meets_emfile_and_afterwards_opens_again() -> None:
    async with child() as process:
        assert await ask(process) == "opened"
        with can_open_nothing(process.pid) as is_exhausted:
            assert is_exhausted()
            assert await ask(process) == EMFILE
        assert await ask(process) == "opened"


@dataclass
class Line:
    """A client, a proxy, and a broker that says each frame again. `arrived`: what the broker got."""

    proxy: KafkaProxy
    arrived: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(4):
            frame = await reader.readexactly(struct.unpack(">i", head)[0])
            self.arrived.append(frame)
            writer.write(struct.pack(">i", len(frame) - 4) + frame[4:])  # an answer begins with the correlation id
        writer.close()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                self.answered.append(await reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            self.ended.set()


@asynccontextmanager
async def line() -> AsyncIterator[tuple[Line, Callable[[], None]]]:
    """A line, and how to send a request over it."""
    proxy = KafkaProxy(free_broker_port(), free_broker_port())
    it = Line(proxy)
    server = await asyncio.start_server(it.echo, "127.0.0.1", proxy.target)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    listening = asyncio.create_task(it.listen(reader))
    request = struct.pack(">hhi", 3, 1, 7)
    try:
        yield it, lambda: writer.write(struct.pack(">i", len(request)) + request)
    finally:
        listening.cancel()
        writer.close()
        await proxy.stop()
        server.close()


@pytest.mark.parametrize("way", list(Way))
async def test_what_is_held_one_way_goes_on_when_it_is_lifted_and_what_met_it_is_counted(way: Way) -> None:
    async with line() as (it, send):
        send()
        await until(lambda: len(it.answered) == 1)
        trouble = Trouble(way, Manner.HOLD)
        it.proxy.disturb(trouble)
        assert trouble.frames == 0, "nothing met it"
        send()
        await until(lambda: trouble.frames == 1)
        assert trouble.size >= 4
        assert (len(it.arrived), len(it.answered)) == ((1, 1) if way is Way.REQUESTS else (2, 1))
        trouble.lift()
        await until(lambda: len(it.answered) == 2)
        send()
        await until(lambda: len(it.answered) == 3)
        assert trouble.frames == 1, "it is lifted"


@pytest.mark.parametrize("way", list(Way))
async def test_what_is_delayed_one_way_comes_later(way: Way) -> None:
    async with line() as (it, send):
        trouble = Trouble(way, Manner.DELAY, 0.3)
        it.proxy.disturb(trouble)
        loop = asyncio.get_running_loop()
        began = loop.time()
        send()
        await until(lambda: len(it.answered) == 1)
        assert loop.time() - began >= 0.3
        assert trouble.frames == 1


@pytest.mark.parametrize("way", list(Way))
async def test_what_is_refused_one_way_cuts_the_connection_and_of_requests_takes_no_other(way: Way) -> None:
    async with line() as (it, send):
        trouble = Trouble(way, Manner.REFUSE)
        it.proxy.disturb(trouble)
        send()
        await asyncio.wait_for(it.ended.wait(), 10)
        assert trouble.frames == 1
        assert len(it.arrived) == (0 if way is Way.REQUESTS else 1)
        assert not it.answered
        assert await is_taken(it.proxy) is (way is Way.ANSWERS)
        trouble.lift()
        assert await is_taken(it.proxy)


async def is_taken(proxy: KafkaProxy) -> bool:
    """Does a new connection stay open?"""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        await asyncio.wait_for(reader.read(1), 0.5)
    except TimeoutError:
        return True
    except OSError:
        pass
    finally:
        writer.close()
    return False


def test_a_fault_that_nothing_shows_is_found_and_so_is_a_kind_that_never_came() -> None:
    planned = [Fault(1, "kill", "ingress", 1), Fault(2, "pause", "console", 2), Fault(3, "disk-full", "1", 2)]
    made = [Happened("kill", "ingress", 1, 2, 0.1, "ended with -9"), Happened("pause", "console", 3, 4, 0.1, "seen")]
    assert list(not_made(planned, made, may_fill=False)) == []
    assert list(not_made(planned, made, may_fill=True)) == ["fault disk-full: it was planned, and never made"]
    assert list(not_made(planned, made[:1], may_fill=False)) == ["fault pause: it was planned, and never made"]
    unseen = [made[0], Happened("pause", "console", 3, 4, 0.1, "")]
    assert list(not_made(planned, unseen, may_fill=False)) == [
        "fault pause console: nothing shows that it was really made"
    ]
