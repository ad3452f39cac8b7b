"""JMESPath expressions of an operator: checked when they are read, so that what fails later is the body's fault."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from pydantic import JsonValue

from hookline.errors import Unreadable

__all__ = ["MAX_EXPRESSION", "Expression"]

MAX_EXPRESSION = 2_000
"""Characters."""

_Node: TypeAlias = dict[str, Any]
"""Of the library's syntax tree."""


class Expression:
    """One expression. Raises ValueError for one that is none, in words that name neither a setting nor a file."""

    def __init__(self, written: str) -> None:
        if len(written) > MAX_EXPRESSION:
            raise ValueError(f"longer than {MAX_EXPRESSION} characters")
        try:
            self._compiled: ParsedResult = jmespath.compile(written)
        except JMESPathError as error:
            raise ValueError(f"not JMESPath: {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise ValueError("not JMESPath: nested too deep") from None
        _check_functions(self._compiled.parsed)

    def find(self, body: JsonValue) -> JsonValue:
        """What it finds; None for nothing. Raises Unreadable where it fails on the body, as functions do on another type."""
        try:
            found: JsonValue = self._compiled.search(body)
        except (JMESPathError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise Unreadable(f"fails on it: {type(error).__name__}") from None
        return found


def _check_functions(root: _Node) -> None:
    """The library looks functions up when it calls them: an optional field with a misspelt one would never be found."""
    for node in _nodes(root):
        if node["type"] != "function_expression":
            continue
        name, given = node["value"], len(node["children"])
        if name not in Functions.FUNCTION_TABLE:
            raise ValueError(f"not JMESPath: there is no function {name}()")
        signature = Functions.FUNCTION_TABLE[name]["signature"]
        is_variadic = bool(signature) and bool(signature[-1].get("variadic"))
        if given < len(signature) or (given > len(signature) and not is_variadic):
            raise ValueError(f"not JMESPath: {name}() takes {len(signature)} arguments, not {given}")


def _nodes(root: _Node) -> Iterator[_Node]:
    left = [root]
    while left:
        node = left.pop()
        yield node
        left += [child for child in node["children"] if isinstance(child, dict)]
