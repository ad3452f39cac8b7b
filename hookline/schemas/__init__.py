"""JSON Schemas of everything that is written to a topic as JSON: made from the models, kept in `schemas/`, compared with every earlier version."""
