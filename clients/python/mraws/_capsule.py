"""Functions as data, on the side that reads it. _ship writes what is read here."""

import marshal
import types

_namespaces = {}  # of the functions that were made, by the number of the original


def namespace(number, name):
    """The globals of the functions that shared theirs."""
    if number not in _namespaces:
        _namespaces[number] = {"__name__": name, "__builtins__": __builtins__}
    return _namespaces[number]


def function(code, number, module, name, cells):
    """A function without its globals, defaults and the contents of its cells, which
    fill sets: these may refer to the function."""
    closure = tuple(types.CellType() for _ in range(cells))
    return types.FunctionType(marshal.loads(code), namespace(number, module), name, None, closure)


def fill(f, state):
    """Set what function left out."""
    f.__globals__.update(state["globals"])
    f.__defaults__ = state["defaults"]
    f.__kwdefaults__ = state["kwdefaults"]
    f.__qualname__ = state["qualname"]
    f.__dict__.update(state["dict"])
    for i, content in state["cells"].items():
        f.__closure__[i].cell_contents = content


def module(name):
    """An imported module."""
    import importlib

    return importlib.import_module(name)
