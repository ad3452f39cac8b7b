"""Model to JSON Schema: one for each type and version, the same text on every machine."""

import json
from typing import TypeAlias

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import GenerateJsonSchema

from hookline.chain.events import EVENTS, Quarantined
from hookline.chain.pipeline import LogId, Pipeline

__all__ = ["MODELS", "Schema", "all_schemas", "schema_of", "to_text"]

Schema: TypeAlias = dict[str, JsonValue]

MODELS: dict[str, type[BaseModel]] = {
    **EVENTS,
    **{f"hookline.{model.__name__}.v1": model for model in (Quarantined, Pipeline, LogId)},
}
"""`ce_type` to model, of all records with a JSON value."""


class _Generator(GenerateJsonSchema):
    """Without the titles that pydantic makes up from field names ("Push Id"): they say nothing."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def schema_of(ce_type: str, model: type[BaseModel]) -> Schema:
    """JSON Schema 2020-12 of a record's value. Unknown fields are allowed, as readers ignore them (design section 2)."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:{ce_type.replace('.', ':')}",
        **model.model_json_schema(schema_generator=_Generator),
    }


def all_schemas() -> dict[str, Schema]:
    """The schema of every type, by `ce_type`."""
    return {ce_type: schema_of(ce_type, model) for ce_type, model in MODELS.items()}


def to_text(schema: Schema) -> str:
    """As it is checked in."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
