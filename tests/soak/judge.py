"""Judges a soak: what registries and receivers wrote down against the log and the naive fold. Pure.

What the log alone shows, the audit judges (`product.py`): I8, I9, and whether a halt had read its seal.

A finding is a sentence that begins with the invariant's number, or with `lost`, `stuck`, `fold`, `console`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.soak.ledger import Ledgers
from tests.soak.naive import ATTEMPTS, ChainSeen, Damage, Log
from tests.soak.repeats import NEVER_ARRIVED, Repeats, count_repeats

__all__ = ["Judgement", "Standing", "compare", "judge"]

UNCAUSED = ("callback_timeout", "delivery_failed", "gone", "blocked_address")
"""Halts that neither a verdict nor a user caused: they must not overrule a verdict that was answered 200."""
Standing = tuple[str, int]
"""How a chain ended (its reason, or `completed`), and at which step."""


@dataclass(frozen=True)
class Judgement:
    findings: tuple[str, ...]
    lost: int
    """Findings of what was promised by a 2xx and is not there."""
    repeats: Repeats


def judge(log: Log, chains: dict[str, ChainSeen], ledgers: Ledgers, damaged: Sequence[Damage] = ()) -> Judgement:
    """`chains`: the naive fold of `log`; `damaged`: what a disk took is not in the log, and nobody's fault."""
    taken = [entry for damage in damaged for entry in damage.lost]
    lost = [
        *_lost_pushes([*log, *taken], ledgers),
        *_lost_verdicts([*log, *taken], ledgers),
        *_lost_orders(log, chains, ledgers),
        *_never_posted(chains, ledgers),
    ]
    repeats = count_repeats(log, chains, ledgers)
    findings = [
        *lost,
        *_overruled(chains, ledgers, taken),
        *_run_twice(log, ledgers),
        *_uncaused(chains, ledgers),
        *_unseen(chains, ledgers),
        *(
            f"I7 {webhook_id}: a receiver saw it once more, and nothing explains it"
            for webhook_id in repeats.unexplained
        ),
    ]
    return Judgement(tuple(findings), len(lost), repeats)


def compare(name: str, chains: dict[str, ChainSeen], other: Mapping[str, Standing | None]) -> Iterator[str]:
    """Does another view have the same chains, each with the same end?"""
    for chain_id in sorted(chains.keys() | other.keys()):
        if chain_id not in other:
            yield f"{name} {chain_id}: it does not have this chain"
        elif chain_id not in chains:
            yield f"{name} {chain_id}: the naive fold does not have this chain"
        elif (end := chains[chain_id].end) != other[chain_id]:
            yield f"{name} {chain_id}: it says {other[chain_id]}, the naive fold {end}"


def _lost_pushes(log: Log, ledgers: Ledgers) -> Iterator[str]:
    """I1: a push answered 2xx is in the log."""
    kept = {(e.event["source"], e.event["raw"]) for e in log if e.topic in ("pushes", "quarantine")}
    for push in ledgers.pushed:
        if push.status is not None and push.status < 300 and (push.source, push.body) not in kept:
            yield f"I1 push {push.tag} of {push.source} was answered {push.status} and is not in the log"


def _lost_verdicts(log: Log, ledgers: Ledgers) -> Iterator[str]:
    """I4: a callback answered 200 is in the log."""
    kept = {(e.event["chain_id"], e.event["step"], e.event["state"]) for e in log if e.kind == "CallbackReceived"}
    for call in ledgers.called:
        if call.status == 200 and (call.chain_id, call.step, call.state) not in kept:
            yield f"I4 {call.state} of step {call.step} of {call.chain_id} was answered 200 and is not in the log"


def _lost_orders(log: Log, chains: dict[str, ChainSeen], ledgers: Ledgers) -> Iterator[str]:
    """A cancel answered 202 is in the log, and so is the run that an answer named."""
    cancelled = {e.event["chain_id"] for e in log if e.kind == "CancelRequested"}
    for order in ledgers.ordered:
        there = order.chain_id in cancelled if order.action == "cancel" else order.made in chains
        if order.status == 202 and not there:
            yield f"lost {order.chain_id}: its {order.action} was answered 202 and is not in the log"


