"""Decisions of this worker that are sent and not read back yet (design section 4, rule 2)."""

from typing import TypeAlias

from hookline.chain.events import ChainCompleted, ChainHalted, Decision, HookAttemptFailed, HookDelivered, StepClosing

__all__ = ["Unread", "is_intent"]

_Entry: TypeAlias = tuple[type[Decision], int, int]


def is_intent(event: object) -> bool:
    """Does that event intend a halt that must be sealed? (design section 3: "Any 200 counts")"""
    return isinstance(event, StepClosing) or (isinstance(event, HookAttemptFailed) and event.next_attempt_at is None)


class Unread:
    """What was sent for which chain. An event may be read back before its own append returns."""

    def __init__(self) -> None:
        self._of_chain: dict[str, list[tuple[_Entry, bool]]] = {}

    def add(self, event: Decision) -> None:
        whole_chain = is_intent(event) or isinstance(event, ChainHalted | ChainCompleted)
        self._of_chain.setdefault(event.chain_id, []).append((_entry(event), whole_chain))

    def read_back(self, event: Decision) -> None:
        sent = self._of_chain.get(event.chain_id, [])
        for at, (entry, _) in enumerate(sent):
            if entry == _entry(event):
                del sent[at]
                break
        if not sent:
            self._of_chain.pop(event.chain_id, None)

    def blocks(self, chain_id: str, step: int) -> bool:
        """A closing or terminal decision blocks its chain, any other its step."""
        sent = self._of_chain.get(chain_id)
        return sent is not None and any(whole_chain or entry[1] == step for entry, whole_chain in sent)

    def __contains__(self, chain_id: str) -> bool:
        return chain_id in self._of_chain

    def __len__(self) -> int:
        return sum(map(len, self._of_chain.values()))


def _entry(event: Decision) -> _Entry:
    attempt = event.attempt if isinstance(event, HookAttemptFailed | HookDelivered) else 0
    return type(event), event.step, attempt
