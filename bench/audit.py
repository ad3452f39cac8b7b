"""`python -m bench.audit [--events N] [--keep FILE]`: how fast a log is verified, and with how much memory.

Makes a bundle of about that many events (default 1,000,000, twelve partitions, chains of three steps, every tenth with
retries and a halt, 500 open at a time in each partition), verifies it in one process and in as many as there are
processors, and prints the figures.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from uuid import UUID

from hookline.audit.bundle_file import BundleSource
from hookline.audit.export import export
from hookline.audit.jobs import Jobs
from hookline.audit.source import Extent, Origin, PartitionSource, Span
from hookline.audit.verify import Figures, verify
from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    ChainCompleted,
    ChainHalted,
    Event,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    HookPlan,
    Plan,
    PushReceived,
    ReadTo,
    Verdict,
)
from hookline.chain.ids import ChainId, partition_of, push_id
from hookline.cli.audit.audit_log import collect_seldom
from hookline.log.codec import encode
from hookline.log.records import LOGS, RawRecord, Topic

PARTITIONS = 12
OPEN_AT_A_TIME = 500
CHUNK = 100
START = 1_790_000_000_000
DAY_MS = 86_400_000
LOG_ID = UUID("6f1c0f4e-6f0e-4a8e-9d0c-1f4f5f3b2a10")
PAYLOAD_BYTES = 900
URL = "https://ci.example.test/hooks/dockerhub"
EVENTS_OF_TEN = 9 * 8 + 5
"""Nine chains that complete (a push, three deliveries and callbacks, the end), and one that halts at its first step."""


class Made:
    """`hookline.audit.source.Source`: makes each partition as it is asked for."""

    pipelines: Sequence[RawRecord] = ()

    def __init__(self, chains: int) -> None:
        self._chains = chains
        # All partitions are of one length.
        ends = _Partition(0, chains).ends
        extent = Extent({topic: Span(0, end) for topic, end in ends.items()}, Span(0, 0), {})
        self.origin = Origin(LOG_ID, "hookline.", START + 1000 * DAY_MS, (extent,) * PARTITIONS)

    async def partitions(self, only: Collection[int] | None = None) -> AsyncIterator[PartitionSource]:
        for number, extent in enumerate(self.origin.extents):
            print(f"\rmaking partition {number + 1} of {PARTITIONS}", end="", flush=True)
            partition = _Partition(number, self._chains)
            partition.extent = extent
            yield partition
        print()

    async def close(self) -> None: ...


class _Partition:
    """Writes the logs of one partition as services would."""

    extent: Extent

    def __init__(self, number: int, chains: int) -> None:
        self.number = number
        self.ends = dict.fromkeys(LOGS, 0)
        self._records: dict[Topic, list[RawRecord]] = {topic: [] for topic in LOGS}
        self._read = dict.fromkeys(LOGS, 0)
        self._now = START
        hooks = tuple(HookPlan(id=f"h{n}", version=1, key="k1", name=f"step {n}", url=URL) for n in (1, 2, 3))
        self._plan = Plan(
            n=0, pipeline_id="p1", name="ci", slug="ci", expect_final_callback=True, callback_deadline_s=86_400,
            timeout_s=15, retry_delays_s=(5, 300), hooks=hooks,
        )  # fmt: skip
        self._fence = self._add(Fence(owner="bench", fenced_at=START))
        for first in range(0, chains, OPEN_AT_A_TIME):
            self._generation(range(first, min(first + OPEN_AT_A_TIME, chains)))

    async def more(self, topic: Topic) -> Sequence[RawRecord]:
        if topic is Topic.SNAPSHOTS:
            return ()
        at = self._read[topic]
        self._read[topic] = at + CHUNK
        return self._records[topic][at : at + CHUNK]

    def _generation(self, numbers: range) -> None:
        """That many chains, from their pushes to their ends, side by side."""
        chains = [self._push(number) for number in numbers]
        for at, chain in enumerate(chains):
            self._fail(chain) if at % 10 == 9 else self._deliver(chain, 1)
        for at, chain in enumerate(chains):
            if at % 10 == 9:
                self._callback(chain, 1, Verdict.FAILURE)
        for chain in chains[9::10]:
            self._end(ChainHalted(step=1, reason=HaltReason.CALLBACK_FAILURE, **self._about(chain)))
        good = [chain for at, chain in enumerate(chains) if at % 10 != 9]
        for step in (1, 2, 3):
            for chain in good:
                if step > 1:
                    self._deliver(chain, step)
                self._callback(chain, step, Verdict.SUCCESS)
        for chain in good:
            self._end(ChainCompleted(step=3, **self._about(chain)))

    def _push(self, number: int) -> ChainId:
        self._now += 1000
        salt = 0
        while (
            partition_of(push := push_id(LOG_ID, "bench", f"{self.number}-{number}-{salt}", b""), PARTITIONS)
            != self.number
        ):
            salt += 1
        payload = {
            "push_data": {"tag": "1"},
            "repository": {"repo_name": "acme/app", "full_description": "x" * PAYLOAD_BYTES},
        }
        event = PushReceived(
            push_id=push, source="dockerhub", received_at=self._now, dedupe_window_s=3600, pushed_at=self._now,
            repository="acme/app", tag="1", payload=payload, raw=json.dumps(payload), settings_offset=1, plans=(self._plan,),
        )  # fmt: skip
        return ChainId(push, self._add(event), 0, 0)

    def _deliver(self, chain: ChainId, step: int, attempt: int = 1) -> None:
        started_at = self._now
        self._end(HookDelivered(step=step, attempt=attempt, started_at=started_at, took_ms=20, status=200,
                                expires_at=started_at + 86_400_000, **self._about(chain)))  # fmt: skip

    def _fail(self, chain: ChainId) -> None:
        self._end(HookAttemptFailed(step=1, attempt=1, started_at=self._now, took_ms=20, error=AttemptError.STATUS, status=503,
                                    next_attempt_at=self._now + 5000, **self._about(chain)))  # fmt: skip
        self._now += 5000
        self._deliver(chain, 1, 2)

    def _callback(self, chain: ChainId, step: int, state: Verdict) -> None:
        self._add(CallbackReceived(cause=chain.cause, chain_id=str(chain), step=step, state=state, received_at=self._now,
                                   remote_ip="192.0.2.1"))  # fmt: skip

    def _about(self, chain: ChainId) -> dict[str, object]:
        read_to = ReadTo(pushes=self.ends[Topic.PUSHES], callbacks=self.ends[Topic.CALLBACKS], commands=0)
        return {"cause": chain.cause, "chain_id": str(chain), "read_to": read_to, "decided_at": self._now}

    def _end(self, event: Event) -> None:
        self._add(event, self._fence)

    def _add(self, event: Event, fence: int | None = None) -> int:
        draft = encode(event, self.number, now_ms=self._now, fence=fence)
        offset = self.ends[draft.place.topic]
        self._records[draft.place.topic].append(
            RawRecord(draft.place, offset, self._now, draft.key, draft.value, draft.headers)
        )
        self.ends[draft.place.topic] = offset + 1
        return offset


def make(path: Path, events: int) -> None:
    with path.open("wb") as file:
        asyncio.run(export(Made(max(1, events * 10 // EVENTS_OF_TEN // PARTITIONS)), file, lambda records: None))
    print(f"made {path.stat().st_size / 1e6:.0f} MB, compressed")


def measure(path: Path, count: int) -> None:
    """Verify it by that many processes, this one or children of it, and print what it took."""
    collect_seldom()  # as the command does
    found = Figures()

    def work(job: int, say: Callable[[Figures], None]) -> None:
        with BundleSource(path) as source:
            say(asyncio.run(verify(source, print, only=range(job, PARTITIONS, count))))

    started = time.perf_counter()
    with Jobs(count, work) as jobs:
        jobs.hear(found.add)
    seconds = time.perf_counter() - started
    said = f"{found.records:,} events in {seconds:.1f} s, {found.records / seconds:,.0f} events/s, {found.findings} findings"
    print(f"{count} processes: {said}" if count > 1 else f"one process: {said}, {peak_mb():.0f} MB at most")


def peak_mb() -> float:
    """Not by getrusage: its maximum is handed on from the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="write the bundle there and keep it")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.keep, options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "bench.hookline.zst"
        if not path.exists():
            make(path, options.events)
        # Each a process of its own: its memory is the audit's, not that of making the log.
        for count in (1, os.cpu_count() or 1):
            subprocess.run(
                [sys.executable, "-m", "bench.audit", "--keep", str(path), "--measure", str(count)], check=True
            )


if __name__ == "__main__":
    main()
