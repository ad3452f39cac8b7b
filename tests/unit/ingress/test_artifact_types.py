"""What kind of artifact a push is: the rule, what each source finds of it, and which pipelines it starts."""

import json
from copy import deepcopy
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.artifacts import ArtifactType
from services.ingress.artifact_types import PREFIXES, artifact_type_of
from tests.unit.ingress.conftest import Ingress, distribution_request, pipeline
from tests.unit.ingress.test_distribution import envelope, event
from tests.unit.ingress.test_producers import FILES

OCI, DOCKER = "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"
INDEX, LIST = "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_CONFIG, DOCKER_CONFIG = "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"
CHART, EMPTY = "application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.empty.v1+json"
IN_TOTO, WASM = "application/vnd.in-toto+json", "application/vnd.wasm.config.v0+json"
MEDIA_TYPES = st.sampled_from(
    [OCI, DOCKER, INDEX, LIST, OCI_CONFIG, DOCKER_CONFIG, CHART, EMPTY, IN_TOTO, WASM, "image", "x/y"]
)
ANY = st.none() | MEDIA_TYPES | st.text(max_size=40)


@pytest.mark.parametrize(
    ("media_type", "artifact_media_type", "kind"),
    [
        (None, None, None),
        ("", "", None),
        (OCI, None, None),  # a chart's is the same
        (DOCKER, None, "image"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", None, "image"),
        (INDEX, None, "index"),
        (LIST, None, "index"),
        (OCI, OCI_CONFIG, "image"),
        (None, DOCKER_CONFIG, "image"),
        (DOCKER_CONFIG, None, "image"),  # Docker Hub's
        (CHART, None, "helm_chart"),
        (OCI, CHART, "helm_chart"),
        ("application/vnd.acr.helm.chart", None, "helm_chart"),
        (OCI, IN_TOTO, "attestation"),
        (OCI, "application/vnd.dev.sigstore.bundle.v0.3+json", "attestation"),
        (OCI, "application/vnd.cncf.notary.signature", "signature"),
        (OCI, "application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
        (OCI, "application/spdx+json", "sbom"),
        (OCI, "application/vnd.cyclonedx+xml", "sbom"),
        (OCI, WASM, "other"),
        (OCI, EMPTY, "other"),  # an image has a config
        (OCI, "application/vnd.cncf.flux.config.v1+json", "other"),
        (DOCKER, "application/vnd.docker.plugin.v1+json", "other"),
        (INDEX, "application/vnd.example.bundle", "other"),
        ("application/vnd.oci.artifact.manifest.v1+json", None, "other"),
        ("application/vnd.cncf.oras.artifact.manifest.v1+json", "application/spdx+json", "sbom"),
        ("application/x-nonsense", None, "other"),
        ("nonsense", None, None),
        (INDEX, "docker", "index"),
        (None, "Helm_Chart", "helm_chart"),
        (f"{INDEX}; charset=utf-8", None, "index"),
        (OCI.upper(), f" {CHART.title()} ;x=y", "helm_chart"),
        (OCI, OCI, None),  # it tells nothing there either
        (INDEX, OCI, "index"),
    ],
)
def test_the_kind(media_type: str | None, artifact_media_type: str | None, kind: str | None) -> None:
    assert artifact_type_of(media_type, artifact_media_type) == kind


def test_every_kind_has_a_media_type() -> None:
    assert {*PREFIXES, ArtifactType.OTHER} == set(ArtifactType)
    for kind, prefixes in PREFIXES.items():
        for prefix in prefixes:
            assert artifact_type_of(OCI, f"{prefix}x") is kind


@given(ANY, ANY, st.sampled_from(["", ";", "; charset=utf-8", " ; a=b;c=d"]))
def test_parameters_and_case_do_not_matter(media_type: str | None, artifact: str | None, parameters: str) -> None:
    def written(text: str | None) -> str | None:
        return None if text is None or not text.isascii() else f"{text.upper()}{parameters}"

    if all(text is None or text.isascii() for text in (media_type, artifact)):
        kind = artifact_type_of(media_type, artifact)
        assert artifact_type_of(written(media_type), written(artifact)) is kind


@given(ANY, ANY)
def test_what_is_attached_to_another_manifest_is_no_image(media_type: str | None, artifact: str | None) -> None:
    kind, attached = artifact_type_of(media_type, artifact), artifact_type_of(media_type, artifact, has_subject=True)
    assert attached not in (None, ArtifactType.IMAGE, ArtifactType.INDEX)
    assert kind in (None, ArtifactType.IMAGE, ArtifactType.INDEX) or attached is kind


@given(ANY, MEDIA_TYPES.filter(lambda text: text != OCI))
def test_what_is_in_a_manifest_counts_before_the_manifests_own_type(media_type: str | None, artifact: str) -> None:
    assert artifact_type_of(media_type, artifact) is artifact_type_of(None, artifact)


# what each source finds


class Told(NamedTuple):
    """A body of the corpus with values changed at paths; what is kept of it, and what hooks get as `media_type`."""

    file: str
    changed: dict[str, Any]
    kind: str | None
    media_type: str | None


GHCR = "package.package_version.container_metadata.manifest"
SUBJECT = {"mediaType": OCI, "digest": f"sha256:{'a' * 64}", "size": 7}


def zot(**manifest: Any) -> dict[str, Any]:
    return {"mediaType": OCI, "manifest": json.dumps({"schemaVersion": 2, "mediaType": OCI, **manifest})}


TOLD = {
    "github: an image": Told("github-package", {}, "image", DOCKER_CONFIG),
    "github: its older event": Told("github-registry-package", {}, "image", DOCKER_CONFIG),
    "github: a chart": Told("github-package", {f"{GHCR}.media_type": OCI, f"{GHCR}.config.media_type": CHART}, "helm_chart", CHART),
    "github: an index": Told("github-package", {f"{GHCR}.media_type": INDEX, f"{GHCR}.config": {"media_type": ""}}, "index", INDEX),
    "github: a WASM module": Told("github-package", {f"{GHCR}.config.media_type": WASM}, "other", WASM),
    "github: an attestation": Told(
        "github-package", {f"{GHCR}.artifact_type": IN_TOTO, f"{GHCR}.subject": SUBJECT, f"{GHCR}.config.media_type": EMPTY}, "attestation", IN_TOTO
    ),
    "github: attached, with an image's config": Told("github-package", {f"{GHCR}.subject": SUBJECT}, "other", DOCKER_CONFIG),
    "github: no config": Told("github-package", {f"{GHCR}.media_type": OCI, f"{GHCR}.config": None}, None, OCI),
    "ecr: nothing": Told("ecr-push", {}, None, None),
    "ecr: a chart": Told("ecr-push", {"detail.manifest-media-type": OCI, "detail.artifact-media-type": CHART}, "helm_chart", CHART),
    "ecr: an image": Told("ecr-push", {"detail.manifest-media-type": DOCKER, "detail.artifact-media-type": DOCKER_CONFIG}, "image", DOCKER_CONFIG),
    "ecr: an index": Told("ecr-push", {"detail.manifest-media-type": LIST}, "index", LIST),
    "ecr: as a CloudEvent": Told("ecr-cloudevents", {"data.manifestMediaType": OCI, "data.artifactMediaType": CHART}, "helm_chart", CHART),
    "zot: an index, of a manifest that says little": Told("zot-updated", {}, "index", INDEX),
    "zot: a chart": Told("zot-updated", zot(config={"mediaType": CHART}), "helm_chart", CHART),
    "zot: an image": Told("zot-updated", zot(config={"mediaType": OCI_CONFIG}), "image", OCI_CONFIG),
    "zot: an attestation": Told("zot-updated", zot(artifactType=IN_TOTO, config={"mediaType": EMPTY}, subject=SUBJECT), "attestation", IN_TOTO),
    "zot: attached, of no type": Told("zot-updated", zot(subject=SUBJECT), "other", OCI),
    "zot: no manifest": Told("zot-updated", {"mediaType": OCI, "manifest": None}, None, OCI),
    "zot: a manifest that is none": Told("zot-updated", {"mediaType": OCI, "manifest": "{"}, None, OCI),
    "zot: a manifest nested too deep": Told("zot-updated", {"mediaType": OCI, "manifest": "[" * 5000}, None, OCI),
    "zot: a config that is none": Told("zot-updated", zot(config=[{"mediaType": CHART}]), None, OCI),
    "acr: an image": Told("acr-push", {}, "image", DOCKER),
    "acr: no media type": Told("acr-push", {"target.mediaType": None}, None, None),
    "acr: parameters": Told("acr-push", {"target.mediaType": f"{INDEX}; charset=utf-8"}, "index", f"{INDEX}; charset=utf-8"),
    "acr: a chart": Told("acr-push", {"target.mediaType": OCI, "target.artifactType": CHART}, "helm_chart", CHART),
    "acr: an artifact manifest": Told("acr-push", {"target.mediaType": "application/vnd.oci.artifact.manifest.v1+json"}, "other", "application/vnd.oci.artifact.manifest.v1+json"),
    "acr: by Event Grid": Told("acr-event-grid-pushed", {"data.target.mediaType": OCI, "data.target.artifactType": CHART}, "helm_chart", CHART),
    "jfrog: an image": Told("jfrog-pushed", {}, "image", None),
    "jfrog: an index": Told("jfrog-pushed-index", {}, "index", None),
    "jfrog: a chart": Told("jfrog-pushed", {"data.image_type": "oci"}, "helm_chart", None),
    "jfrog: another type": Told("jfrog-pushed", {"data.image_type": "machinelearning"}, "other", None),
    "jfrog: nothing": Told("jfrog-pushed", {"data.image_type": None}, None, None),
    "cloudevents: nothing": Told("cloudevents-structured", {"data.mediaType": None}, None, None),
    "cloudevents: an artifact type": Told("cloudevents-structured", {"data.mediaType": OCI, "data.artifactType": CHART}, "helm_chart", CHART),
    "cloudevents: a config's": Told("cloudevents-structured", {"data.mediaType": OCI, "data.configMediaType": OCI_CONFIG}, "image", OCI_CONFIG),
    "harbor": Told("harbor-push", {}, None, None),
    "quay": Told("quay-push", {}, None, None),
    "gar": Told("gar-insert-tag", {}, None, None),
    "gitea": Told("gitea-created", {}, None, None),
    "nexus": Told("nexus-created", {}, None, None),
}  # fmt: skip


def body_of(told: Told) -> str:
    body = deepcopy(FILES[told.file]["body"])
    for path, value in told.changed.items():
        *parents, last = path.split(".")
        at = body
        for name in parents:
            at = at[name]
        at[last] = value
    return json.dumps(body)


@pytest.mark.parametrize("name", TOLD)
async def test_what_a_producer_tells_is_kept_and_sent_to_hooks(ingress: Ingress, name: str) -> None:
    told = TOLD[name]
    file = FILES[told.file]
    assert (await ingress.deliver(file["source"], body_of(told), file["headers"]))["accepted"] == 1
    (push,) = ingress.pushes()
    data = push.payload["push_data"]
    assert isinstance(data, dict)
    assert (push.artifact_type, data.get("artifact_type")) == (told.kind, told.kind)
    assert data.get("media_type") == told.media_type


REFERENCES = [{"mediaType": CHART, "size": 9}, {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}]


@pytest.mark.parametrize("source", ["distribution", "gitlab"])
@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ({"mediaType": OCI, "references": REFERENCES}, "helm_chart"),
        ({"mediaType": DOCKER, "references": [{"mediaType": DOCKER_CONFIG}]}, "image"),
        ({"mediaType": INDEX, "references": [{"mediaType": OCI}]}, "index"),
        ({"mediaType": OCI, "references": []}, None),
        ({"mediaType": OCI, "references": ["text"]}, None),
        ({"mediaType": OCI, "references": {}}, None),
        ({"mediaType": OCI, "artifactType": IN_TOTO, "references": [{"mediaType": EMPTY}]}, "attestation"),
        ({"mediaType": "application/vnd.cncf.oras.artifact.manifest.v1+json"}, "other"),
        ({"mediaType": "application/octet-stream"}, "other"),  # no blob has a tag
        ({"mediaType": None}, None),
    ],
)
async def test_of_distributions_envelope(
    ingress: Ingress, source: str, target: dict[str, Any], kind: str | None
) -> None:
    assert (await ingress.deliver(source, envelope(event(**target))))["accepted"] == 1
    (push,) = ingress.pushes()
    assert push.artifact_type == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("v2.8.2-push-manifest-tag-v1", "image"),
        ("v3.1.1-push-docker-schema2-manifest-noauth", "image"),
        ("v3.1.1-push-index-tag", "index"),
        ("v3.1.1-push-oras-artifact", "other"),
    ],
)
async def test_of_what_distribution_sent(ingress: Ingress, name: str, kind: str | None) -> None:
    await ingress.deliver("distribution", *distribution_request(name))
    (push,) = ingress.pushes()
    assert push.artifact_type == kind


