"""Images as small as they can be, as an OCI layout that skopeo copies from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_image", "write_index"]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def write_image(layout: Path, tag: str, content: str) -> str:
    """An image with one layer that nobody will ever unpack; its digest."""
    manifest = _manifest(layout, content, "amd64")
    _point(layout, tag, manifest)
    return manifest["digest"]


def write_index(layout: Path, tag: str, content: str, architectures: tuple[str, ...] = ("amd64", "arm64")) -> str:
    """An image for several platforms; the digest of its index."""
    manifests = [
        {**_manifest(layout, f"{content} {it}", it), "platform": {"architecture": it, "os": "linux"}}
        for it in architectures
    ]
    index = _blob(layout, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode(), INDEX)
    _point(layout, tag, index)
    return index["digest"]


def _manifest(layout: Path, content: str, architecture: str) -> dict[str, str]:
    layer = _blob(layout, content.encode(), LAYER)
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(layout, json.dumps(config).encode(), CONFIG),
        "layers": [layer],
    }
    return _blob(layout, json.dumps(manifest).encode(), MANIFEST)


def _blob(layout: Path, content: bytes, media_type: str) -> dict[str, str]:
    digest = hashlib.sha256(content).hexdigest()
    place = layout / "blobs" / "sha256" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}  # type: ignore[dict-item]


def _point(layout: Path, tag: str, target: Mapping[str, str]) -> None:
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    place = layout / "index.json"
    known = json.loads(place.read_text())["manifests"] if place.exists() else []
    others = [one for one in known if one["annotations"]["org.opencontainers.image.ref.name"] != tag]
    named = {**target, "annotations": {"org.opencontainers.image.ref.name": tag}}
    place.write_text(json.dumps({"schemaVersion": 2, "manifests": [*others, named]}))
