"""Tables of the console's read model. It can be dropped and rebuilt from the logs at any time; nothing else is kept in it.

Rows depend on what lies in the logs only, never on batches or on how the logs interleaved: a rebuild gives the same rows.
`*_at` and `until` are Unix milliseconds.
A column's `info` says what may be changed of a value that does not fit (`services.console.readmodel.entering`).
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

__all__ = [
    "DOCUMENT",
    "METADATA",
    "NAME",
    "SCHEMA_VERSION",
    "SHOWN",
    "chains",
    "events",
    "meta",
    "positions",
    "pushes",
    "set_aside",
]

SCHEMA_VERSION = "5"
"""Another one in the database: its tables are dropped and built anew. Raise it with any change below."""

NAME = {"enters": "a name: cut, and cleaned"}
DOCUMENT = {"enters": "JSON: cleaned"}
SHOWN = {"enters": "a number that no row is found by: brought into the column's range"}

METADATA = MetaData()

meta = Table(
    "hookline_meta",
    METADATA,
    Column("key", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)
"""`schema`, `log_id`, the id of each log's topic (`topic pushes`, ...), `rebuild` while someone asks for one,
and `lost` with the words, once a log has lost what was read of it."""

positions = Table(
    "hookline_positions",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("pushes", BigInteger, nullable=False),
    Column("callbacks", BigInteger, nullable=False),
    Column("commands", BigInteger, nullable=False),
    Column("deliveries", BigInteger, nullable=False),
    Column("fence", BigInteger),
    Column("clock", BigInteger, nullable=False),
    Column("windows_from", BigInteger, nullable=False),
)
"""Next offset of each log, the fence in force there (-1 before any, null where it must be found), and `Repeats.clock`.
`windows_from`: offset of the first push whose `until` counts (`PartitionProjection`)."""

pushes = Table(
    "hookline_pushes",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("push_id", String(36), nullable=False),
    Column("source", Text, info=NAME, nullable=False),
    Column("registry", Text, info=NAME),
    Column("told_registry", Text, info=NAME),
    Column("repository", Text, info=NAME, nullable=False),
    Column("tag", Text, info=NAME),
    Column("digest", Text, info=NAME),
    Column("artifact_type", String(16)),
    Column("pusher", Text, info=NAME),
    Column("pushed_at", BigInteger, info=SHOWN, nullable=False),
    Column("received_at", BigInteger, info=SHOWN, nullable=False),
    Column("until", BigInteger, info=SHOWN, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("plans", Integer, info=SHOWN, nullable=False),
    Column("payload", LargeBinary),
    Index("hookline_pushes_by_id", "push_id", "offset"),
    Index("hookline_pushes_by_repository", "repository", "received_at"),
    Index("hookline_pushes_by_time", "received_at"),
    Index("hookline_pushes_by_window", "partition", "until"),
)
"""Every PushReceived. `until`: end of its window for repeats; `plans`: how many pipelines matched; `payload`: packed, if it started any chain."""

chains = Table(
    "hookline_chains",
    METADATA,
    Column("id", String(100), primary_key=True),
    Column("push_id", String(36), nullable=False),
    Column("push_offset", BigInteger, nullable=False),
    Column("n", Integer, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("repository", Text, info=NAME, nullable=False),
    Column("tag", Text, info=NAME),
    Column("pipeline_id", Text, info=NAME, nullable=False),
    Column("first_step", Integer, nullable=False),
    Column("plan", Text, info=DOCUMENT, nullable=False),
    Column("request_id", Text, info=NAME),
    Column("created_at", BigInteger, info=SHOWN, nullable=False),
    Column("step", Integer, nullable=False),
    Column("status", String(8), nullable=False),
    Column("reason", String(32)),
    Column("ended_at", BigInteger, info=SHOWN),
    Index("hookline_chains_by_pipeline", "pipeline_id", "created_at"),
    Index("hookline_chains_by_push", "push_id", "push_offset"),
    Index("hookline_chains_by_repository", "repository", "created_at"),
)
"""One row a chain. `created_at`: when its push or its RedeliveryRequested came; `request_id`: `ce_id` of the latter.
step, status, reason and ended_at follow the fold; the rest of its state is folded anew from `events`."""

Index(
    "hookline_chains_open",
    chains.c.pipeline_id,
    sqlite_where=chains.c.status == "pending",
    postgresql_where=chains.c.status == "pending",
)
Index(
    "hookline_chains_by_request",
    chains.c.request_id,
    sqlite_where=chains.c.request_id.is_not(None),
    postgresql_where=chains.c.request_id.is_not(None),
)

events = Table(
    "hookline_events",
    METADATA,
    Column("chain_id", String(100), primary_key=True),
    Column("topic", String(10), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("timestamp", BigInteger, info=SHOWN, nullable=False),
    Column("type", String(40), nullable=False),
    Column("void", String(6)),
    Column("json", Text, info=DOCUMENT, nullable=False),
)
"""One row an event of a chain, as it lies in the log (a RedeliveryRequested without plan and payload).
`void`: null where it counts, `fenced` for a decision of a fenced worker, `later` where one before it counted, `misfit` where it names a step that its chain does not have."""

set_aside = Table(
    "hookline_set_aside",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("topic", String(10), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, info=NAME, nullable=False),
    Column("push_id", LargeBinary),
    Column("until", BigInteger, info=SHOWN),
)
"""Records that the database did not take: nothing else of them is here. Of a push its window for repeats, which counts all the same."""
