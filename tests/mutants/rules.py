"""The list of rules that `scripts/mutants` breaks, one at a time, and the tests that must notice. Made by hand.

A pattern must stand in its file exactly once (`tests/unit/scripts/test_mutants.py` sees to that), so whoever changes a
rule changes this list, too. At least one of a rule's tests must fail once it is broken.
"""

from typing import NamedTuple

__all__ = ["RULES", "Edit", "Rule"]


class Edit(NamedTuple):
    """`old` becomes `new` in `file` (from the project's folder)."""

    file: str
    old: str
    new: str


class Rule(NamedTuple):
    """What is broken, how, and which tests (as pytest names them) must notice."""

    broken: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def rule(broken: str, *edits: Edit, tests: str) -> Rule:
    return Rule(broken, edits, tuple(f"tests/{test}" for test in tests.split()))


READER, SNAPSHOTS, KAFKA_GROUP = "hookline/log/reader.py", "hookline/log/snapshots.py", "hookline/kafka/group.py"
KAFKA_CURSOR, KAFKA_BATCHES = "hookline/kafka/cursor.py", "hookline/kafka/batches.py"
KAFKA_CONSUMER, KAFKA_SESSION = "hookline/kafka/consumer.py", "hookline/kafka/session.py"
FOLD, DECIDE, STATE = "hookline/chain/fold.py", "hookline/chain/decide.py", "hookline/chain/state.py"
IDS, TOKENS = "hookline/chain/ids.py", "hookline/chain/callback_tokens.py"
WORKER, PARTITION = "services/dispatcher/worker.py", "services/dispatcher/partition.py"
INCARNATION, FOLLOWER = "services/dispatcher/incarnation.py", "hookline/log/follower.py"
CHECKPOINT, DISPATCHER = "services/dispatcher/checkpoint.py", "services/dispatcher/service.py"
GATE = "services/callbacks/gate.py"
DECISIONS, POSTING, SENDER, SLOTS = (
    "services/dispatcher/decisions.py",
    "services/dispatcher/posting.py",
    "services/dispatcher/sender.py",
    "services/dispatcher/slots.py",
)
CAUSES, LOST_CAUSES = "hookline/log/causes.py", "unit/dispatcher/test_lost_causes.py"
KAFKA_PRODUCER, KAFKA_LINE = "hookline/kafka/producer.py", "hookline/kafka/line.py"

GENERIC = "services/ingress/sources/generic.py"
AUDIT = "hookline/audit/"
LIES, LIES_OF_LOGS = "unit/audit/test_lies.py", "unit/audit/test_lies_of_logs.py"

INCARNATIONS, RUNS = "unit/dispatcher/test_incarnations.py", "unit/dispatcher/test_chain_runs.py"
TIMING = "unit/dispatcher/test_bad_timing.py"
SIMULATION = "unit/dispatcher/test_simulation.py"
CONTAINMENT, CONNECTIONS = "unit/dispatcher/test_containment.py", "unit/dispatcher/test_connections.py"

