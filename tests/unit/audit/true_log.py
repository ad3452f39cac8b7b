"""A log as all the services would write it: pushes made by ingress' own code of what registries send, with `pipelines`."""

import json
from base64 import b64encode
from typing import Any

from multidict import CIMultiDict, MultiDict

from hookline.chain.artifacts import ArtifactType
from hookline.chain.events import Event, HaltReason, Verdict
from hookline.chain.pipeline import Dedupe, Hook, LogId, Pipeline, matching
from hookline.chain.registry_names import RegistryNames
from hookline.log.codec import encode_setting
from hookline.log.records import RawRecord
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery
from services.ingress.push_records import Receipt, push_received
from services.ingress.sources import discover
from tests.kit.events import LOG_ID, START
from tests.unit.audit.script import SECOND, Script

SOURCES = discover()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class TrueLog(Script):
    """One partition. Its records are stamped when they are written."""

    def __init__(self) -> None:
        self._created: dict[str, int] = {}
        super().__init__()
        self.records.log_id = LOG_ID
        self.set(LogId(log_id=LOG_ID))

    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        self.records.now = self.now
        return super().write(event, partition, fence=fence, event_id=event_id)

    def set(self, setting: LogId | Pipeline | None, pipeline_id: str = "") -> int:
        """Write a record of `pipelines`; None: a tombstone."""
        draft = encode_setting(setting, now_ms=self.now, pipeline_id=pipeline_id)
        line = self.records.pipelines
        offset = line[-1].offset + 1 if line else 0
        line.append(RawRecord(draft.place, offset, self.now, draft.key, draft.value, draft.headers))
        return offset

    def pipeline(self, name: str, repository: str = "acme/app", steps: int = 1, **fields: Any) -> Pipeline:
        made = Pipeline(
            pipeline_id=name, repository=repository, name=name, slug=name, callback_deadline_s=60, retry_delays_s=(5, 300),
            created_at=self._created.setdefault(name, self.now), updated_at=self.now,
            hooks=tuple(
                Hook(id=f"{name}-{n}", key="k1", name=str(n), url=f"http://127.0.0.1/{n}", created_at=START, updated_at=START)
                for n in range(1, steps + 1)
            ),
            **fields,
        )  # fmt: skip
        self.set(made)
        return made

    def deliver_from(self, source: str, body: bytes, headers: dict[str, str] | None = None) -> list[str]:
        """Take in what a registry sends; the ids of all chains that it starts."""
        delivery = Delivery(body, CIMultiDict(headers or {"Content-Type": "application/json"}), MultiDict())
        receipt = Receipt(SOURCES[source], delivery, self.now)
        contents = contents_of(receipt.source, delivery, RegistryNames())
        assert not contents.unread, contents
        made = []
        for raw, push in contents.pushes:
            found = matching(
                self._table().values(), push.repository, push.registry, push.tag, push.told_registry, push.artifact_type
            )
            same = tuple(p.pipeline_id for p in found if p.dedupe is Dedupe.DIGEST and push.digest and push.tag)
            event = push_received(
                receipt, raw, push, log_id=LOG_ID, settings_offset=self.records.pipelines[-1].offset + 1, same_digest=same,
                plans=tuple(p.plan(n) for n, p in enumerate(p for p in found if p.pipeline_id not in same)),
            )  # fmt: skip
            made += [str(chain) for chain in self.start(event)]
        return made

    def from_docker_hub(self, tag: str = "1") -> list[str]:
        body = {
            "callback_url": "https://registry.hub.docker.com/u/acme/app/hook/x/",
            "push_data": {"tag": tag, "pusher": "ada", "pushed_at": self.now / 1000},
            "repository": {"repo_name": "acme/app", "status": "Active", "star_count": "3"},
        }
        return self.deliver_from("dockerhub", json.dumps(body).encode())

    def from_distribution(self, tag: str = "1", event_id: str = "e1") -> list[str]:
        target = {"repository": "acme/app", "tag": tag, "digest": "sha256:" + "a" * 64, "mediaType": MANIFEST}
        event = {
            "id": event_id, "action": "push", "timestamp": "2023-11-14T22:13:20Z", "target": target,
            "request": {"host": "registry.example.com"}, "actor": {"name": "ada"},
        }  # fmt: skip
        return self.deliver_from("distribution", json.dumps({"events": [event]}).encode())

    def _table(self) -> dict[bytes, Pipeline]:
        table: dict[bytes, Pipeline] = {}
        for raw in self.records.pipelines:
            assert raw.key is not None
            if raw.value is None:
                table.pop(raw.key, None)
            elif raw.key != b"log_id":
                table[raw.key] = Pipeline.model_validate_json(raw.value)
        return table


