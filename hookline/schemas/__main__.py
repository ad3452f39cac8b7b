"""`python -m hookline.schemas [--check] [FOLDER]`: write the schemas, or say what is wrong with them (`scripts/schemas`)."""

import argparse
import sys
from pathlib import Path

from hookline.schemas import folder
from hookline.schemas.models import all_schemas


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/schemas",
        description="Write the JSON Schema of every event from its model. Writes nothing where a change would need a new version.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 when a model and its schema differ"
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("schemas"), help="default: schemas")
    arguments = parser.parse_args()
    schemas = all_schemas()
    problems = (folder.check if arguments.check else folder.conflicts)(arguments.folder, schemas)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if problems:
        return 1
    if not arguments.check:
        for path in folder.write(arguments.folder, schemas):
            sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
