"""A member of a consumer group in memory: eager rebalances, generations, commits with metadata."""

from collections.abc import Mapping, Sequence

from hookline.errors import CommitRefused
from hookline.log.cluster import Commit, GroupListener
from hookline.log.records import LOGS, Place, RawRecord
from hookline.testing.memory_broker import Membership, MemoryBroker, turns
from hookline.testing.memory_clients import MemoryPlaceReader

__all__ = ["MemoryGroup"]

NOWHERE = -1
"""The position of a place that was assigned and not sought."""


class MemoryGroup(MemoryPlaceReader):
    """Its places come from the group, paused; rebalances are told from within `poll`.

    No barrier: another member may be told of what was ours before our next poll. A group in Kafka allows that too,
    once a session is over, so a test that holds here holds there.
    """

    def __init__(self, broker: MemoryBroker, membership: Membership, listener: GroupListener) -> None:
        super().__init__(broker)
        self.listener = listener
        self._membership = membership
        self._assigned = False
        self._member = membership.join(self._changed.set)
        self._generation = 0
        """The one we were last told of."""
        self._gone = False

    async def commit(self, commits: Mapping[Place, Commit]) -> None:
        """Raises CommitRefused."""
        if not commits.keys() <= self._positions.keys():
            raise CommitRefused("not ours: the group is rebalancing, or has given it to another member")
        member, generation, fate = self._member, self._generation, self._broker.faults.commit()

        async def land() -> bool:
            await turns(fate.lands_after or 0)
            return not self._broker.down and self._membership.commit(member, generation, commits)

        async def land_late() -> None:
            await land()

        if fate.answered:
            if not await land():
                raise CommitRefused("the group has gone on, or no broker answers")
            return
        if fate.lands_after is not None:
            self._broker.later(land_late())
        await turns(fate.gives_up_after)
        raise CommitRefused("no answer")

    async def leave(self) -> None:
        self._membership.leave(self._member)
        self._revoke()
        self._member = self._membership.join(self._changed.set)

    async def close(self) -> None:
        await super().close()
        self._membership.leave(self._member)

    def expire(self, *, for_good: bool = False) -> None:
        """For tests: the session of this member is over, and it does not know yet. for_good: its process is dead, and joins no more."""
        self._gone = for_good
        self._membership.leave(self._member)

    def _fetch(self) -> dict[Place, Sequence[RawRecord]]:
        away = self._closed or self._gone or self._broker.down
        if not away and self._generation != self._membership.generation:
            self._rebalance()
        return super()._fetch()

    def _rebalance(self) -> None:
        self._revoke()
        if not self._membership.knows(self._member):
            self._member = self._membership.join(self._changed.set)
        self._generation = self._membership.generation
        partitions = self._membership.assignment(self._member)
        self._positions = {Place(topic, p): NOWHERE for p in sorted(partitions) for topic in LOGS}
        self._paused = set(self._positions)
        self._assigned = True
        self.listener.assigned(partitions)

    def _revoke(self) -> None:
        self._positions.clear()
        if self._assigned:
            self._assigned = False
            self.listener.revoked()
