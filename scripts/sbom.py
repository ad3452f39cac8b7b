"""`python scripts/sbom.py [--check]`: what is shipped, as CycloneDX in deploy/sbom, and its licences, in docs/licences.md.

Made from the pins alone (requirements/image.txt, hookline/broker/jars.json) and requirements/licences.toml: the same bytes on
every machine, without a network. `--check` writes nothing; it says what differs, what a package says of its own licence that
the table does not, and which licence a product under Apache-2.0 cannot ship.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from license_expression import ExpressionError, get_spdx_licensing
from packageurl import PackageURL

PIN = re.compile(r"([a-z0-9][a-z0-9._-]*)==(\S+) \\")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
VIA = re.compile(r"    #(?: via |   )([a-z0-9][\w.-]*)(?: \(pyproject\.toml\))?$")
BUILD_ONLY = {"setuptools"}
"""The Containerfile takes it away again."""
ROOT_NAME = "hookline"
SPDX = get_spdx_licensing()

SAID: dict[str, set[str]] = {
    "apache 2": {"Apache-2.0"},
    "apache 2.0": {"Apache-2.0"},
    "mit license": {"MIT"},
    "License :: OSI Approved :: Apache Software License": {"Apache-2.0"},
    "License :: OSI Approved :: BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
    "License :: OSI Approved :: MIT License": {"MIT"},
    "License :: OSI Approved :: Python Software Foundation License": {"PSF-2.0"},
}
"""What packages say of their licences that is no SPDX expression, and what it can mean."""


@dataclass(frozen=True)
class Part:
    """One thing that is shipped. `hashes`: sha256 of each file that it may come as; `needs`: names of others; `is_direct`:
    wanted by Hookline itself. The lock file of jars does not say who wants what: there all are."""

    name: str
    version: str
    hashes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    is_direct: bool = True
    group: str | None = None

    @property
    def key(self) -> str:
        """Its name in requirements/licences.toml."""
        return f"{self.group}:{self.name}:{self.version}" if self.group else self.name

    @property
    def purl(self) -> PackageURL:
        return PackageURL("maven" if self.group else "pypi", self.group, self.name, self.version)


@dataclass(frozen=True)
class Licences:
    """requirements/licences.toml."""

    of: Mapping[str, str]
    allowed: frozenset[str]
    accepted: Mapping[str, str]


def python_parts(text: str) -> tuple[Part, ...]:
    """The pins of a requirements file as pip-compile writes it."""
    found: list[tuple[str, str, list[str], list[str]]] = []
    for line in text.splitlines():
        if pin := PIN.match(line):
            found.append((pin[1], pin[2], [], []))
        elif found and (digest := HASH.search(line)):
            found[-1][2].append(digest[1])
        elif found and (via := VIA.match(line)):
            found[-1][3].append(via[1])
    needs: dict[str, list[str]] = {}
    for name, _, _, wanted_by in found:
        for one in wanted_by:
            needs.setdefault(one, []).append(name)
    return tuple(
        Part(name, version, tuple(sorted(hashes)), tuple(sorted(needs.get(name, ()))), ROOT_NAME in wanted_by)
        for name, version, hashes, wanted_by in found
    )


def jar_parts(text: str) -> tuple[Part, ...]:
    """The jars of the broker's lock file."""
    return tuple(
        Part(artifact, version, (pin["sha256"],), group=group)
        for coordinate, pin in sorted(json.loads(text).items())
        for group, artifact, version in [coordinate.split(":")]
    )


def read_licences(text: str) -> Licences:
    table = tomllib.loads(text)
    return Licences(table["python"] | table["jars"], frozenset(table["allowed"]), table["accepted"])


def may_ship(expression: str, allowed: frozenset[str]) -> bool:
    """Is there a way to ship it under allowed licences alone? Raises ExpressionError for what is no SPDX expression."""
    return _may(SPDX.parse(expression, validate=True), allowed)


def _may(node: object, allowed: frozenset[str]) -> bool:
    if isinstance(node, SPDX.OR):
        return any(_may(one, allowed) for one in node.args)
    if isinstance(node, SPDX.AND):
        return all(_may(one, allowed) for one in node.args)
    return str(node) in allowed  # with its exception, where it has one: that is another licence


def differs_from_its_word(part: Part, expression: str) -> str | None:
    """What the installed package says of its licence, where that is not the table's; None also where it is not installed."""
    try:
        said = metadata(part.name)
    except PackageNotFoundError:
        return None
    if said["Version"] != part.version:
        return None
    if own := said["License-Expression"]:
        return None if SPDX.parse(own).simplify() == SPDX.parse(expression).simplify() else own
    words = [one for one in said.get_all("Classifier") or () if one in SAID] or [said["License"] or ""]
    meant = [SAID.get(word) or SAID.get(word.lower()) or {_key(word)} for word in words]
    ours = {str(key) for key in SPDX.license_keys(SPDX.parse(expression))}
    agree = ours <= set().union(*meant) and all(ours & one for one in meant)
    return None if agree else "; ".join(words)


def _key(word: str) -> str:
    """A licence's own spelling: packages write `mit`."""
    return next((key for key in SPDX.known_symbols if key.lower() == word.lower()), word)


