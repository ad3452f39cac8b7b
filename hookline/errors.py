"""Every failure Hookline knows, in one tree.

    HooklineError
      ConfigError           a setting is missing or wrong: the user's mistake, said in words, exit code 2
      BrokerError           the embedded broker cannot start: no Java, no disk, a port taken, another cluster's data
      DatabaseBroken        the console's database is not one any more: it is dropped, and filled from the logs anew
      RowRefused            the console's database does not take what a record holds: that record is set aside
      ProcessFailed         a child process of `hookline up` dies again and again before it is ready
      LogError              something about the logs in Kafka
        AppendFailed        a record was not acked in time: it may be in the log or land later (unknown, never "failed")
          RecordRefused     Kafka will not take that record as it is: it is not in the log, for certain
            RecordTooLarge  larger than its topic takes, as it is set now
            NotAuthorised   our Kafka user may not write to its topic: taken once an operator gives the right
        LogUnavailable      a read, an end offset or a commit got no answer: time mends it
          NameTaken         another process is a member of the group under our static name: an operator mends it
          Refused           a broker is there and does not let us in, or not to what we need: an operator mends it
        OffsetOutOfRange    the offset to read on from is not in the log of one place: what was read of it is of no use
          LogTruncated      what was read of it is not in the log any more
        Undecodable         a record that this version cannot read: stops its partition, and only that one
          Unfoldable        one that it can read, and cannot fold: a fault of ours
        BundleBroken        an exported log is not, or no longer, what `hookline audit export` wrote
        TopicsUnfit         the topics are missing or not as `hookline topics create` makes them
        ForeignLog          a commit or snapshot of another log_id
        SnapshotLost        a commit names a snapshot that is not there whole, or of records that are gone
        Fenced              a later Fence than ours: this incarnation is over
        CommitRefused       the group has gone on without us: this incarnation is over
      Invalid               what a client sent cannot be accepted; `errors` says which field and why
      Unreadable            what a producer delivered cannot be read: it goes to quarantine, with the reason
      Forbidden             a good credential, but not for what was asked with it: 403
      Unavailable           cannot answer safely now: 503 with Retry-After
        KeyMissing          a master key that something rests on is not in HOOKLINE_MASTER_KEYS
      TooMany               more requests than one client may send: 429 with Retry-After
      TokenError            a callback token that we did not sign, or not for this repository

Nothing is caught and only logged: who catches one of these answers it, restores from the log, or ends the process.
"""

from collections.abc import Mapping, Sequence

__all__ = [
    "AppendFailed",
    "BrokerError",
    "BundleBroken",
    "CommitRefused",
    "ConfigError",
    "DatabaseBroken",
    "Fenced",
    "Forbidden",
    "ForeignLog",
    "HooklineError",
    "Invalid",
    "KeyMissing",
    "LogError",
    "LogTruncated",
    "LogUnavailable",
    "NameTaken",
    "NotAuthorised",
    "OffsetOutOfRange",
    "ProcessFailed",
    "RecordRefused",
    "RecordTooLarge",
    "Refused",
    "RowRefused",
    "SnapshotLost",
    "TokenError",
    "TooMany",
    "TopicsUnfit",
    "Unavailable",
    "Undecodable",
    "Unfoldable",
    "Unreadable",
]


class HooklineError(Exception):
    """Base of all."""


class ConfigError(HooklineError):
    """A setting is missing or wrong; the text names the setting and what to put there."""


class BrokerError(HooklineError):
    """The embedded broker cannot start or has died; the text says what to do."""


class DatabaseBroken(HooklineError):
    """The console's database cannot be read as one; the text says how to drop it. All that it holds is in the logs."""


class RowRefused(HooklineError):
    """The console's database does not take a value of a record, and time does not mend that; the text holds nothing of the value."""


class ProcessFailed(HooklineError):
    """A child process of `hookline up` died again and again before it was ready; the text has its last log lines."""


class LogError(HooklineError):
    """Base of what goes wrong with the logs."""


class AppendFailed(LogError):
    """No ack in time. The record may be in the log, may land later, or never."""


class RecordRefused(AppendFailed):
    """Kafka answered that it does not take that record: it is not in the log and will not land later.

    The text names the topic and says why. The same record is refused again until somebody changes the topic.
    """


class RecordTooLarge(RecordRefused):
    """The record is larger than its topic takes: above `max.message.bytes`, as it is set now, or above a segment."""


class NotAuthorised(RecordRefused):
    """Our Kafka user may not write to that topic; the text names the right. It is taken once an operator has given that."""


class LogUnavailable(LogError):
    """Kafka did not answer a read, an end offset or a commit."""


class NameTaken(LogUnavailable):
    """Another process is a member of the consumer group under our GROUP_INSTANCE_ID; the text says what to do."""


class Refused(LogUnavailable):
    """A certificate or a credential is not good, or a right is missing; the text says what to look at."""


class OffsetOutOfRange(LogError):
    """The offset to read on from is not in the log of that topic and partition: its records were deleted, or the topic was
    made anew.

    It says nothing of any other place. Whoever meets it holds what came of records that are gone: asking again does not
    help, reading anew from what there is does.
    """

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(f"{topic}[{partition}]@{offset}: {reason}")
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


class LogTruncated(OffsetOutOfRange):
    """Records of that topic and partition that were read are not in the log any more: it ends below them, or has others
    in their place. A disk lost them, an older copy was put back, or a broker became leader that never had them."""


class Undecodable(LogError):
    """A record of this topic, partition and offset cannot be read by this version (design section 4, rule 7)."""

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(f"{topic}[{partition}]@{offset}: {reason}")
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


class BundleBroken(LogError):
    """An exported file that is not a bundle, or was changed since; the text names the line and what is wrong with it."""


class Unfoldable(Undecodable):
    """A record of this topic, partition and offset can be read and not folded: its partition stops there, too."""


class TopicsUnfit(LogError):
    """The topics are missing or do not fit; the text says which and how to mend it."""


class ForeignLog(LogError):
    """What was read belongs to another log_id: topics were made anew below a group or database that remembers old ones."""


class SnapshotLost(LogError):
    """A commit names a snapshot that is not whole in the log, or one of records that are not there any more."""


class Fenced(LogError):
    """A Fence above our own token: another worker, or a later incarnation, owns the partition."""


class CommitRefused(LogError):
    """The group refused a commit (stale generation), or gave no answer."""


class Invalid(HooklineError):
    """What a client sent; `errors` maps a field (or `non_field_errors`) to sentences, as the APIs answer it."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(said)}" for field, said in errors.items()))
        self.errors = {field: list(said) for field, said in errors.items()}


class Unreadable(HooklineError):
    """A body or an event that was delivered but cannot be read; the text says why, without quoting what was sent."""


class Forbidden(HooklineError):
    """The credential is good, and not for what was asked with it; the text says for what not."""


class Unavailable(HooklineError):
    """Not safe to answer now; try again after `retry_after_s` seconds."""

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class KeyMissing(Unavailable):
    """A hook's secret, a session or a token rests on a master key that is not here: the operator must put it back."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the master key {key_id} is not in HOOKLINE_MASTER_KEYS: put it back (`hookline keys`)", 60)
        self.key_id = key_id


class TooMany(HooklineError):
    """More requests than one client may send; there is room again after `retry_after_s` seconds."""

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TokenError(HooklineError):
    """A callback token that is not one of ours, was changed, or stands under another repository."""
