"""The tree of errors is drawn as it is."""

import inspect

from hookline import errors


def drawn() -> dict[str, str]:
    """Class to its base, as the docstring of hookline/errors.py draws them."""
    above: list[tuple[int, str]] = []
    found: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        name, _, words = line.strip().partition(" ")
        if not line.startswith("    ") or not hasattr(errors, name):
            continue
        depth = len(line) - len(line.lstrip())
        above = [(other, base) for other, base in above if other < depth]
        if above:
            found[name] = above[-1][1]
            assert words.strip(), f"{name} is drawn without a word"
        above.append((depth, name))
    return found


def test_drawing_and_classes_are_equal() -> None:
    classes = {
        name: made.__bases__[0].__name__
        for name, made in inspect.getmembers(errors, inspect.isclass)
        if made.__module__ == errors.__name__ and made is not errors.HooklineError
    }
    assert drawn() == classes
    assert set(errors.__all__) == {*classes, "HooklineError"}
