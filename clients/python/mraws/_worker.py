"""What runs on a worker: `python3 FILE mapper|combiner|reducer` reads lines from
standard input, calls the function, and writes lines to standard output.

FILE is a zip archive that _ship has made. It has this package, the function of each
role, and job.json, which describes them.
"""

import itertools
import json
import operator
import os
import sys

from . import _codec

READ = 1 << 16  # bytes: what a pipe holds
BATCH = 1 << 20  # bytes of lines that a batch mapper gets
WRITE = 2000  # lines that are written at once

#: Begins the last line on stderr of a role that failed; JSON follows.
MARK = "mraws-traceback:"
# The engine shows 4 KiB of stderr.
MAX_REPORT = 3900


def blocks(fd, least):
    """Yield whole lines as bytes without the last line break, in blocks of about
    `least` bytes or more but for the last one."""
    parts, size = [], 0
    while True:
        data = os.read(fd, READ)
        if not data:
            break
        size += len(data)
        cut = data.rfind(b"\n") if size >= least else -1
        if cut < 0:
            parts.append(data)
            continue
        parts.append(data[:cut])
        yield b"".join(parts)
        parts, size = [data[cut + 1 :]], len(data) - cut - 1
    rest = b"".join(parts)
    if rest:
        yield rest[:-1] if rest.endswith(b"\n") else rest


class Out:
    """Writes lines to a file descriptor, many at a time."""

    def __init__(self, fd):
        self.fd = fd
        self.lines = []

    def flush(self):
        if not self.lines:
            return
        data = memoryview(("\n".join(self.lines) + "\n").encode(**_codec.ENCODING))
        self.lines.clear()
        while data:
            data = data[os.write(self.fd, data) :]


class Role:
    """A function with what it is called with. `at` says for errors what it was called
    with last."""

    def __init__(self, name, function, about, last):
        self.name = name
        self.function = function
        self.where = f"{name} {about['name']}"
        self.batch = about["batch"]
        self.as_bytes = about["as_bytes"]
        self.last = last  # its lines are the output of the job
        self.at = None

    def run(self, fd, out):
        (self.map if self.name == "mapper" else self.reduce)(fd, out)
        out.flush()

    def map(self, fd, out):
        function, emit = self.function, self.emit
        for block in blocks(fd, BATCH if self.batch else 1):
            lines = block.split(b"\n") if self.as_bytes else block.decode(**_codec.ENCODING).split("\n")
            if self.batch:
                self.at = f"a batch of {len(lines)} lines"
                emit(function(lines), out)
                continue
            for line in lines:
                self.at = line
                result = function(line)
                if result is not None:
                    emit(result, out)
            self.at = None

    def reduce(self, fd, out):
        values = _codec.Values().__getitem__
        lines = itertools.chain.from_iterable(b.decode(**_codec.ENCODING).split("\n") for b in blocks(fd, 1))
        pairs = map(operator.methodcaller("partition", "\t"), lines)
        first, last = operator.itemgetter(0), operator.itemgetter(2)
        for field, group in itertools.groupby(pairs, first):
            key = self.at = _codec.decode_key(field)
            result = self.function(key, map(values, map(last, group)))
            if result is not None:
                self.emit(result, out, key)
        self.at = None

    def emit(self, result, out, *key):
        """Write what a call has returned: pairs, or one; of a reducer the value of
        its key too."""
        if type(result) is tuple:
            result = (result,)
        elif isinstance(result, dict):
            result = result.items()
        elif not hasattr(result, "__next__") and (not hasattr(result, "__iter__") or isinstance(result, (str, bytes, bytearray))):
            if not key and not self.last:
                raise TypeError(f"{self.where} returned {result!r:.100}: a mapper yields or returns pairs (key, value)")
            result = ((key[0], result),) if key else (result,)
        lines, line_of, where = out.lines, _codec.line_of, self.where
        for pair in result:
            line = whole(pair, where) if self.last and isinstance(pair, (str, bytes)) else line_of(pair, where)
            lines.append(line)
            if len(lines) >= WRITE or len(line) > READ:
                out.flush()


def whole(line, where):
    """A line of output that is no pair."""
    if isinstance(line, bytes):
        line = line.decode(**_codec.ENCODING)
    if "\n" in line:
        raise ValueError(f"{where} gave a line with a line break: {line!r:.100}")
    return line


class Refused(Exception):
    """This worker cannot run what was shipped."""


def importable(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


class Archive:
    """The archive that this program was started from."""

    def __init__(self, loader):
        self.read = loader.get_data
        self.job = json.loads(self.read("job.json"))

    def role(self, name):
        about = self.job["roles"][name]
        if about["pickler"] == "cloudpickle" and not importable("cloudpickle"):
            raise Refused(f"the {name} was shipped with cloudpickle, which {sys.executable} on this worker does not have")
        if about["magic"] not in ("", magic()):
            raise Refused(
                f"the {name} was shipped by Python {self.job['python']}, and {sys.executable} on this worker is Python {version()}: "
                "functions of a notebook or a script need the same minor version, functions of a module do not"
            )
        import pickle

        last = name == "reducer" or name == "mapper" and not self.job["reduces"]
        return Role(name, pickle.loads(self.read(name + ".pickle")), about, last)

    def report(self, role):
        """Write the traceback of the exception at hand to stderr, for people, and as
        the last line for the program that waits for the job."""
        import linecache
        import traceback

        for name, text in json.loads(self.read("sources.json")).items():
            lines = text.splitlines(keepends=True)
            linecache.cache.setdefault(name, (len(text), None, lines, name))
        kind, error, tb = sys.exc_info()
        while tb and tb.tb_frame.f_globals.get("__package__") == __package__:
            tb = tb.tb_next  # to the first line of the function, if it was in one
        text = "".join(traceback.format_exception(kind, error, tb))
        if kind is Refused:
            text = f"{error}\n"
        if role is not None:
            text += context(role)
        sys.stderr.write(text)
        for keep in (3400, 1700, 850, 400):
            short = text if len(text) <= keep else text[: keep // 4] + "\n  …\n" + text[-3 * keep // 4 :]
            line = MARK + json.dumps({"traceback": short})
            if len(line) <= MAX_REPORT:
                break
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def context(role):
    """What the function was called with, as a line; "" if that is not known."""
    name = os.environ.get("MRAWS_INPUT", "")
    if role.name == "mapper" and role.at is not None:
        at = role.at if role.batch else f"the line {role.at!r:.200}"
        return f"in the {role.where}, over {at}" + (f" of {name}\n" if name else "\n")
    if role.at is not None:
        return f"in the {role.where}, over the key {role.at!r:.200}\n"
    return f"in the {role.where}\n"


def magic():
    """Names the byte code of this Python."""
    import importlib.util

    return importlib.util.MAGIC_NUMBER.hex()


def version():
    return ".".join(map(str, sys.version_info[:3]))


def main(loader):
    name = sys.argv[1]
    sys.argv[1:] = []
    out = Out(os.dup(1))
    os.dup2(2, 1)  # what the function prints is no output of the job
    archive, role = Archive(loader), None
    try:
        role = archive.role(name)
        role.run(0, out)
        sys.stdout.flush()
    except BaseException:  # an exit too would lose the rest of the input
        archive.report(role)
        os._exit(1)
