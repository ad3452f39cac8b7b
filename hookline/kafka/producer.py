"""Appends over Kafka's Produce: idempotent, acks=all, given up after a deadline.

aiokafka's own producer is of no use where a broker refuses a record: it fails all that shared a batch with it, numbers what
comes behind as if the batch were in the log, and so is refused whatever it sends to that place from then on. Connections,
metadata, protocol and record batches are aiokafka's.

One request at a time goes to a broker, with one batch of each place that it leads.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError, for_code
from aiokafka.protocol.transaction import InitProducerIdRequest

from hookline.errors import AppendFailed, RecordTooLarge, Refused
from hookline.kafka.client import KAFKA_TROUBLE, Connection, abandon_client
from hookline.kafka.line import Batch, Line, ProducerId, Sending, size_of
from hookline.kafka.produce_request import RIGHTS, Answer, Meaning, Produce, meaning_of, name_of, refusal
from hookline.kafka.start import START_S, started
from hookline.log.cluster import Ack
from hookline.log.records import MAX_RECORD_BYTES, Draft

__all__ = ["KafkaProducer"]

AGAIN_S = 0.1
"""After an error that time mends: how long until a broker is asked again."""
TRANSACTION_MS = 60_000
"""Asked for with each producer id; without transactions it means nothing."""


class KafkaProducer:
    """`hookline.log.cluster.Producer`. `append_timeout_s`: seconds until an append without an ack has failed."""

    def __init__(self, connection: Connection, append_timeout_s: float) -> None:
        self._connection = connection
        self._append_timeout_s = append_timeout_s
        self._timeout_ms = round(append_timeout_s * 1000)
        self._client = AIOKafkaClient(**connection.options(request_timeout_ms=self._timeout_ms))
        self._id: ProducerId
        self._lines: defaultdict[TopicPartition, Line] = defaultdict(Line)
        self._due: dict[TopicPartition, Line] = {}
        """Those with something to send and nothing at the broker, in the order in which they became so."""
        self._requests: dict[int, asyncio.Task[None]] = {}
        """By broker, the one under way."""
        self._unacked: dict[Sending, None] = {}
        """What was sent, in order. A caller may be gone by then."""
        self._alarm: asyncio.TimerHandle | None = None
        """Set while something is unacked: one for all, since a timeout of its own is a good part of an append's cost."""
        self._seeking: asyncio.TimerHandle | None = None
        """Set while a place has no leader that we know: when they are asked for again."""
        self._pumping = False
        self._broken = False
        self._troubles: dict[TopicPartition, str] = {}
        """By place, the last thing that time was to mend, for whoever gives up waiting."""

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(self._connection, self._client, self._begin, self.close, "producer")
        self._client.cluster.add_listener(lambda _: self._pump_soon())

    @property
    def broken(self) -> bool:
        if self._unacked and next(iter(self._unacked)).deadline < time.monotonic():
            self._broken = True
        return self._broken

    async def append(self, draft: Draft) -> int:
        """Raises AppendFailed."""
        return (await self.send(draft)).offset

    async def send(self, draft: Draft) -> Ack:
        """Raises AppendFailed."""
        if self.broken:
            raise AppendFailed("this producer failed before")
        tp = self._connection.of(draft.place)
        if (size := size_of(draft)) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{tp.topic} does not take a record of {size} bytes: the most is {MAX_RECORD_BYTES}")
        sending = Sending(draft, time.monotonic() + self._append_timeout_s)
        self._unacked[sending] = None
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._append_timeout_s, self._ring)
        line = self._lines[tp]
        line.add(sending)
        if line.batch is None:
            self._due[tp] = line
            self._pump_soon()
        return await sending.acked

    async def close(self) -> None:
        self._broken = True
        for timer in (self._alarm, self._seeking):
            if timer is not None:
                timer.cancel()
        requests = list(self._requests.values())
        for request in requests:
            request.cancel()
        if requests:
            await asyncio.wait(requests)
        self._finish(self._unacked, AppendFailed("no ack: this producer was closed"))
        await abandon_client(self._client)

    async def _begin(self) -> None:
        """Get an id. Raises Refused, and what aiokafka raises."""
        await self._client.bootstrap()
        until = time.monotonic() + START_S
        while True:
            try:
                self._id = await self._ask_id()
            except KafkaError:  # a broker that just died, or one that is just starting
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _ask_id(self) -> ProducerId:
        """Raises Refused, KafkaError."""
        request = InitProducerIdRequest(None, TRANSACTION_MS)
        answer = await self._client.send(self._client.get_random_node(), request)
        if answer.error_code in RIGHTS:
            raise Refused(f"Kafka does not let us write to any topic ({name_of(answer.error_code)})")
        if answer.error_code:
            raise for_code(answer.error_code)()
        return ProducerId(answer.producer_id, answer.producer_epoch)

    # ---- sending

    def _pump_soon(self) -> None:
        """Once for all that is appended in this turn of the event loop: it shares a batch."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Send what is due to each broker that has nothing to answer."""
        self._pumping = False
        if self._broken:
            return
        by_node: defaultdict[int, dict[TopicPartition, Line]] = defaultdict(dict)
        for tp, line in list(self._due.items()):
            node = self._client.cluster.leader_for_partition(tp)
            if node is None or node == -1:
                self._seek_leader(tp, line)
            elif node not in self._requests:
                del self._due[tp]
                by_node[node][tp] = line
        for node, lines in by_node.items():
            # Now, not when the task begins: what is appended until then would be taken along, and its line be due again for nothing.
            batches = {tp: line.next_batch(self._id) for tp, line in lines.items()}
            self._requests[node] = asyncio.create_task(self._run(node, batches))

    async def _run(self, node: int, batches: dict[TopicPartition, Batch]) -> None:
        try:
            for batch in batches.values():
                batch.sent += 1
            request = Produce({tp: batch.data for tp, batch in batches.items()}, self._timeout_ms)
            answers = Produce.answers((await self._client.send(node, request)).topics)
            for tp, batch in batches.items():
                self._take(tp, batch, answers[tp])
        except NodeNotReadyError as error:  # there was no connection: nothing was sent
            for batch in batches.values():
                batch.sent -= 1
            self._again(batches, repr(error))
        except KAFKA_TROUBLE as error:
            self._again(batches, repr(error))
        except Exception as error:  # noqa: BLE001 - a bug: its records may be in the log
            self._fail(f"{error!r}", [sending for batch in batches.values() for sending in batch.sendings])
        finally:
            del self._requests[node]
            self._pump_soon()

    def _take(self, tp: TopicPartition, batch: Batch, answer: Answer) -> None:
        """What became of one batch. A refusal says that it is not in the log only where it was sent once."""
        line, meaning = self._lines[tp], meaning_of(answer.code)
        refused = meaning in (Meaning.RECORD_REFUSED, Meaning.ALL_REFUSED)
        if meaning is Meaning.ACKED:
            self._troubles.pop(tp, None)
            self._finish(line.acked(answer.offset, answer.timestamp if answer.timestamp != -1 else None))
        elif meaning is Meaning.AGAIN:
            self._again({tp: batch}, name_of(answer.code))
            return
        elif not refused or batch.sent > 1:
            self._fail(f"{tp.topic}[{tp.partition}]: {name_of(answer.code)}", batch.sendings)
            return
        elif meaning is Meaning.ALL_REFUSED or len(batch.sendings) == 1:
            self._finish(line.refused(refusal(answer.code, answer.message, tp.topic, len(batch.data))))
        else:
            line.halve()
        if line.has_work:
            self._due[tp] = line

    def _again(self, batches: dict[TopicPartition, Batch], why: str) -> None:
        """Send them again in a moment, as they are; the leader may be another one by then."""
        self._troubles.update(dict.fromkeys(batches, why))
        self._client.force_metadata_update()
        asyncio.get_running_loop().call_later(AGAIN_S, self._due_again, list(batches))

    def _due_again(self, places: list[TopicPartition]) -> None:
        self._due.update((tp, self._lines[tp]) for tp in places)
        self._pump_soon()

    def _seek_leader(self, tp: TopicPartition, line: Line) -> None:
        """Kafka tells no leader of a place that does not exist, or that we may not know of."""
        self._troubles[tp] = f"{tp.topic}[{tp.partition}] has no leader"
        if tp.topic in self._client.cluster.unauthorized_topics and line.next_batch(self._id).sent == 0:
            del self._due[tp]
            self._finish(line.refused(refusal(min(RIGHTS), "", tp.topic, 0)))
            if line.has_work:
                self._due[tp] = line
                self._pump_soon()
        elif self._seeking is None:
            self._client.add_topic(tp.topic)
            self._client.force_metadata_update()
            self._seeking = asyncio.get_running_loop().call_later(AGAIN_S, self._sought)

    def _sought(self) -> None:
        self._seeking = None
        self._pump_soon()

    # ---- what became of it

    def _finish(self, sendings: Iterable[Sending], error: Exception | None = None) -> None:
        for sending in list(sendings):
            if error is not None:
                sending.fail(error)
            self._unacked.pop(sending, None)

    def _fail(self, why: str, sendings: Iterable[Sending]) -> None:
        """Nobody knows whether these are in the log, nor which number is next: this producer sends nothing more."""
        self._broken = True
        self._finish(sendings, AppendFailed(why))

    def _ring(self) -> None:
        """The deadline of the first unacked append has passed: if it is still unacked, this producer is broken and all overdue have failed."""
        now, self._alarm = time.monotonic(), None
        for sending in list(self._unacked):
            if sending.deadline > now:
                self._alarm = asyncio.get_running_loop().call_later(sending.deadline - now, self._ring)
                return
            tp = self._connection.of(sending.draft.place)
            after = f" ({self._troubles[tp]})" if tp in self._troubles else ""
            self._fail(f"{tp.topic}[{tp.partition}]: no ack within {self._append_timeout_s:g} s{after}", [sending])
