"""Reads the source of a module of the command line for printers of text that did not go through `plain`.

What may be printed: constants, numbers, what `plain` and its kin give, renderables, and what is made of these alone, also by
way of a name or a function of the module. All else is told.
"""

import ast
from collections.abc import Iterator

__all__ = ["unguarded"]

PRINTERS = frozenset({"print", "add_row", "say", "_say", "_more", "_line", "_print"})
"""Functions and methods whose every argument is Rich markup; inside them their own parameters are what callers answer for."""
GUARDS = frozenset({"plain", "plain_lines", "plain_hanging", "plain_masked", "shown_path"})
NUMBERS = frozenset({"len", "int", "round", "sum", "min", "max"})
RENDERABLES = frozenset({"Table", "Rule", "from_ansi"})
RAW = frozenset(
    {f"sys.{stream}.{way}" for stream in ("stdout", "stderr") for way in ("write", "writelines", "buffer")}
    | {f"{library}.{way}" for library in ("typer", "click") for way in ("echo", "secho", "get_binary_stream")}
    | {"traceback.print_exc", "os.write"}
)
"""Ways to a terminal that go round the console."""
NUMBER_ENDS = tuple("fdgeS%,")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def unguarded(source: str) -> Iterator[tuple[int, str]]:
    """Line and expression of each."""
    yield from _Module(ast.parse(source)).faults()


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}
        self._constants = {
            target.id: value
            for node in tree.body
            for target, value in _assigned(node)
            if isinstance(target, ast.Name) and value is not None
        }
        self._asking: set[str] = set()

    def faults(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.markup":
                yield node.lineno, "rich.markup: `plain` does it"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "Console"):
                yield node.lineno, ast.unparse(node)
            if isinstance(node, ast.Attribute) and ast.unparse(node) in RAW:
                yield node.lineno, ast.unparse(node)
        for function in self._functions.values():
            yield from self._printed(function)

    def _printed(self, function: Function) -> Iterator[tuple[int, str]]:
        for node in _own(function):
            if isinstance(node, ast.Call) and _prints(node.func):
                for argument in node.args:
                    if not self._is_safe(argument, function):
                        yield node.lineno, ast.unparse(argument)

    def _is_safe(self, node: ast.expr, within: Function) -> bool:
        def safe(*parts: ast.expr) -> bool:
            return all(self._is_safe(part, within) for part in parts)

        match node:
            case ast.Constant():
                return True
            case ast.JoinedStr(values=values):
                return all(self._is_safe_part(value, within) for value in values)
            case ast.IfExp(body=body, orelse=orelse):
                return safe(body, orelse)
            case ast.BoolOp(values=values):
                return safe(*values)
            case ast.BinOp(left=left, right=right):
                return safe(left, right)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                return safe(*elts)
            case ast.Dict(values=values):
                return safe(*values)
            case ast.Starred(value=value) | ast.Subscript(value=value) | ast.NamedExpr(value=value):
                return safe(value)
            case ast.GeneratorExp(elt=elt):
                return safe(elt)
            case ast.Call():
                return self._is_safe_call(node, within)
            case ast.Name(id=name):
                return self._is_safe_name(name, within)
        return False

    def _is_safe_part(self, value: ast.expr, within: Function) -> bool:
        if not isinstance(value, ast.FormattedValue):
            return True
        spec = ast.unparse(value.format_spec)[2:-1] if value.format_spec is not None else ""
        return spec.endswith(NUMBER_ENDS) or self._is_safe(value.value, within)

    def _is_safe_call(self, call: ast.Call, within: Function) -> bool:
        name = _name(call.func)
        if name in GUARDS | NUMBERS:
            return True
        if name in RENDERABLES:
            return all(self._is_safe(argument, within) for argument in call.args) or name == "from_ansi"
        if name == "map" and isinstance(call.args[0], ast.Name):
            return call.args[0].id in GUARDS
        if name == "join" and isinstance(call.func, ast.Attribute):
            return self._is_safe(call.args[0], within)
        if name in ("get", "pop") and isinstance(call.func, ast.Attribute):
            return self._is_safe(call.func.value, within) and all(self._is_safe(a, within) for a in call.args[1:])
        function = self._functions.get(name)
        if function is None or name in self._asking:
            return False
        self._asking.add(name)
        returned = [node.value for node in _own(function) if isinstance(node, ast.Return) and node.value is not None]
        good = bool(returned) and all(self._is_safe(value, function) for value in returned)
        self._asking.discard(name)
        return good

    def _is_safe_name(self, name: str, within: Function) -> bool:
        for parameter in (*within.args.args, *within.args.kwonlyargs):
            if parameter.arg == name:
                kind = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
                return kind in ("int", "float", "Console", "Table") or within.name in PRINTERS
        values = [value for node in _own(within) for target, value in _assigned(node) if ast.unparse(target) == name]
        key = f"{within.name}.{name}"
        if key in self._asking:
            return True  # the loop that it is set in again: judged where it begins
        self._asking.add(key)
        try:
            if values:
                return all(value is not None and self._is_safe(value, within) for value in values)
            value = self._constants.get(name)
            return value is not None and self._is_safe(value, within)
        finally:
            self._asking.discard(key)


def _own(function: Function) -> Iterator[ast.AST]:
    """Its nodes, without those of functions in it."""
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        yield node
        todo += [one for one in ast.iter_child_nodes(node) if not isinstance(one, Function)]


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Target and value; None: a value that is not told, as that of a loop."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            yield from zip(targets, values, strict=True)
        case ast.Assign(targets=[ast.Tuple(elts=targets)]):
            yield from ((target, None) for target in targets)
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=value) | ast.AugAssign(target=target, value=value):
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.For(target=ast.Name() as target, iter=ast.Tuple() as value):
            yield target, value
        case ast.For(target=ast.Tuple(elts=[ast.Name() as target, _]), iter=ast.Call(func=ast.Name(id="enumerate"))):
            yield target, ast.Constant(0)
        case ast.For(target=target) | ast.comprehension(target=target):
            yield from ((name, None) for name in ast.walk(target) if isinstance(name, ast.Name))


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _prints(function: ast.expr) -> bool:
    """`show` is what modules call a console's `print` of their own."""
    match function:
        case ast.Attribute(attr=name):
            return name in PRINTERS
        case ast.Name(id=name):
            return name == "show"
    return False
