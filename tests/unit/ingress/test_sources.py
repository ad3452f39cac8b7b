"""The interface of sources: adding one is adding a module."""

from pathlib import Path

from multidict import CIMultiDict, MultiDict
from structlog.testing import capture_logs

import services.ingress.sources
from hookline.chain.events import Payload
from hookline.chain.registry_names import RegistryNames
from hookline.errors import Unreadable
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery, Ignored, Push
from services.ingress.source import Source
from services.ingress.sources import discover


def test_every_module_is_a_source_under_its_name() -> None:
    modules = {file.stem for file in Path(services.ingress.sources.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(discover()) == modules >= {"distribution", "dockerhub"}
    assert all(name == source.name for name, source in discover().items())


class Broken(Source):
    """Fails on one event as a source with a bug does."""

    name = "broken"

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "bug" in event:
            raise KeyError(event["bug"])
        raise Unreadable("not mine")


def test_a_bug_of_a_source_ends_in_quarantine_without_quoting_what_was_sent() -> None:
    with capture_logs() as lines:
        contents = contents_of(Broken(), Delivery(b'{"bug": "marked"}', CIMultiDict(), MultiDict()), RegistryNames())
    (unread,) = contents.unread
    assert unread.reason.startswith("a bug in Hookline: KeyError at normalise:")
    assert "marked" not in f"{unread.reason}{lines}"
    assert lines[0]["log_level"] == "error"


def test_windows() -> None:
    assert Broken().dedupe_window_s(Push("a/b")) == 120
    assert Broken().dedupe_window_s(Push("a/b", producer_id="7")) == 24 * 3600
    assert discover()["dockerhub"].dedupe_window_s(Push("a/b")) == 3600