def faults(parts: Iterable[Part], licences: Licences) -> Iterator[str]:
    """What is wrong with the licences, a sentence each."""
    parts = tuple(parts)
    for part in parts:
        expression = licences.of.get(part.key)
        if expression is None:
            yield f"{part.key} {part.version} has no licence in requirements/licences.toml: read it, and write it there"
            continue
        try:
            good = may_ship(expression, licences.allowed)
        except ExpressionError as error:
            yield f"{part.key}: {expression!r} is no SPDX expression: {error}"
            continue
        if not good and not licences.accepted.get(part.key, "").startswith(f"{expression}:"):
            yield f"{part.key} is under {expression}, which a product under Apache-2.0 cannot ship"
        if part.group is None and (own := differs_from_its_word(part, expression)):
            yield f"{part.key} {part.version} says of itself {own!r}, requirements/licences.toml says {expression!r}"
    for key in sorted({*licences.of, *licences.accepted} - {part.key for part in parts}):
        yield f"{key} is in requirements/licences.toml and not shipped: take it out"


def sbom(title: str, parts: tuple[Part, ...], licences: Licences) -> str:
    """The parts as a CycloneDX document: no time in it, and an id that its content gives."""
    make = LicenseFactory()
    root = Component(
        name=ROOT_NAME, description=title, type=ComponentType.APPLICATION, bom_ref=BomRef(ROOT_NAME),
        licenses=[make.make_from_string("Apache-2.0")],
    )  # fmt: skip
    refs = {part.name: BomRef(str(part.purl)) for part in parts}
    bom = Bom(components=[_component(part, refs[part.name], make, licences) for part in parts])
    bom.metadata.component = root
    bom.dependencies = [
        Dependency(root.bom_ref, [Dependency(refs[part.name]) for part in parts if part.is_direct]),
        *(Dependency(refs[part.name], [Dependency(refs[name]) for name in part.needs]) for part in parts),
    ]
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"], document["serialNumber"]
    document["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True))}"
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _component(part: Part, ref: BomRef, make: LicenseFactory, licences: Licences) -> Component:
    """A package of Python comes as one of several files, so their hashes are its distribution's, not its own."""
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in part.hashes]
    page = XsUri(f"https://pypi.org/project/{part.name}/{part.version}/")
    return Component(
        name=part.name,
        group=part.group,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=ref,
        purl=part.purl,
        scope=ComponentScope.EXCLUDED if part.name in BUILD_ONLY else ComponentScope.REQUIRED,
        licenses=[make.make_from_string(licences.of[part.key])],
        hashes=hashes if part.group else (),
        external_references=()
        if part.group
        else [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=page, hashes=hashes)],
    )


def page(image: Iterable[Part], broker: Iterable[Part], licences: Licences) -> str:
    """docs/licences.md."""

    def table(parts: Iterable[Part]) -> str:
        rows = (
            f"| {f'{part.group}:' if part.group else ''}{part.name} | {part.version} | {licences.of[part.key]} |"
            for part in parts
        )
        return "\n".join(["| what | version | licence (SPDX) |", "|---|---|---|", *rows])

    accepted = "\n".join(f"* `{name}`: {why}." for name, why in licences.accepted.items())
    return f"""# Licences of what is shipped

`python scripts/sbom.py` writes this page and the SBOMs in `deploy/sbom` (CycloneDX 1.6) from the pins and from `requirements/licences.toml`.
`scripts/check` refuses a pin without a licence, a page or an SBOM that differs from the pins, a licence other than the one that the installed
package says of itself, and a licence that a product under Apache-2.0 cannot ship.
Allowed are: {", ".join(sorted(licences.allowed))}.

Shipped although their licence is none of these:

{accepted}

What this does not list: the base image (Python and Debian; it has lists of its own), native libraries inside wheels and jars
(their licences lie beside them), and what only `hookline up`, tests and checks install (`requirements/dev.txt`, with a Java runtime).

## The image

`deploy/sbom/image.cdx.json`: the packages of `requirements/image.txt`. `setuptools` builds, and is taken away again.

{table(image)}

## The broker of `hookline up`

`deploy/sbom/broker.cdx.json`: the jars of `hookline/broker/jars.json`, which `hookline up` downloads. They are in no image.

{table(broker)}
"""


def main(arguments: list[str] | None = None) -> int:
    """0 when all is well, 1 with what is not on standard error."""
    parser = argparse.ArgumentParser(prog="python scripts/sbom.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    root: Path = options.root
    image = python_parts((root / "requirements" / "image.txt").read_text())
    broker = jar_parts((root / "hookline" / "broker" / "jars.json").read_text())
    licences = read_licences((root / "requirements" / "licences.toml").read_text())
    wrong = list(faults((*image, *broker), licences))
    if not any("has no licence" in one or "is no SPDX" in one for one in wrong):
        made = {
            "deploy/sbom/image.cdx.json": sbom("The container image", image, licences),
            "deploy/sbom/broker.cdx.json": sbom("The Kafka broker of `hookline up`", broker, licences),
            "docs/licences.md": page(image, broker, licences),
        }
        for name, text in made.items():
            file = root / name
            if not options.check:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            elif not file.exists() or file.read_text() != text:
                wrong.append(f"{name} is not what the pins give: python scripts/sbom.py writes it anew")
    for one in wrong:
        print(f"sbom: {one}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
