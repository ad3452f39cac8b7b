"""Inner names of other people's libraries: each one that is used is named here, and is still there.

They may go with any release, and most of them only where something else has gone wrong already (a broker that is away while
a client is closed). So the release is bounded above, and a name that is gone fails here, by itself.
"""

import ast
import inspect
import ssl
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.consumer.subscription_state import Subscription, SubscriptionState

from hookline.errors import ConfigError
from hookline.kafka import kafka_cluster
from hookline.settings import load_settings

ROOT = Path(__file__).parents[3]
RELEASE = kafka_cluster.AIOKAFKA
BEHIND_AIOKAFKA = "hookline/kafka/client.py"

AIOKAFKA: dict[type, set[str]] = {
    AIOKafkaConsumer: {
        "_client", "_closed", "_coordinator", "_fetcher", "_group_id", "_group_instance_id", "_subscription",
    },
    AIOKafkaAdminClient: {"_client", "_closed"},
    AIOKafkaClient: {"_conns", "_sync_task"},
    AIOKafkaConnection: {"_writer"},
    Fetcher: {"_closed", "_fetch_task", "_pending_tasks"},
    GroupCoordinator: {"_commit_refresh_task", "_coordination_task", "_do_commit_offsets", "_heartbeat_task"},
    NoGroupCoordinator: {"_reset_committed_task"},
}  # fmt: skip
"""Its private names that are used, by the class that has them."""

AIOKAFKA_WITHOUT_PROMISE: dict[type, set[str]] = {
    GroupCoordinator: {"check_errors", "ensure_coordinator_known", "generation", "member_id"},
    NoGroupCoordinator: {"check_errors"},
    SubscriptionState: {"fetch_context", "subscription"},
    Subscription: {"assignment"},
}
"""Names without an underscore, of classes that only private names lead to."""

ELSEWHERE: dict[tuple[str, str], type] = {("services/dispatcher/certificates.py", "_sslobj"): ssl.SSLObject}
"""Module and name, to the class that has it."""

WITH_UNDERSCORE_BUT_PUBLIC = {"_asdict", "_exit", "_fields", "_replace"}
"""Of named tuples, and of `os`: documented."""

BY_NAME = {"attrgetter", "delattr", "getattr", "hasattr", "methodcaller", "setattr"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for top in ("hookline", "services", "scripts", "bench"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def text_of(node: ast.AST) -> str:
    """Of a literal; "" of anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def own_names(tree: ast.AST) -> set[str]:
    """What the code itself defines: functions, and attributes of `self` and of classes."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    stored = (node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store))
    for node in stored:
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}:
            found.add(node.attr)
    return found


def foreign_private_names(tree: ast.Module) -> set[str]:
    """Private names that are taken from an object, a class or a module that this file does not define."""
    ours, found = own_names(tree), set[str]()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(value=ast.Name(id="self" | "cls"))
                | ast.Attribute(value=ast.Call(func=ast.Name(id="super")))
            ):
                pass
            case ast.Attribute(attr=name) if is_private(name) and name not in ours:
                found.add(name)
            case ast.Call(func=ast.Name(id=by) | ast.Attribute(attr=by), args=arguments) if by in BY_NAME:
                found |= {name for name in map(text_of, arguments) if is_private(name)}
            case ast.ImportFrom(module=module, names=names):
                words = [*(module or "").split("."), *(one.name for one in names)]
                found |= {word for word in words if is_private(word)}
            case ast.Import(names=names):
                found |= {word for one in names for word in one.name.split(".") if is_private(word)}
    return found - WITH_UNDERSCORE_BUT_PUBLIC


def has(owner: type, name: str) -> bool:
    """Does it define or set that name, by its source? Many are set only when it is connected."""
    return any(
        name in own_names(ast.parse(textwrap.dedent(inspect.getsource(one))))
        for one in owner.__mro__
        if one is not object
    )


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(owner, name, id=f"{owner.__name__}.{name}")
        for table in (AIOKAFKA, AIOKAFKA_WITHOUT_PROMISE)
        for owner, names in table.items()
        for name in sorted(names)
    ],
)
def test_aiokafka_still_has(owner: type, name: str) -> None:
    assert has(owner, name), (
        f"{owner.__name__}.{name} is gone from aiokafka {version('aiokafka')}: {BEHIND_AIOKAFKA} uses it"
    )


@pytest.mark.parametrize("place", ELSEWHERE, ids=" ".join)
def test_others_still_have(place: tuple[str, str]) -> None:
    owner, (module, name) = ELSEWHERE[place], place

    assert has(owner, name), f"{owner.__name__}.{name} is gone: {module} uses it"


def test_each_private_name_behind_aiokafka_is_named_here() -> None:
    tree = ast.parse((ROOT / BEHIND_AIOKAFKA).read_text())
    used = foreign_private_names(tree) | {name for name in map(text_of, ast.walk(tree)) if is_private(name)}

    assert used == set().union(*AIOKAFKA.values())


def test_nobody_else_touches_a_private_name_of_others() -> None:
    used = {(module, name) for module, tree in modules() for name in foreign_private_names(tree)}

    assert {place for place in used if place[0] != BEHIND_AIOKAFKA} == set(ELSEWHERE)


@pytest.mark.parametrize(
    "line",
    [
        "client._conns", "client._conns = {}", "made()._writer", "getattr(client, '_conns')", "setattr(client, '_conns', {})",
        "from aiokafka import _private", "from aiokafka._private import one", "import aiokafka._private", "a.b._c.d",
        "operator.attrgetter('_conns')", "del client._conns", "class A:\n  def f(self): return self.client._conns",
    ],
)  # fmt: skip
def test_the_search_finds_every_way_to_one(line: str) -> None:
    assert foreign_private_names(ast.parse(line))


def test_the_bound_is_the_minor_release_that_was_looked_into() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]

    assert f"aiokafka~={RELEASE}.0" in wanted
    assert version("aiokafka").startswith(f"{RELEASE}.")


def test_no_service_starts_with_another_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_cluster, "version", lambda _: "0.15.0")

    with pytest.raises(ConfigError, match=r"aiokafka 0\.15\.0 is installed.*'aiokafka~=0\.14\.0'"):
        kafka_cluster.kafka_cluster(load_settings(), "ingress")


def imported_from_aiokafka() -> set[tuple[str, str]]:
    return {
        (node.module, one.name)
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka.")
        for one in node.names
        if node.module is not None
    }


@pytest.mark.parametrize(("module", "name"), sorted(imported_from_aiokafka()))
def test_aiokafka_still_has_the_module(module: str, name: str) -> None:
    """Of these only `errors`, `structs`, `admin` and the assignors are documented."""
    assert hasattr(import_module(module), name), f"{module}.{name} is gone from aiokafka {version('aiokafka')}"