RULES = (
    # ---- an error of one place is that place's (design section 4, rule 7)
    rule(
        "a lost cause is never found out",
        Edit(CAUSES, "        self._lost = lost\n        return lost\n", "        return {}\n"),
        tests=f"unit/log/test_causes.py {LOST_CAUSES}",
    ),
    rule(
        "a lost cause ends the whole dispatcher",
        Edit(
            DISPATCHER,
            "        lost = self._causes.check(waits, ends)\n",
            "        lost = self._causes.check(waits, ends)\n"
            "        for found in lost.values():\n            self._end(RuntimeError(str(found)))\n",
        ),
        tests=f"{LOST_CAUSES}::test_its_partition_stops_and_no_other_until_the_cause_is_there",
    ),
    rule(
        "a partition whose cause is lost is restored again and again, each time with a Fence",
        Edit(
            PARTITION,
            "            now.worker.pause()\n            self.status.lack(lost)\n",
            "            self._fail(LogUnavailable(str(lost)))\n            self.status.lack(lost)\n",
        ),
        tests=f"{LOST_CAUSES}::test_its_partition_stops_and_no_other_until_the_cause_is_there",
    ),
    rule(
        "a partition whose cause is lost POSTs on",
        Edit(PARTITION, "            now.worker.pause()\n            self.status.lack(lost)\n", "            pass\n"),
        tests=LOST_CAUSES,
    ),
    rule(
        "a partition stays stopped when its cause is there again",
        Edit(PARTITION, 'self._read_on(now, "reading on: the cause is there")', "pass"),
        tests=f"{LOST_CAUSES}::test_its_partition_stops_and_no_other_until_the_cause_is_there",
    ),
    rule(
        "a partition that was revoked while it asks for the ends runs on",
        Edit(PARTITION, "        if self._draining or not self._assigned.is_set():", "        if self._draining:"),
        tests=f"{LOST_CAUSES}::test_what_is_revoked_meanwhile_begins_nothing_until_it_is_assigned_again",
    ),
    rule(
        "callbacks goes on in a partition whose cause is lost",
        Edit(FOLLOWER, "if status.lack(lost.get(partition)):", "if status.lack(None):"),
        tests="unit/callbacks/test_refusals.py",
    ),
    rule(
        "the console says nothing of a lost cause",
        Edit(FOLLOWER, "if status.lack(lost.get(partition)):", "if status.lack(None):"),
        tests="unit/console/test_service.py",
    ),
    rule(
        "a Fence that lay in a damaged batch is never in force",
        Edit(
            READER,
            "            self.fence = token  # a Fence lay in a batch that is damaged: who else would know its offset?",
            "            pass",
        ),
        tests="unit/log/test_skips.py",
    ),
    # ---- fences (design section 4, rule 1)
    rule(
        "no fence: a decision counts whoever wrote it",
        Edit(READER, "record.fence is None or record.fence == self.fence)", "True)"),
        tests=f"unit/log/test_reader.py unit/chain/test_invariants.py {INCARNATIONS}",
    ),
    rule(
        "a later Fence of one's own is ignored",
        Edit(WORKER, "if record.offset > self.token:", "if record.offset > self.token and event.owner != self.owner:"),
        Edit(
            INCARNATION,
            "around, troubles, fail)\n",
            "around, troubles, fail)\n    worker.owner = transport.owner\n",
        ),
        tests=f"{INCARNATIONS}::test_a_fence_above_the_token_ends_the_incarnation_and_a_new_one_restores",
    ),
    rule(
        "any later Fence is ignored",
        Edit(WORKER, "if record.offset > self.token:", "if False:"),
        tests=INCARNATIONS,
    ),
    rule(
        "a commit that names a Fence above the token does not stop a restore",
        Edit(INCARNATION, "if checkpoint is not None and checkpoint.fence > token:", "if False:"),
        tests=f"{INCARNATIONS}::test_a_commit_whose_fence_is_above_the_token_stops_the_restore",
    ),
    rule(
        "a reader that starts in mid-log does not go back to the Fence",
        Edit(READER, "if self.fence is None and token >= self._deliveries_start:", "if False:"),
        tests="unit/log/test_reader.py unit/log/test_reader_properties.py",
    ),
    # ---- checkpoints and restores (rules 3 and 4)
    rule(
        "a commit before the snapshot is whole",
        Edit(
            SNAPSHOTS,
            "    offset = await producer.append(closing)\n    return offset if first is None else first",
            "    if first is not None:\n        import asyncio\n\n        asyncio.ensure_future(producer.append(closing))\n"
            "        return first\n    return await producer.append(closing)",
        ),
        tests=TIMING,
    ),
    rule(
        "a commit without explicit offsets: the consumer's positions as it is sent",
        Edit(
            KAFKA_GROUP,
            "{self._connection.of(place): OffsetAndMetadata(*commit) for place, commit in commits.items()}",
            "{tp: OffsetAndMetadata(await consumer.position(tp), commits[self._places[tp]].metadata)"
            " for tp in map(self._connection.of, commits)}",
        ),
        tests="contract/test_group.py::test_commits_come_back_with_their_metadata[kafka]",
    ),
    rule(
        "a commit of the positions read by now, not those of the snapshot's instant",
        Edit(CHECKPOINT, "Checkpoint(positions, fence, first,", "Checkpoint(reader.positions, fence, first,"),
        tests=TIMING,
    ),
    rule(
        "what the new commit names is deleted with what lies below it",
        Edit(CHECKPOINT, "before, self._previous = self._previous, first", "before, self._previous = first + 1, first"),
        tests=f"{INCARNATIONS} {TIMING}",
    ),
    rule(
        "after a commit without an answer the member stays",
        Edit(PARTITION, "            if self._must_leave:\n", "            if False:\n"),
        tests=f"{INCARNATIONS}::test_a_commit_without_an_answer_cannot_land_behind_a_later_one",
    ),
    rule(
        "the logs' ends are taken before the Fence",
        Edit(
            PARTITION,
            "        token = await self._fence()\n        now = self._incarnation = await restored(\n",
            "        before = PartitionReader(self.number, Positions())\n"
            "        early = await ends_now(self._transport, before, -1)\n"
            "        token = await self._fence()\n        now = self._incarnation = await restored(\n",
        ),
        Edit(
            PARTITION,
            "        if self._assigned.is_set():\n            self._transport.feed.start(now.reader)\n        self._advance(now)\n",
            "        now.ends = early._replace(deliveries=max(early.deliveries, token + 1))\n"
            "        if self._assigned.is_set():\n            self._transport.feed.start(now.reader)\n        self._advance(now)\n",
        ),
        Edit(
            PARTITION,
            "from hookline.log.reader import Read\n",
            "from hookline.log.reader import PartitionReader, Read\nfrom hookline.log.records import Positions\n",
        ),
        tests=TIMING,
    ),
    rule(
        "a worker runs before it has read what is there",
        Edit(PARTITION, "if now.reader.positions.reached(now.ends):", "if True:"),
        tests=f"{TIMING} {INCARNATIONS}",
    ),
    # ---- memory is the fold of what was read (rule 2)
    rule(
        "a decision is folded at its ack",
        Edit(
            WORKER,
            "token, around, self.spawn, self._refused)",
            "token, replace(around, append=self._append_and_fold), self.spawn, self._refused)",
        ),
        Edit(
            WORKER,
            "    # ---- reading\n",
            "    async def _append_and_fold(self, draft: Draft) -> None:\n"
            "        await self._around.append(draft)\n"
            "        event = EVENTS[draft.headers['ce_type'].decode()].model_validate_json(draft.value or b'')\n"
            "        if isinstance(event, Decision):\n"
            "            self._decisions.unread.read_back(event)\n"
            "            self._touched.update(self.fold.fold(event, self.reader.position(Topic.DELIVERIES), 0))\n"
            "            self.decide_touched()\n\n"
            "    # ---- reading\n",
        ),
        Edit(
            WORKER,
            "from hookline.chain.fold import PartitionFold\n",
            "from dataclasses import replace\n"
            "from hookline.chain.events import EVENTS\n"
            "from hookline.chain.fold import PartitionFold\n"
            "from hookline.log.records import Draft\n",
        ),
        tests=f"{TIMING} {SIMULATION}",
    ),
    rule(
        "a decision is taken again while the one before it is on its way",
        Edit("services/dispatcher/unread.py", "return sent is not None and any(", "return False and any("),
        tests="unit/dispatcher/test_parts.py",
    ),
    rule(
        "a terminal or closing decision on its way holds up only its own step",
        Edit(
            "services/dispatcher/unread.py",
            "whole_chain = is_intent(event) or isinstance(event, ChainHalted | ChainCompleted)",
            "whole_chain = False",
        ),
        tests="unit/dispatcher/test_parts.py",
    ),
    rule(
        "a record is delivered before its cause",
        Edit(READER, "        for topic, offset in causes_of(record.event):\n", "        for topic, offset in ():\n"),
        tests="unit/log/test_reader.py unit/log/test_reader_properties.py",
    ),
    rule(
        "a decision's send is not awaited",
        Edit(
            DISPATCHER,
            "            await writer.append(draft)",
            "            asyncio.ensure_future(writer.append(draft))",
        ),
        tests=TIMING,
    ),
    rule(
        "a push's send is not awaited",
        Edit(
            "services/ingress/intake.py",
            "            await self._appender.append(draft)\n        except NotAuthorised",
            "            asyncio.ensure_future(self._appender.append(draft))\n        except NotAuthorised",
        ),
        tests="unit/ingress/test_http.py",
    ),
    # ---- what Kafka refuses
    rule(
        "a refusal counts also where the record was sent before",
        Edit(KAFKA_PRODUCER, "        elif not refused or batch.sent > 1:", "        elif not refused:"),
        tests="contract/test_kafka_producer.py::test_a_refusal_of_what_was_sent_before_says_nothing",
    ),
    rule(
        "a batch that was refused keeps its number",
        Edit(
            KAFKA_LINE,
            "        sendings = self._answered().sendings\n",
            "        sendings = self._answered().sendings\n        self._number += len(sendings)\n",
        ),
        tests="unit/kafka/test_line.py",
    ),
    rule(
        "the second half of a refused batch goes before the first",
        Edit(KAFKA_LINE, "[sendings[middle:], sendings[:middle]]", "[sendings[:middle], sendings[middle:]]"),
        tests="unit/kafka/test_line.py",
    ),
    rule(
        "a refused record costs the writer its producer",
        Edit(
            "hookline/log/writer.py",
            "            except RecordRefused as refused:\n",
            "            except RecordRefused as refused:\n                self._replace(producer)\n",
        ),
        tests="contract/test_refusals.py::test_a_writer_keeps_its_producer_when_a_record_is_refused[kafka]",
    ),
    rule(
        "an offset that is gone is taken for Kafka away",
        Edit(
            FOLLOWER,
            "        except OffsetOutOfRange as error:  # one partition's: all others read on\n",
            "        except ZeroDivisionError as error:\n",
        ),
        Edit(
            FOLLOWER,
            "except (LogUnavailable, SnapshotLost, Unavailable) as error:",
            "except (LogUnavailable, SnapshotLost, OffsetOutOfRange) as error:",
        ),
        tests="unit/callbacks/test_refusals.py",
    ),
    rule(
        "a topic that was made anew is taken for the same",
        Edit("hookline/kafka/check.py", "self._ids.setdefault(topic, state.id) != state.id:", "state.id is None:"),
        tests="contract/test_check.py::test_a_topic_that_was_made_anew_is_not_taken_for_the_same",
    ),
    rule(
        "a last checkpoint is taken of a log that is another one",
        Edit(DISPATCHER, "p.quiesced() if self.is_ending else p.drained()", "p.drained()"),
        tests="unit/dispatcher/test_topics_changed.py",
    ),
    # ---- the poll loop
    rule(
        "a poll with no time to wait holds up everything else",
        Edit(KAFKA_CONSUMER, "        await asyncio.sleep(0)\n", ""),
        tests="contract/test_consumer.py::test_polls_without_time_to_wait_let_others_run[kafka]",
    ),
    rule(
        "a broker that throttles is asked on",
        Edit(KAFKA_CONSUMER, "max(lane.pace.next_at, self._throttled_until.get(lane.node, 0))", "lane.pace.next_at"),
        tests="unit/kafka/test_throttling.py",
    ),
    rule(
        "a broker is not told where a place was sought to",
        Edit(KAFKA_SESSION, "        elif self._told.get(tp) != position:", "        elif tp not in self._told:"),
        tests="unit/kafka/test_fetch_session.py",
    ),
    rule(
        "a broker that forgot the session is asked on as if it knew it",
        Edit(
            KAFKA_SESSION,
            "if answer.error_code or answer.session_id == NO_SESSION:",
            "if answer.session_id == NO_SESSION and not answer.error_code:",
        ),
        tests="contract/test_kafka_consumer.py::test_a_broker_that_forgets_the_session_is_asked_anew",
    ),
    rule(
        "an answer for a place that was sought meanwhile counts",
        Edit(KAFKA_CONSUMER, " or cursor.reads_from != lane.session.told(tp):", ":"),
        tests="contract/test_kafka_consumer.py",
    ),
    rule(
        "another record at the last offset read is taken for the same log",
        Edit(KAFKA_CURSOR, "if not any(record == last for record in batch.records):", "if False:"),
        tests="unit/kafka/test_cursor.py",
    ),
    rule(
        "a place is not in doubt after its broker was away",
        Edit(KAFKA_CURSOR, "compared = self.last if self.in_doubt else None", "compared = None"),
        tests="unit/kafka/test_cursor.py",
    ),
    rule(
        "offsets that are missing are passed over",
        Edit(KAFKA_CURSOR, "if batch.first > self.position and", "if False and"),
        tests="unit/kafka/test_cursor.py",
    ),
    rule(
        "a damaged batch goes as far as it says of itself",
        Edit(KAFKA_BATCHES, "following is None and batch.next_offset == end:", "following is None:"),
        Edit(KAFKA_BATCHES, "            until = end\n", "            until = batch.next_offset\n"),
        tests="unit/kafka/test_cursor.py",
    ),
    rule(
        "callbacks goes on with the memory of a log that is gone",
        Edit("hookline/log/reader_interface.py", "        self._readers.pop(error.partition, None)\n", ""),
        tests="unit/callbacks/test_refusals.py",
    ),
    rule(
        "a timer that nobody acts on keeps the poll loop turning",
        Edit(WORKER, "        if not self._running:\n            return None\n", ""),
        tests=f"{TIMING}::test_a_timer_that_is_overdue_while_a_dispatcher_drains_wakes_nobody",
    ),
    # ---- a POST
    rule(
        "a waiting POST is not looked at again before it begins",
        Edit(
            WORKER,
            "return (chain, action) if isinstance(action, Post) and action.step == step else None",
            "return chain, Post(step, chain.step(step).failed + 1)",
        ),
        tests=f"{INCARNATIONS}::test_a_post_that_waits_for_a_place_is_looked_at_again_before_it_begins",
    ),
    rule(
        "a POST begins long after the last poll",
        Edit(WORKER, "            or not self._around.polled_lately()\n", ""),
        tests=TIMING,
    ),
    rule(
        "what is raised while a chain is looked at ends the incarnation",
        Edit(
            WORKER,
            "        except Exception as error:  # noqa: BLE001 - that chain's, and no other's",
            "        except ZeroDivisionError as error:",
        ),
        tests=CONTAINMENT,
    ),
    rule(
        "what is raised in a POST ends the incarnation",
        Edit(POSTING, "partial(self._owner.set_aside, opened.chain_id))\n        task", "_raise)\n        task"),
        Edit(POSTING, "def _host_of(", "def _raise(error: Exception) -> None:\n    raise error\n\n\ndef _host_of("),
        Edit(
            POSTING,
            "        except Exception as error:  # noqa: BLE001 - as above\n            self._owner",
            "        except ZeroDivisionError as error:\n            self._owner",
        ),
        tests=CONTAINMENT,
    ),
    rule(
        "a record that Kafka refuses ends the incarnation",
        Edit(DECISIONS, "        except RecordRefused as refused:", "        except ZeroDivisionError as refused:"),
        tests=CONTAINMENT,
    ),
    rule(
        "a record that Kafka refuses is waited for",
        Edit(DECISIONS, "            self.unread.read_back(event)\n", ""),
        tests=CONTAINMENT,
    ),
    rule(
        "what came of a POST is lost where Kafka refuses its words",
        Edit(DECISIONS, "if refused is not None and make_bare is not None:", "if False:"),
        tests=CONTAINMENT,
    ),
    rule(
        "a status is taken back by a fault behind it",
        Edit(SENDER, "            if progress.status is None:\n                raise\n", "            raise\n"),
        tests=f"{CONTAINMENT}::test_a_good_status_is_recorded_whatever_the_rest_of_its_answer_does",
    ),
    rule(
        "a chain that cannot be decided cannot be cancelled",
        Edit(WORKER, "            self._cancel_aside(chain_id)\n", ""),
        tests=f"{CONTAINMENT}::test_a_chain_that_is_set_aside_is_named_counted_and_cancellable",
    ),
    rule(
        "an event of a step that its chain does not have counts",
        Edit(FOLD, "    if event.step > len(chain.steps):\n", "    if False:\n"),
        tests="unit/chain/test_fold.py",
    ),
    rule(
        "a kept connection that was closed is a failed attempt",
        Edit(SENDER, "            if exchange.answer.began:", "            if True:"),
        tests=CONNECTIONS,
    ),
    rule(
        "a retry goes over a kept connection",
        Edit(SENDER, "if not is_retry and (kept", "if (kept"),
        tests=CONNECTIONS,
    ),
    rule(
        "a connection is used again after an odd answer",
        Edit("services/dispatcher/answer_reader.py", "not behind and self._stays_open()", "True"),
        tests="unit/dispatcher/test_answer_reader.py",
    ),
    rule(
        "a redirect that says not here is a delivery",
        Edit("hookline/chain/retries.py", "return status in (301, 307, 308)", "return False"),
        tests="unit/chain/test_retries.py",
    ),
    rule(
        "a hook that hangs has its host's places for itself",
        Edit(SLOTS, "                lines.move_to_end(line)\n", ""),
        tests="unit/dispatcher/test_slots.py",
    ),
    rule(
        "hosts that have many places take the last ones",
        Edit(SLOTS, "min(BEHIND_EACH * has, self._quarter)", "0"),
        tests="unit/dispatcher/test_slots.py",
    ),
    rule(
        "a hook whose attempts run out of time keeps its places",
        Edit(SLOTS, "        if timed_out:\n", "        if False:\n"),
        tests="unit/dispatcher/test_slots.py",
    ),
    rule(
        "the same cause keeps a partition restarting without a brake",
        Edit("services/dispatcher/brake.py", "if again else MIN_S", "if False else MIN_S"),
        tests="unit/dispatcher/test_brake.py",
    ),
    rule(
        "all chains that are due at once are looked at before what is new",
        Edit(
            WORKER,
            "islice(self.timers.pop_due(self._around.clock.now_ms()), LOOKS_A_TURN)",
            "self.timers.pop_due(self._around.clock.now_ms())",
        ),
        tests="unit/dispatcher/test_outage.py",
    ),
    rule(
        "a step is called before the one before it succeeded",
        Edit(STATE, "if verdict is None or verdict.state is not Verdict.SUCCESS:", "if verdict is None:"),
        tests="unit/chain/test_decide.py unit/chain/test_invariants.py",
    ),
    # ---- a 200 counts (section 3)
    rule(
        "a halt without its seal",
        Edit(DECIDE, "return Seal(number, state.closing.offset) if state.seal is None else Halt", "return Halt"),
        tests=f"{INCARNATIONS}::test_no_halt_before_callbacks_was_read_to_its_step_sealed",
    ),
    rule(
        "a verdict above a StepSealed counts",
        Edit(
            FOLD,
            "            if state.is_heard:\n"
            "                return chain\n"
            "            return chain.with_step(event.step, state._replace(verdict",
            "            if state.verdict is not None:\n"
            "                return chain\n"
            "            return chain.with_step(event.step, state._replace(verdict",
        ),
        tests="unit/chain/test_scenarios_sealing.py",
    ),
    rule(
        "a StepSealed counts over a verdict below it",
        Edit(
            FOLD,
            "            if state.is_heard:\n"
            "                return chain\n"
            "            return chain.with_step(event.step, state._replace(seal",
            "            if state.seal is not None:\n"
            "                return chain\n"
            "            return chain.with_step(event.step, state._replace(verdict=None, seal",
        ),
        tests="unit/chain/test_scenarios_sealing.py",
    ),
    rule(
        "a StepSealed that names no intent of its step counts",
        Edit(FOLD, "if closing is None or closing.offset != event.intent:", "if False:"),
        tests="unit/chain/test_scenarios_sealing.py::test_seal_forged",
    ),
    rule(
        "a StepSealed is delivered before the intent that it names",
        Edit(
            "hookline/log/reader.py",
            "        for topic, offset in causes_of(record.event):\n",
            "        for topic, offset in causes_of(record.event)[:1]:\n",
        ),
        tests="unit/chain/test_scenarios_sealing.py::test_seal_causal",
    ),
    rule(
        "the last intent of a step replaces the first",
        Edit(
            FOLD, "closing = state.closing or Closing(event.reason, offset)", "closing = Closing(event.reason, offset)"
        ),
        tests="unit/chain/test_scenarios_sealing.py::test_seal_forged",
    ),
    rule(
        "a restore reads deliveries to where its end is told to be",
        Edit(INCARNATION, "max(ends.deliveries, token + 1)", "ends.deliveries"),
        tests=f"{INCARNATIONS}::test_a_restore_reads_deliveries_to_its_own_fence_whatever_its_end_is_told_to_be",
    ),
    rule(
        "a closing goes before a verdict",
        Edit(
            DECIDE,
            "    if state.verdict is not None:\n",
            "    if state.closing is not None:\n        return Halt(number, state.closing.reason)\n"
            "    if state.verdict is not None:\n",
        ),
        tests="unit/chain/test_decide.py",
    ),
    rule(
        "callbacks answers what it appended without having read it back",
        Edit(GATE, "            await tail.reach(Topic.CALLBACKS, offset + 1)\n", ""),
        tests="unit/callbacks/test_rows_of_the_log.py",
    ),
    rule(
        "a callback is taken after its token has expired",
        Edit(GATE, "return self.came_at > self.token.expires_at", "return False"),
        tests="unit/callbacks/test_rows_of_the_log.py",
    ),
    # ---- pushes, ids, secrets
    rule(
        "a push that repeats one starts chains",
        Edit(
            FOLD,
            "                if self.repeats.see(event, at):\n                    return ()\n",
            "                self.repeats.see(event, at)\n",
        ),
        tests=f"unit/chain/test_repeats.py {RUNS}::test_a_repeat_within_its_window_starts_nothing",
    ),
    rule(
        "repeats go by a producer's clock",
        Edit(
            FOLD,
            "                if self.repeats.see(event, at):",
            "                if self.repeats.see(event, event.received_at):",
        ),
        tests="unit/chain/test_scenarios.py",
    ),
    rule(
        "a repeat opens a window of its own",
        Edit(
            FOLD,
            "        if event.push_id in self.until:\n            return True\n        end = ",
            "        was_known = event.push_id in self.until\n        end = ",
        ),
        Edit(
            FOLD,
            ".append(end, event.push_id)\n        return False\n",
            ".append(end, event.push_id)\n        return was_known\n",
        ),
        Edit(
            FOLD,
            "                del self.until[push]\n",
            "                if self.until.get(push, 0) <= self.clock:\n                    self.until.pop(push, None)\n",
        ),
        tests="unit/chain/test_repeats.py",
    ),
    rule(
        "a broker's clock that was ahead once stops the time of its partition",
        Edit(FOLD, "        if at <= self.clock - BACK_MS:", "        if False:"),
        tests="unit/chain/test_repeats.py",
    ),
    rule(
        "windows that are over by another broker's time count again after a restart of the console",
        Edit(
            "services/console/readmodel/projection.py",
            "            self.windows_from = record.offset\n",
            "            pass\n",
        ),
        tests="unit/console/test_read_model.py::test_a_repeat_starts_nothing_over_a_restart",
    ),
    # ---- clocks that are known to be wrong
    rule(
        "a step is closed by a clock that is known to be wrong",
        Edit(
            WORKER,
            "                case Close() if self._around.skew.doubtful:",
            "                case Close() if False:",
        ),
        tests=f"{TIMING}::test_a_dispatcher_whose_clock_is_ahead_closes_nothing_until_it_is_right",
    ),
    rule(
        "a hook is called with a callback URL that has expired, by a clock that is known to be behind",
        Edit(
            WORKER,
            "                case Post() if self._is_behind_deadline(chain):",
            "                case Post() if False:",
        ),
        tests=f"{TIMING}::test_a_dispatcher_whose_clock_is_behind_makes_no_post_whose_callback_url_has_expired",
    ),
    rule(
        "what a wrong clock held up stays so once it is right",
        Edit(WORKER, "        if self._held and not self._around.skew.doubtful:", "        if False:"),
        tests=f"{TIMING}::test_a_dispatcher_whose_clock_is_ahead_closes_nothing_until_it_is_right",
    ),
    rule(
        "a wrong clock is not measured again while nothing else is appended",
        Edit(
            "services/dispatcher/service.py",
            "if self._skew.doubtful and now - self._measured_at >= MEASURE_S:",
            "if False:",
        ),
        tests=f"{TIMING}::test_a_dispatcher_whose_clock_is_ahead_closes_nothing_until_it_is_right",
    ),
    rule(
        "a verdict is refused permanently by a clock that may be wrong",
        Edit(
            "services/callbacks/service.py",
            "Gate(replica, writer, lambda: self._skew.doubtful)",
            "Gate(replica, writer)",
        ),
        tests="unit/callbacks/test_service.py::test_no_verdict_is_refused_as_too_late_by_a_clock_that_may_be_wrong",
    ),
    rule(
        "a clock that was set while the process runs is gone by until the next ack",
        Edit(
            "hookline/log/skew.py",
            "return self._measured_ms + round(self._wall_less_monotonic() - self._base_ms)",
            "return self._measured_ms",
        ),
        tests="unit/log/test_skew.py",
    ),
    # ---- operators' slips
    rule(
        "a new epoch is begun below a group that runs",
        Edit(
            "hookline/kafka/epoch.py",
            "if members := await group_members(cluster, DISPATCHER_GROUP):",
            "if members := []:",
        ),
        tests="contract/test_topics.py::test_no_new_epoch_while_a_dispatcher_runs",
    ),
    rule(
        "partitions that were raised alike fit",
        Edit("hookline/kafka/fitness.py", "    if found.made_with is not None:\n", "    if False:\n"),
        tests="unit/kafka/test_topics_fitness.py",
    ),
    rule(
        "one ack is enough for three copies",
        Edit(
            "hookline/kafka/fitness.py",
            'int(right["min.insync.replicas"]) <= int(value) <= state.replication',
            "int(value) <= state.replication",
        ),
        tests="unit/kafka/test_topics_fitness.py",
    ),
    rule(
        "topics create gives up at the first append without an ack",
        Edit("hookline/log/patience.py", "if time.monotonic() >= self._until:", "if True:"),
        tests="contract/test_topics.py::test_create_goes_on_where_an_append_got_no_ack",
    ),
    rule(
        "a replica of callbacks that cannot read is ready",
        Edit(
            "services/callbacks/service.py",
            "self._replica.current and self._replica.reads and",
            "self._replica.current and",
        ),
        tests="unit/callbacks/test_refusals.py unit/callbacks/test_service.py",
    ),
    rule(
        "the wrong partition function",
        Edit(IDS, "int(push[:8], 16) % partitions", "int(push[-8:], 16) % partitions"),
        tests="unit/chain/test_ids.py",
    ),
    rule(
        "a run asked for at offset 0 has the first run's id",
        Edit(FOLD, "event.plan.n, offset + 1)", "event.plan.n, offset)"),
        tests="unit/chain/test_fold.py unit/chain/test_ids.py",
    ),
    rule(
        "a callback token's bytes are not bound to their length",
        Edit(TOKENS, 'len(body).to_bytes(2, "big") + body', "body"),
        Edit(TOKENS, '    if len(expiry) != EXPIRY_BYTES:\n        raise TokenError("not a token")\n', ""),
        tests="unit/chain/test_tokens.py",
    ),
    rule(
        "a receiver's answer brings its callback token into the log",
        Edit(
            "services/dispatcher/attempt.py",
            "(None if text is None else mask_tokens(text) for text in (outcome.answer, outcome.detail))",
            "(outcome.answer, outcome.detail)",
        ),
        tests=f"{RUNS}::test_a_callback_token_in_an_answer_does_not_reach_the_log",
    ),
    rule(
        "what a push names is not checked",
        Edit("services/ingress/contents.py", "    check_names(push)\n", ""),
        tests="unit/ingress/test_name_grammar.py::test_what_does_not_fit_is_no_push_and_its_field_is_named",
    ),
    rule(
        "an alias of a registry hides the pipelines that have the name which it is told by",
        Edit("hookline/chain/pipeline.py", "for name in (registry, told_registry)", "for name in (registry,)"),
        tests="unit/ingress/test_front_door.py::test_an_internal_name_is_the_public_one",
    ),
    rule(
        "several tags of one event with an id are one push",
        Edit("services/ingress/contents.py", "    if of_several:\n", "    if False:\n"),
        tests="unit/ingress/test_front_door.py::test_what_is_right",
    ),
    rule(
        "Docker Hub's own callback_url makes another push of each of its calls",
        Edit(IDS, "if source != DOCKER_HUB or CALLBACK_URL not in body:", "if True:"),
        tests="unit/ingress/test_front_door.py::test_docker_hubs_repeated_calls_for_one_push_are_one",
    ),
    rule(
        "an optional expression of a mapping that fails makes a body unreadable",
        Edit("services/ingress/mapping.py", "            if field not in REQUIRED:\n                return None\n", ""),
        tests="unit/ingress/test_mapping.py::test_an_optional_field_that_fails_is_not_there",
    ),
    rule(
        "several pushes of one body are repeats of each other",
        Edit(GENERIC, "yield Part(event, _one_of(number, sent.text))", "yield Part(event, delivery.body)"),
        tests="unit/ingress/test_generic.py::test_two_tags_are_two_pushes_and_no_repeats_of_each_other",
    ),
    rule(
        "a mapping is opened by what opens generic, whatever credential it names",
        Edit(GENERIC, "= given.checks or Generic.checks", "= Generic.checks"),
        tests="unit/ingress/test_generic.py::test_a_mappings_own_credential_opens_it_and_no_other_does",
    ),
    rule(
        "a Standard Webhook of any age is good",
        Edit("services/ingress/standard_webhooks.py", "<= TOLERANCE_S", "> 0"),
        tests="unit/ingress/test_generic.py::test_an_old_standard_webhook_is_refused_before_its_body_is_read",
    ),
    rule(
        "a message of SNS about a subscription is read as an event",
        Edit("services/ingress/envelopes.py", "    if kind in CONFIRMATIONS:\n", "    if False:\n"),
        tests="unit/ingress/test_envelopes.py::test_what_sns_says_of_itself_is_for_an_operator",
    ),
    rule(
        "any code of a handshake is sent back",
        Edit("services/ingress/event_grid.py", "len(code) <= MAX_CODE and code.isprintable()", "True"),
        tests="unit/ingress/test_envelopes.py::test_what_is_no_handshake_is_taken_in_as_any_event",
    ),
    rule(
        "a handshake takes the events beside it along",
        Edit(
            "services/ingress/event_grid.py",
            "isinstance(found, list) and len(found) == 1 else None",
            "isinstance(found, list) else None",
        ),
        tests="unit/ingress/test_envelopes.py::test_what_is_no_handshake_is_taken_in_as_any_event",
    ),
    rule(
        "an event of ECR that nobody told us of is ignored",
        Edit(
            "services/ingress/sources/ecr.py",
            '        raise unknown_event("detail-type", event.get("detail-type"))\n',
            "        return Ignored(IgnoredReason.OTHER_ACTION)\n",
        ),
        tests="unit/ingress/test_traces.py::test_a_kind_of_event_that_nobody_told_us_of_is_kept",
    ),
    rule(
        "a pipeline is started by every kind of artifact",
        Edit("hookline/chain/pipeline.py", "            and matches_artifact(self.artifacts, artifact_type)\n", ""),
        tests="unit/chain/test_pipeline.py::test_artifacts",
    ),
    rule(
        "ingress does not say what kind of artifact a push is when it looks for pipelines",
        Edit("services/ingress/intake.py", "push.told_registry, push.artifact_type)", "push.told_registry)"),
        tests="unit/ingress/test_artifact_types.py::test_a_pipeline_is_for_images_and_indexes_or_for_what_it_says",
    ),
    rule(
        "a manifest that is attached to another one is an image",
        Edit("services/ingress/artifact_types.py", "    if has_subject and", "    if False and"),
        tests="unit/ingress/test_artifact_types.py",
    ),
    rule(
        "refusals take no turns",
        Edit("services/ingress/app.py", "if answer.status in TOLD_IN_TURN:", "if False:"),
        tests="unit/ingress/test_turns.py::test_one_waits_for_its_turn_and_a_good_one_does_not",
    ),
    # ---- what an audit sees (I13, I14 and what belongs to them)
    rule(
        "audit: a push's id is taken as it stands",
        Edit(AUDIT + "pushes.py", "if log_ids and event.push_id not in", "if False and event.push_id not in"),
        tests=f"{LIES_OF_LOGS}::test_what_an_epoch_before_was_is_not_judged_once_its_id_is_gone",
    ),
    rule(
        "audit: a push's fields are not compared with its raw body",
        Edit(AUDIT + "pushes.py", "    if again == event:\n        return", "    if True:\n        return"),
        tests=LIES,
    ),
    rule(
        "audit: a push's plans are taken as they stand",
        Edit(AUDIT + "pipelines.py", "if (right := pipeline.plan(plan.n)) != plan:", "if (right := plan) != plan:"),
        tests=LIES,
    ),
    rule(
        "audit: whatever kind of artifact a push is, every pipeline is for it",
        Edit(AUDIT + "pipelines.py", "event.told_registry, event.artifact_type)", "event.told_registry)"),
        tests=LIES,
    ),
    rule(
        "audit: a plan that is missing is not missed",
        Edit(AUDIT + "pipelines.py", "if pipeline.pipeline_id not in known and", "if False and"),
        tests=LIES,
    ),
    rule(
        "audit: settings that were compacted away are held against a push",
        Edit(AUDIT + "pipelines.py", "if offset <= self._whole_to:", "if True:"),
        tests=f"{LIES_OF_LOGS}::test_what_pipelines_no_longer_hold_is_not_judged",
    ),
    rule(
        "audit: a push is judged by settings that a damaged batch may have replaced",
        Edit(AUDIT + "pipelines.py", " and not any(latest < at < offset for at in self._damaged)", ""),
        tests=f"{LIES_OF_LOGS}::test_of_damaged_settings_only_the_batch_is_found",
    ),
    rule(
        "audit: a record's key is not looked at",
        Edit(AUDIT + "identity.py", "if record.raw.key != right.key:", "if False:"),
        tests=f"{LIES}",
    ),
    rule(
        "audit: a decision's ce_id is not derived",
        Edit(AUDIT + "identity.py", "elif event_id != right.event_id.encode():", "elif False:"),
        tests=LIES,
    ),
    rule(
        "audit: Kafka's times may go back",
        Edit(AUDIT + "moments.py", "if latest is not None and at < latest - BACK_MS:", "if False:"),
        Edit(AUDIT + "moments.py", "if record.timestamp < stamp - BACK_MS:", "if False:"),
        tests=LIES,
    ),
    rule(
        "audit: an end may be decided a day after it was appended",
        Edit(
            AUDIT + "moments.py",
            "(ahead := decision.decided_at - record.timestamp) > WRONG_MS",
            "(ahead := 0) > WRONG_MS",
        ),
        tests=LIES,
    ),
    rule(
        "audit: a next attempt may always be a day late",
        Edit(
            AUDIT + "outcomes.py", "return event.retry_after_s, event.retry_after_s", "return None, MAX_RETRY_AFTER_S"
        ),
        tests=LIES,
    ),
    rule(
        "audit: Fences without end are nobody's fault",
        Edit(AUDIT + "fences.py", "self.is_a_loop |= ", "self.is_a_loop &= "),
        tests=LIES_OF_LOGS,
    ),
    rule(
        "audit: Fences with decisions between them count as a row",
        Edit(
            AUDIT + "fences.py",
            "return self.finish() if record.fence is not None and read.valid else None",
            "return None",
        ),
        tests=LIES_OF_LOGS,
    ),
    rule(
        "audit: what a later snapshot knows of deliveries is not asked",
        Edit(AUDIT + "judge_checkpoint.py", "if known >= ends.deliveries:", "if False:"),
        tests=LIES_OF_LOGS,
    ),
    rule(
        "audit: a record that nothing was ready for ends it",
        Edit(
            AUDIT + "verify.py",
            "        except HooklineError:\n            raise\n        except Exception as error:",
            "        except HooklineError as error:",
        ),
        tests=LIES_OF_LOGS,
    ),
    rule(
        "a snapshot's payload is not unpacked before it is compared",
        Edit(AUDIT + "judge_checkpoint.py", "            unpack_payload(payload)\n", "            pass\n"),
        tests="unit/audit/test_lies_of_snapshots.py::test_a_payload_that_does_not_unpack_is_found",
    ),
    rule(
        "a packed chain's cause is written and never read",
        Edit("hookline/chain/packer.py", "ChainId.parse(chain_id).cause == cause", "True"),
        tests="unit/chain/test_packing.py::test_a_chain_that_contradicts_itself_is_refused",
    ),
    rule(
        "what a Retry-After asked for is not recorded",
        Edit(
            "services/dispatcher/attempt.py",
            "            retry_after_s=asked,\n            next_attempt_at=due,",
            "            next_attempt_at=due,",
        ),
        tests="unit/dispatcher/test_parts.py",
    ),
    # ---- sessions of the console
    rule(
        "a session that was ended stands",
        Edit(
            "services/console/session_store.py",
            "    return connection.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount > 0",
            "    return True",
        ),
        tests="unit/console/test_sessions.py::test_what_one_replica_ended_is_good_on_none",
    ),
    rule(
        "a rebuild of the read model drops the sessions",
        Edit(
            "services/console/session_store.py",
            "METADATA = MetaData()",
            "from services.console.readmodel.schema import METADATA",
        ),
        tests="unit/console/test_sessions.py::test_a_rebuild_of_the_read_model_leaves_sessions_alone",
    ),
    rule(
        "a hook's secret is shown in a session of any age",
        Edit(
            "services/console/sessions.py",
            "return abs(self._clock.now_ms() - session.began_at) < FRESH_S * 1000",
            "return True",
        ),
        tests="unit/console/test_sessions.py::test_a_secret_is_for_who_gave_the_password_just_now",
    ),
    rule(
        "a change leaves no line of who did it",
        Edit("services/console/trail.py", '    ("PATCH", "/api/pipelines/{pipeline_id}"): CHANGED,\n', ""),
        tests="unit/console_pages/test_trail.py::test_every_route_that_changes_something_leaves_a_line",
    ),
)