def true_log() -> TrueLog:
    """A chain of each kind, by pushes of several sources; two workers, one after the other."""
    log = TrueLog()
    log.wait(1).pipeline("ci", steps=2)
    log.pipeline("all", "acme/*", dedupe=Dedupe.DIGEST)
    log.pipeline("other", "acme/other")
    log.pipeline("charts", "acme/chart", artifacts=(ArtifactType.HELM_CHART,))
    (good,) = log.wait(1).from_distribution()
    log.wait(1).delivered(good)
    log.wait(1).verdict(good, description="fine")
    log.wait(1).delivered(good, 2, status=204, answer="taken")
    log.wait(1).verdict(good, 2)
    log.wait(1).completed(good, 2)
    (bad, _) = log.wait(1).from_docker_hub()
    log.wait(1).failed(bad, status=503, retry_after_s=30.0, next_attempt_at=log.now + 30 * SECOND)
    log.wait(31).failed(bad, attempt=2)
    log.wait(301).delivered(bad, attempt=3)
    log.wait(1).verdict(bad, state=Verdict.FAILURE)
    log.wait(1).halted(bad, 1, HaltReason.CALLBACK_FAILURE)
    log.wait(1).pipeline("ci", steps=1)
    (late, _) = log.wait(1).from_docker_hub("late")
    log.wait(1).delivered(late)
    log.wait(70).closing(late)
    log.wait(1).sealed(late)
    log.wait(1).halted(late, 1, HaltReason.CALLBACK_TIMEOUT)
    log.wait(1).fence("x")
    (dropped, _) = log.wait(1).from_docker_hub("dropped")
    log.wait(1).delivered(dropped)
    log.wait(1).cancel(dropped)
    log.wait(1).halted(dropped, 1, HaltReason.CANCELLED)
    (spent,) = log.wait(1).from_distribution("spent", "e2")
    log.wait(1).failed(spent, status=410, next_attempt_at=None)
    log.wait(1).sealed(spent)
    log.wait(1).halted(spent, 1, HaltReason.GONE)
    log.wait(1)
    harbor = {
        "type": "PUSH_ARTIFACT", "occur_at": log.now // 1000, "operator": "ada",
        "event_data": {
            "repository": {"repo_full_name": "acme/other"},
            "resources": [{"tag": tag, "digest": f"sha256:{'b' * 64}", "resource_url": f"h.example.com/acme/other:{tag}"} for tag in "12"],
        },
    }  # fmt: skip
    log.deliver_from("harbor", json.dumps(harbor).encode())
    notice = b64encode(json.dumps({"action": "INSERT", "tag": "eu.pkg.dev/acme/none:1"}).encode()).decode()
    log.wait(1).deliver_from("gar", json.dumps({"message": {"data": notice, "messageId": "9"}}).encode())
    chart = {
        "id": "c1", "detail-type": "ECR Image Action", "account": "1", "region": "eu-west-1",
        "detail": {
            "action-type": "PUSH", "result": "SUCCESS", "repository-name": "acme/chart", "image-tag": "1",
            "artifact-media-type": "application/vnd.cncf.helm.config.v1+json",
        },
    }  # fmt: skip
    (charted,) = log.wait(1).deliver_from("ecr", json.dumps(chart).encode())
    log.wait(1).delivered(charted)
    log.wait(1).verdict(charted)
    log.wait(1).completed(charted)
    return log
