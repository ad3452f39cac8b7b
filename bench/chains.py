"""Chains of three gated hooks, whose receiver calls back at once: at a fixed rate, and as many as go with so many open.

The gate is the time from the answer to a step's callback until the next hook is received. It can be below zero: the
dispatcher reads a verdict in the log while callbacks still reads it back to answer. So the time from sending the
callback is given, too.
"""

import asyncio
import time

from bench.amounts import Amounts
from bench.console import make_pipeline, seconds_until_shown
from bench.failure import BenchFailed
from bench.figures import Figures, percentile
from bench.load import Pool, Receiver, insist
from bench.open import push_at_a_pace
from bench.pushes import number_of, requests
from bench.stage import SNAPSHOTS, Stage
from bench.systems import hookline_stage

__all__ = ["measure"]

STEPS = 3
BODY = b'{"state":"success"}'
GIVE_UP_S = 120.0


class Gates:
    """The receiver of all three hooks. Times are time.perf_counter(), by push and step."""

    def __init__(self) -> None:
        self.received: dict[tuple[int, int], float] = {}
        self.called: dict[tuple[int, int], float] = {}
        self.answered: dict[tuple[int, int], float] = {}
        self.posts = 0
        self.refused = 0
        """Answers of 503 to callbacks, and to pushes where there is no rate; they were sent again."""
        self.pool = Pool(0)
        """Of connections to callbacks; set before the first push."""
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def seen(self, at: float, head: bytes, body: bytes) -> None:
        step, number = int(head[6:7]), number_of(body)  # POST /1 HTTP/1.1
        self.posts += 1
        if (number, step) not in self.received:
            self.received[number, step] = at
            task = asyncio.create_task(self._call_back(number, step, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def ended(self, number: int) -> None:
        """Until every callback of that push's chain is answered. Raises BenchFailed."""
        await asyncio.wait_for(self._end(number), GIVE_UP_S)

    async def _call_back(self, number: int, step: int, body: bytes) -> None:
        url = body.split(b'"', 4)[3]  # callback_url comes first
        path = url[url.index(b"/u/") :]
        request = (
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        )
        self.called[number, step] = time.perf_counter()
        try:
            self.refused += await insist(self.pool.send, request % (path, len(BODY), BODY), 200)
        except (BenchFailed, OSError) as error:
            self._end(number).set_exception(error)
            return
        self.answered[number, step] = time.perf_counter()
        if all((number, one) in self.answered for one in range(1, STEPS + 1)):  # a step's answer may overtake another's
            self._end(number).set_result(None)

    def _end(self, number: int) -> asyncio.Future[None]:
        return self._ends.setdefault(number, asyncio.get_running_loop().create_future())


async def measure(amounts: Amounts) -> Figures:
    gates = Gates()
    server, receiver = await Receiver.listen(gates.seen)
    async with server, hookline_stage() as on:
        urls = [f"http://127.0.0.1:{receiver}/{step}" for step in range(1, STEPS + 1)]
        await make_pipeline(on, urls, final_callback=True)
        gates.pool = Pool(on.ports["callbacks"])
        rate = amounts.chain_rate
        warm = range(round(rate * amounts.warm_up_s))
        paced = range(warm.stop, warm.stop + round(rate * amounts.chain_rate_s))
        warm_many = range(paced.stop, paced.stop + amounts.warm_up_pushes // STEPS)
        many = range(warm_many.stop, warm_many.stop + amounts.chains)

        await at_a_rate(on, gates, warm, rate)
        await seconds_until_shown(on, paced.start)
        before = on.kept_bytes()
        found = await at_a_rate(on, gates, paced, rate)
        await seconds_until_shown(on, paced.stop)
        found["chains.disk_bytes_per_chain_at_a_rate"] = (on.kept_bytes() - before) / len(paced)
        await at_once(on, gates, warm_many, amounts.chains_open)
        await seconds_until_shown(on, many.start)
        before, cpu = on.kept_bytes(), on.cpu_seconds()
        found |= await at_once(on, gates, many, amounts.chains_open)
        found["chains.console_lag_s"] = await seconds_until_shown(on, many.stop)
        spent = {name: (after - cpu[name]) * 1000 / len(many) for name, after in on.cpu_seconds().items()}
        return found | {
            "chains.disk_bytes_per_chain": (on.kept_bytes() - before) / len(many),
            "chains.snapshot_bytes": on.log_bytes().get(SNAPSHOTS, 0),
            "chains.cpu_ms_per_chain": sum(spent.values()),
            **{f"chains.cpu_ms.{name}": ms for name, ms in spent.items()},
            "chains.duplicates": gates.posts - len(gates.received),
            "chains.refused": gates.refused,
        }


async def at_a_rate(on: Stage, gates: Gates, numbers: range, rate: int) -> Figures:
    """Times of each hook, of the gates, and of whole chains: from when a push should have been sent, to the last callback's answer."""
    port = on.ports["ingress"]
    times = await push_at_a_pace(requests(numbers, port), numbers.start, rate, port)
    await asyncio.gather(*(gates.ended(number) for number in numbers))
    found = Figures()
    for step in range(1, STEPS + 1):
        taken = [(gates.received[number, step] - times.intended[number]) * 1000 for number in numbers]
        found |= {f"chains.hook_{step}_p{p}_ms": percentile(taken, p) for p in (50, 95)}
    passed = [(number, step) for number in numbers for step in range(1, STEPS)]
    for name, since in (("gate", gates.answered), ("gate_from_call", gates.called)):
        taken = [(gates.received[number, step + 1] - since[number, step]) * 1000 for number, step in passed]
        found |= {f"chains.{name}_p{p}_ms": percentile(taken, p) for p in (50, 95, 99)}
    whole = [(gates.answered[number, STEPS] - times.intended[number]) * 1000 for number in numbers]
    return found | {f"chains.chain_p{p}_ms": percentile(whole, p) for p in (50, 95, 99)}


async def at_once(on: Stage, gates: Gates, numbers: range, limit: int) -> Figures:
    """As many chains a second as go with `limit` of them open."""
    port, waiting = on.ports["ingress"], requests(numbers, on.ports["ingress"])
    pool, left = Pool(port), iter(zip(numbers, waiting, strict=True))

    async def run() -> None:
        for number, request in left:
            gates.refused += await insist(pool.send, request, 202)
            await gates.ended(number)

    began = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(limit)))
    took = time.perf_counter() - began
    pool.close()
    return {"chains.chains_per_s": len(numbers) / took, "chains.hooks_per_s": STEPS * len(numbers) / took}
