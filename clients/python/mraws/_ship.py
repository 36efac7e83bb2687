"""Functions to a file that workers run.

The file is a zip archive, which Python runs and imports from. It has the function of
each role, this package, and the modules of this machine that the functions come from
or import: those that were not installed (docs/decisions/0068).

A function of an importable module is named, and the source of the module shipped. Any
other function, of a notebook, a script, a lambda or one defined in a function, goes
as byte code with the globals, defaults and variables of outer functions that it uses.
"""

import ast
import dis
import importlib
import importlib.util
import io
import json
import linecache
import marshal
import os
import pickle
import re
import site
import sys
import sysconfig
import types
import zipfile

from . import _capsule, _worker
from ._errors import ShipError

ROLES = ("mapper", "combiner", "reducer")
_MAX_MODULES = 64 << 20  # bytes of source
_MAX_SOURCE = 256 << 10  # characters of a file that is shipped for tracebacks
_PACKAGE = __name__.rpartition(".")[0]
_HERE = os.path.dirname(os.path.abspath(__file__))


def archive(functions, reduces, batch=None, as_bytes=None):
    """Return the file, bytes, for a dict from role to function.

    reduces says whether the job has a reducer of any kind. batch and as_bytes say what
    the mapper takes, None for what it is marked with. Raises ShipError.
    """
    shipped = _Shipped()
    about, data = {}, {}
    for role in ROLES:
        if role not in functions:
            continue
        f = functions[role]
        if not callable(f):
            raise ShipError(f"{role} is {f!r:.100}: it must be a function, or a command as str")
        data[role], pickler, by_value = shipped.pickle(role, f)
        about[role] = {
            "name": getattr(f, "__qualname__", type(f).__name__),
            "pickler": pickler,
            "magic": _worker.magic() if by_value else "",
            "batch": bool(getattr(f, "__mraws_batch__", False) if batch is None else batch),
            "as_bytes": bool(getattr(f, "__mraws_bytes__", False) if as_bytes is None else as_bytes),
        }
    job = {"python": _worker.version(), "roles": about, "reduces": reduces}
    members = {
        "__main__.py": b"from mraws import _worker\n_worker.main(__loader__)\n",
        "job.json": json.dumps(job, sort_keys=True).encode(),
        "sources.json": json.dumps(shipped.sources, sort_keys=True).encode(),
        **{role + ".pickle": d for role, d in data.items()},
        **shipped.modules,
        **_own(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name in sorted(members):
            z.writestr(zipfile.ZipInfo(name), members[name])  # of 1980: the same functions give the same bytes
    return out.getvalue()


def _own():
    """This package, which modules that are shipped may import. What every worker
    imports has byte code for this Python too."""
    members = {}
    for file in os.listdir(_HERE):
        name, kind = os.path.splitext(file)
        if kind != ".py":
            continue
        with open(os.path.join(_HERE, file), "rb") as f:
            source = members[f"mraws/{file}"] = f.read()
        if name in ("__init__", "_codec", "_capsule", "_worker"):
            code = compile(source, f"mraws/{file}", "exec", dont_inherit=True, optimize=0)
            flags = (1).to_bytes(4, "little")  # PEP 552: a hash of the source, which is not checked
            members[f"mraws/{name}.pyc"] = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code, 2)
    return members


class _Shipped:
    """What the functions of one job need besides themselves."""

    def __init__(self):
        self.modules = {}  # from path in the archive to source
        self.sources = {}  # from file name in byte code to text, for tracebacks
        self.seen = set()  # top-level names of modules
        self.namespaces = {}  # from id of a dict of globals to its number
        self.kept = []  # so that no id is given twice

    def pickle(self, role, f):
        """Return a function as bytes, with what, and whether byte code is in it."""
        try:
            own = _Pickler(self)
            return own.bytes(f), "own", own.by_value
        except Exception as e:  # pickle raises what it likes
            why = e
        try:
            import cloudpickle
        except ImportError:
            pass
        else:
            try:
                return cloudpickle.dumps(f), "cloudpickle", True
            except Exception as e:
                why = e
        raise ShipError(f"{role}: {self.blame(f) or why}. Make it inside the function, or move the code into a module. Where workers have cloudpickle too it is used: pip install cloudpickle") from why

    def blame(self, f):
        """Name the object that keeps f from being shipped, "" if that is unclear."""
        path, seen = [], set()
        while True:
            if not isinstance(f, types.FunctionType):
                return f"{_describe(f)} cannot be shipped"
            path.append(f.__qualname__)
            seen.add(id(f))
            for name, value in _captured(f):
                if id(value) in seen:
                    continue
                try:
                    _Pickler(_Shipped()).bytes(value)
                except Exception as e:
                    if isinstance(value, types.FunctionType):
                        f = value
                        break
                    return f"function {' -> '.join(path)} uses {name}, {_describe(value)}, which cannot be shipped ({e})"
            else:
                return ""

    def add_module(self, name):
        """Take the source of the top-level module or package of a name, unless it is
        installed, and of what it imports."""
        top = name.partition(".")[0]
        if top in self.seen:
            return
        self.seen.add(top)
        for file, path in _local_files(top):
            with open(file, "rb") as f:
                source = f.read()
            self.modules[path] = source
            if sum(map(len, self.modules.values())) > _MAX_MODULES:
                raise ShipError(f"the modules to ship have more than {_MAX_MODULES >> 20} MiB: is {os.path.dirname(file)} the folder of a package?")
            for imported in _imports(source, file):
                self.add_module(imported)

    def namespace(self, f):
        """The number of the globals of a function."""
        key = id(f.__globals__)
        if key not in self.namespaces:
            self.kept.append(f.__globals__)
            self.namespaces[key] = len(self.namespaces)
        return self.namespaces[key]

    def add_source(self, original, name):
        if name in self.sources:
            return
        text = "".join(linecache.getlines(original))
        if text and len(text) <= _MAX_SOURCE:
            self.sources[name] = text


# The pickler in Python asks reducer_override for every object, sets too; the one
# in C does not.
class _Pickler(pickle._Pickler):
    def __init__(self, shipped):
        self.out = io.BytesIO()
        super().__init__(self.out, protocol=4)
        self.shipped = shipped
        self.by_value = False

    def bytes(self, f):
        self.dump(f)
        return self.out.getvalue()

    def reducer_override(self, x):
        if type(x) in (set, frozenset):  # their order is another one in each process
            return type(x), (sorted(x, key=repr),)
        if isinstance(x, types.FunctionType):
            if _importable(x):
                self.shipped.add_module(x.__module__)
                return NotImplemented
            return self.function(x)
        if isinstance(x, types.ModuleType):
            if x.__name__ == "__main__":
                raise ShipError("module __main__ cannot be shipped")
            self.shipped.add_module(x.__name__)
            return _capsule.module, (x.__name__,)
        if isinstance(x, type):
            if x.__module__ == "__main__" or not _importable(x):
                raise ShipError(f"class {x.__qualname__} of {x.__module__} cannot be shipped, since workers cannot import it")
            self.shipped.add_module(x.__module__)
        return NotImplemented

    def function(self, f):
        self.by_value = True
        code = _renamed(f.__code__)
        self.shipped.add_source(f.__code__.co_filename, code.co_filename)
        for name in _imported_names(f.__code__):
            self.shipped.add_module(name)
        cells, names = {}, {}
        for i, cell in enumerate(f.__closure__ or ()):
            try:
                cells[i] = cell.cell_contents
            except ValueError:  # it has none yet
                pass
        for name in _global_names(f.__code__):
            if name in f.__globals__:
                names[name] = f.__globals__[name]
        state = {
            "globals": names,
            "defaults": f.__defaults__,
            "kwdefaults": f.__kwdefaults__,
            "qualname": f.__qualname__,
            "dict": f.__dict__,
            "cells": cells,
        }
        # 2 is the last version without marks that depend on reference counts.
        made = (marshal.dumps(code, 2), self.shipped.namespace(f), f.__module__ or "", f.__name__, len(f.__closure__ or ()))
        return _capsule.function, made, state, None, None, _capsule.fill


def _importable(x):
    """Whether a worker that has its module finds x there."""
    module = sys.modules.get(x.__module__ or "")
    if module is None or x.__module__ in ("__main__", "__mp_main__"):
        return False
    found = module
    for part in x.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not x:
        return False
    top = x.__module__.partition(".")[0]
    return x.__module__ in sys.builtin_module_names or _spec(top) is not None


def _spec(top):
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None


def _installed():
    """The folders whose modules workers have."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = [sysconfig.get_path(k) for k in keys] + site.getsitepackages() + [site.getusersitepackages()]
    return tuple({os.path.realpath(p) + os.sep for p in paths if p})


def _local_files(top):
    """Return (file, path in the archive) of a module or package of this machine, [] if
    it is installed or there is none."""
    if top in sys.builtin_module_names or top in (_PACKAGE, "__main__", "cloudpickle"):
        return []
    spec = _spec(top)
    if spec is None or spec.origin in ("built-in", "frozen"):
        return []
    where = [spec.origin] if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    if any(w is None or os.path.realpath(w).startswith(_installed()) or "site-packages" in w or "dist-packages" in w for w in where):
        return []
    if spec.submodule_search_locations is None:
        if not spec.origin.endswith(".py"):
            raise ShipError(f"module {top} cannot be shipped: {spec.origin} is no Python source. Install it on workers")
        return [(spec.origin, top + ".py")]
    files = []
    for folder in where:
        for at, dirs, names in os.walk(folder):
            dirs[:] = sorted(d for d in dirs if d != "__pycache__" and not d.startswith("."))
            inside = os.path.relpath(at, folder)
            for name in sorted(names):
                if name.endswith(".py"):
                    files.append((os.path.join(at, name), "/".join([top] + ([] if inside == "." else inside.split(os.sep)) + [name])))
    return files


def _imports(source, file):
    """The top-level names that a source imports, at any place."""
    try:
        tree = ast.parse(source, file)
    except SyntaxError:
        return []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return sorted(names)


def _codes(code):
    """A code object with those inside it."""
    yield code
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield from _codes(c)


def _global_names(code):
    """The names of globals that code uses, sorted."""
    return sorted({i.argval for c in _codes(code) for i in dis.get_instructions(c) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")})


def _imported_names(code):
    """The modules that code imports when it runs, sorted."""
    return sorted({i.argval.partition(".")[0] for c in _codes(code) for i in dis.get_instructions(c) if i.opname == "IMPORT_NAME"} - {""})


def _captured(f):
    """(name, object) of what a function uses."""
    if _importable(f):
        return
    for name in _global_names(f.__code__):
        if name in f.__globals__:
            yield name, f.__globals__[name]
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:
            pass
    for value in f.__defaults__ or ():
        yield "as a default", value
    for name, value in (f.__kwdefaults__ or {}).items():
        yield name, value


_CELL = re.compile(r".*[/\\]ipykernel_[0-9]+[/\\]")


def _renamed(code):
    """Code whose file name does not have the process of a notebook in it."""
    name = _CELL.sub("cell ", code.co_filename)
    if name == code.co_filename:
        return code
    consts = tuple(_renamed(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_filename=name, co_consts=consts)


def _describe(x):
    if isinstance(x, (types.FunctionType, type)):
        return f"{'class' if isinstance(x, type) else 'function'} {x.__qualname__} of {x.__module__}"
    kind = type(x)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"an object of type {name}"