@pytest.mark.parametrize(
    ("media_type", "kind"), [(DOCKER_CONFIG, "image"), (LIST, "index"), (CHART, "helm_chart"), (None, None), ("", None)]
)
async def test_of_docker_hub(ingress: Ingress, media_type: str | None, kind: str | None) -> None:
    body = {"push_data": {"tag": "v1", "media_type": media_type}, "repository": {"repo_name": "acme/app"}}
    await ingress.deliver("dockerhub", json.dumps(body))
    (push,) = ingress.pushes()
    data = push.payload["push_data"]
    assert isinstance(data, dict)
    assert (push.artifact_type, data.get("artifact_type"), data["media_type"]) == (kind, kind, media_type)


# which pipelines it starts


PUSHES = {
    None: {},
    "image": {"detail.artifact-media-type": OCI_CONFIG},
    "index": {"detail.manifest-media-type": INDEX},
    "helm_chart": {"detail.artifact-media-type": CHART},
    "attestation": {"detail.artifact-media-type": IN_TOTO},
    "other": {"detail.artifact-media-type": WASM},
}
STARTED = {
    None: ["default", "all", "images"],
    "image": ["default", "all", "images"],
    "index": ["default", "all", "indexes"],
    "helm_chart": ["all", "charts"],
    "attestation": ["all"],
    "other": ["all"],
}


