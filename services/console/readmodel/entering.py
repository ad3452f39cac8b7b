"""The one place where a record's values enter the read model: rows as both databases take them, and the same in both.

What a column may hold says its `info` (`services.console.readmodel.schema`): a name is cut and cleaned, a document is cleaned, a number
that is only shown is brought into its column's range. Of what rows are found by (ids, offsets) nothing may be changed, so a value that
does not fit is refused: its record is set aside.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias, TypeVar

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table

from hookline.chain.kept_text import KEPT, clean_text, kept_text
from hookline.errors import RowRefused
from services.console.readmodel.schema import DOCUMENT, NAME, SHOWN

__all__ = ["Row", "entering", "may_be_id"]

Row: TypeAlias = dict[str, object]
"""Column to value."""

Rule: TypeAlias = Callable[[object], object]
Kind = TypeVar("Kind")

LARGEST = {Integer: 2**31 - 1, BigInteger: 2**53}
"""Of numbers in a column, with their sign: PostgreSQL's INTEGER, and what JSON's readers take for exact."""


def entering(table: Table, row: Mapping[str, object]) -> Row:
    """That row, or those columns of it, as they are kept. Raises RowRefused, which names the column."""
    rules = _rules(table)
    return {name: None if value is None else rules[name](value) for name, value in row.items()}


def may_be_id(column: Column[str], text: str) -> bool:
    """Could a row have it? Else the database is not asked: it refuses the question as it refuses the row."""
    length = column.type.length if isinstance(column.type, String) else None
    return len(text) <= (length or KEPT) and clean_text(text) == text


@cache
def _rules(table: Table) -> dict[str, Rule]:
    return {column.name: _rule(column) for column in table.columns}


def _rule(column: Column[object]) -> Rule:
    kind: object = column.type
    match kind:
        case String() if column.info == NAME:
            return lambda value: kept_text(_of(str, value, column))
        case String() if column.info == DOCUMENT:
            return lambda value: clean_text(_of(str, value, column))
        case String(length=length):
            return lambda value: _id(_of(str, value, column), length or KEPT, column)
        case Boolean() | LargeBinary():
            return lambda value: value
        case Integer():
            largest = LARGEST[type(kind)]
            if column.info == SHOWN:
                return lambda value: max(-largest, min(_of(int, value, column), largest))
            return lambda value: _number(_of(int, value, column), largest, column)
        case _:
            raise TypeError(f"{column}: no rule for {kind!r}")


def _of(kind: type[Kind], value: object, column: Column[object]) -> Kind:
    if not isinstance(value, kind):
        raise RowRefused(f"{column.name} is no {kind.__name__}")
    return value


def _id(text: str, length: int, column: Column[object]) -> str:
    if len(text) > length:
        raise RowRefused(f"{column.name} has {len(text)} characters, at most {length} fit")
    if clean_text(text) != text:
        raise RowRefused(f"{column.name} has characters that no database accepts")
    return text


def _number(value: int, largest: int, column: Column[object]) -> int:
    if not -largest <= value <= largest:
        raise RowRefused(f"{column.name} is a number that is too large")
    return value