def _run_twice(log: Log, ledgers: Ledgers) -> Iterator[str]:
    """One Idempotency-Key is one run at most, whatever became of its answers."""
    asked: dict[str, set[str]] = {}
    for order in ledgers.ordered:
        if order.action == "run":
            asked.setdefault(order.chain_id[:36], set()).add(order.key)
    runs = Counter(e.event["push_id"] for e in log if e.kind == "RedeliveryRequested")
    for push_id, count in runs.items():
        if count > (wanted := len(asked.get(push_id, ()))):
            yield f"fold {push_id}: {wanted} runs were asked for, and {count} began"


def _overruled(chains: dict[str, ChainSeen], ledgers: Ledgers, taken: Log) -> Iterator[str]:
    """I4: what was answered 200 is the first verdict or equal to it, and no clock overrules it. taken: by a disk."""
    excused = {(e.event["chain_id"], e.event["step"], e.event["state"]) for e in taken if e.kind == "CallbackReceived"}
    for call in ledgers.called:
        if call.status != 200 or (chain := chains.get(call.chain_id)) is None:
            continue
        if (call.chain_id, call.step, call.state) in excused:
            continue
        first = chain.verdicts.get(call.step)
        if call.step in chain.seals:
            yield f"I4 {call.state} of step {call.step} of {call.chain_id} was answered 200, and a seal came first"
        if first is not None and first[1] != call.state:
            yield f"I4 {call.state} of step {call.step} of {call.chain_id} was answered 200, and {first[1]} came first"
        if chain.end is not None and chain.end[0] in UNCAUSED and chain.end[1] == call.step:
            yield f"I4 {call.state} of step {call.step} of {call.chain_id} was answered 200, and {chain.end[0]} overruled it"


def _uncaused(chains: dict[str, ChainSeen], ledgers: Ledgers) -> Iterator[str]:
    """I7, I2: every POST has its chain in the log, and the step before it its success."""
    for webhook_id in sorted({post.webhook_id for post in ledgers.seen}):
        chain_id, _, number = webhook_id.rpartition("-")
        if (chain := chains.get(chain_id)) is None:
            yield f"I7 {webhook_id}: a receiver saw a POST of a chain that is not in the log"
            continue
        step = int(number)
        if step > chain.hooks or step < chain.first_step:
            yield f"I7 {webhook_id}: a receiver saw a POST of a step that its chain does not have"
        elif step > chain.first_step and chain.verdicts.get(step - 1, (0, ""))[1] != "success":
            yield f"I2 {webhook_id}: a receiver saw it, and step {step - 1} has no success"


def _unseen(chains: dict[str, ChainSeen], ledgers: Ledgers) -> Iterator[str]:
    """I7, the other way: what the log says was answered was seen by its receiver."""
    seen = {post.webhook_id for post in ledgers.seen}
    for chain_id, chain in chains.items():
        for entry in chain.decisions:
            if entry.kind in ATTEMPTS and entry.event.get("error") not in (*NEVER_ARRIVED, "timeout"):
                webhook_id = f"{chain_id}-{entry.event['step']}"
                if webhook_id not in seen:
                    yield f"I7 {webhook_id}: the log has an answer to it ({entry.kind}), and no receiver saw it"


def _never_posted(chains: dict[str, ChainSeen], ledgers: Ledgers) -> Iterator[str]:
    """A chain that ended without its first hook ever being called was lost on the way."""
    seen = {post.webhook_id for post in ledgers.seen}
    for chain_id, chain in chains.items():
        cancelled = chain.end is not None and chain.end[0] == "cancelled"
        if f"{chain_id}-{chain.first_step}" not in seen and not cancelled:
            yield f"lost {chain_id}: its first hook was never called"
