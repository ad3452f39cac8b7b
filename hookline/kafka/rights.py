"""What an operator reads of a right that is missing: the same words in the log, in readiness, and from `hookline doctor`."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

__all__ = ["Right", "missing_right"]

Right: TypeAlias = Literal["Read", "Write", "Delete", "Describe", "DescribeConfigs"]
"""As Kafka names it."""

DOES: Mapping[Right, str] = {
    "Read": "read",
    "Write": "write to",
    "Delete": "delete records of",
    "Describe": "see",
    "DescribeConfigs": "see the settings of",
}


def missing_right(name: str, right: Right, kind: Literal["topic", "group"] = "topic") -> str:
    """name: of the topic or group, in Kafka."""
    return (
        f"Kafka does not let us {DOES[right]} {name}: give our Kafka user the right {right} on it (kafka-acls.sh --add"
        f" --allow-principal User:... --operation {right} --{kind} {name})"
    )
