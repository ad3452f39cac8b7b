"""The folder `schemas/`: the schema of each type as it is now, and every shape it ever had.

    <type>.json                 as the model is now
    history/<type>/<n>.json     its n-th shape, from 1; the last one is the present one

The history needs no git, and so works in any clone. A file of it is never changed; only the change that added one may
take it back before it is merged.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from hookline.schemas.compatibility import incompatibilities, same_shape
from hookline.schemas.models import Schema, to_text

__all__ = ["check", "conflicts", "write"]

RUN = "run scripts/schemas and commit what it wrote"


def conflicts(folder: Path, schemas: Mapping[str, Schema]) -> list[str]:
    """What no tool can mend: models that broke with a shape of their past, published types without a model, lost history."""
    return [*_broken(folder, schemas), *_orphans(folder, schemas), *_gaps(folder)]


def check(folder: Path, schemas: Mapping[str, Schema]) -> list[str]:
    """Conflicts, and files that are not as `write` would make them; a sentence each, with what to do."""
    return [*conflicts(folder, schemas), *_stale(folder, schemas)]


def write(folder: Path, schemas: Mapping[str, Schema]) -> list[Path]:
    """Bring the folder up to date; the files that were written. To be called only when there are no conflicts."""
    written = []
    for ce_type, schema in schemas.items():
        places = [_current(folder, ce_type)]
        shapes = _history(folder, ce_type)
        if not shapes or not same_shape(shapes[-1], schema):
            places.append(folder / "history" / ce_type / f"{len(shapes) + 1}.json")
        for place in places:
            if not place.exists() or place.read_text() != to_text(schema):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(to_text(schema))
                written.append(place)
    return written


def _broken(folder: Path, schemas: Mapping[str, Schema]) -> Iterator[str]:
    for ce_type, schema in schemas.items():
        for number, shape in enumerate(_history(folder, ce_type), 1):
            for problem in incompatibilities(shape, schema):
                yield (
                    f"{ce_type}: not compatible with history/{ce_type}/{number}.json: {problem}. "
                    "Take the change back, or make the next version (a model of its own; read by every service one release before any writes it)"
                )


def _orphans(folder: Path, schemas: Mapping[str, Schema]) -> Iterator[str]:
    known = {path.stem for path in folder.glob("*.json")} | {path.name for path in folder.glob("history/*")}
    for ce_type in sorted(known - schemas.keys()):
        yield f"{ce_type}: has a schema and no model; records of it may be in a topic, so keep the model"


def _gaps(folder: Path) -> Iterator[str]:
    for history in sorted(folder.glob("history/*")):
        names = [file.name for file in _numbered(history)]
        if lost := [f"{n}.json" for n in range(1, len(names) + 1) if f"{n}.json" not in names]:
            yield f"{history.name}: history/{history.name}/{lost[0]} is lost; bring it back, shapes are numbered without a gap"


def _stale(folder: Path, schemas: Mapping[str, Schema]) -> Iterator[str]:
    for ce_type, schema in schemas.items():
        current = _current(folder, ce_type)
        if not current.exists() or current.read_text() != to_text(schema):
            yield f"{ce_type}: {current.name} is not as the model is; {RUN}"
        shapes = _history(folder, ce_type)
        if not shapes or not same_shape(shapes[-1], schema):
            yield f"{ce_type}: its present shape is not in history/{ce_type}/; {RUN}"


def _current(folder: Path, ce_type: str) -> Path:
    return folder / f"{ce_type}.json"


def _history(folder: Path, ce_type: str) -> list[Schema]:
    """Its shapes, oldest first."""
    return [json.loads(file.read_text()) for file in _numbered(folder / "history" / ce_type)]


def _numbered(history: Path) -> list[Path]:
    return sorted(history.glob("*.json"), key=lambda file: int(file.stem))
