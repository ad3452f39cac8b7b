"""Carries a Containerfile's steps out in a folder, without a container engine: the file is the only place that lists them.

It knows the few instructions that deploy/Containerfile uses, and refuses any other rather than passing it over.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

__all__ = ["Image", "carry_out"]

_NO_STEP = frozenset({"ARG", "LABEL", "EXPOSE", "VOLUME"})


@dataclass
class Image:
    """What the last stage leaves: `root` stands for `/`."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def inside(self, text: str) -> str:
        """With the image's own folders put where they really are."""
        return re.sub(r"(?<![\w.])/(opt/hookline|data|src)\b", rf"{self.root}/\1", text)


def carry_out(file: Path, context: Path, root: Path, env: Mapping[str, str]) -> Image:
    """Run all steps with `env` as the base image's environment. Raises CalledProcessError, and ValueError for a step it does not know.

    All stages share `root`: `COPY --from` then finds its files in place, at the path they were made for.
    """
    image = Image(root, dict(env))
    for instruction, rest in _instructions(file.read_text()):
        match instruction:
            case "FROM":
                image = Image(root, dict(env))
            case "ENV":
                name, _, value = rest.partition("=")
                image.env[name] = Template(image.inside(value)).substitute(image.env)
            case "WORKDIR":
                image.workdir = rest
                image.path(rest).mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(image, context, rest.split())
            case "RUN":
                command = image.inside(re.sub(r"--mount=\S+\s+", "", rest))
                subprocess.run(["/bin/sh", "-ec", command], cwd=image.path(image.workdir), env=image.env, check=True)
            case "USER":
                image.user = rest
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case _ if instruction not in _NO_STEP:
                raise ValueError(f"{file.name}: this test does not know {instruction}")
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            instruction, _, rest = line.partition(" ")
            yield instruction, rest.strip()


def _copy(image: Image, context: Path, words: list[str]) -> None:
    if words[0].startswith("--from="):
        if not all(image.path(word).exists() for word in words[1:]) or words[1] != words[2]:
            raise ValueError(f"COPY {' '.join(words)}: only to the same path, which a stage before has made")
        return
    *sources, target = words
    into = image.path(os.path.join(image.workdir, target))
    into.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if (context / source).is_dir():
            shutil.copytree(
                context / source, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )  # what is in the folder, as COPY does
        else:
            shutil.copy(context / source, into)