@pytest.mark.parametrize("kind", STARTED)
async def test_a_pipeline_is_for_images_and_indexes_or_for_what_it_says(ingress: Ingress, kind: str | None) -> None:
    made = {
        "default": {},
        "all": {"artifacts": "all"},
        "images": {"artifacts": (ArtifactType.IMAGE,)},
        "indexes": {"artifacts": (ArtifactType.INDEX,)},
        "charts": {"artifacts": (ArtifactType.HELM_CHART,)},
    }
    for number, (name, fields) in enumerate(made.items()):
        ingress.set_pipeline(pipeline("my-repo", name=name, created_at=number, **fields))
    await ingress.deliver("ecr", body_of(Told("ecr-push", PUSHES[kind], kind, None)))
    (push,) = ingress.pushes()
    assert push.artifact_type == kind
    assert [plan.slug for plan in push.plans] == STARTED[kind]


async def test_a_referrers_tag_starts_nothing_whatever_a_pipeline_is_for(ingress: Ingress) -> None:
    ingress.set_pipeline(pipeline("my-repo", artifacts="all"))
    changed = {"detail.image-tag": f"sha256-{'a' * 64}.sig"}
    assert (await ingress.deliver("ecr", body_of(Told("ecr-push", changed, None, None))))["ignored"] == 1
    assert not ingress.pushes()
