"""The program mraws as a child process."""

import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

from ._errors import BinaryNotFound, JobError
from ._progress import Progress
from ._worker import MARK

_log = logging.getLogger("mraws")

STOP = 15  # seconds that the program has to end after a signal; it takes at most 10
TICK = 0.5  # seconds between updates of the progress
JOB_FAILED = 4  # the exit code of a job that failed

# Starts the program so that it gets SIGINT when this process dies, however it does.
# Arguments: the pid of this process, program, its arguments.
_TIED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 2, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def find(binary=None):
    """Return the path of the program: the argument, MRAWS_BINARY, or mraws in PATH.
    Raises BinaryNotFound."""
    for value, source in ((binary, "binary="), (os.environ.get("MRAWS_BINARY"), "MRAWS_BINARY")):
        if value:
            path = shutil.which(os.path.expanduser(os.fspath(value)))
            if path is None:
                raise BinaryNotFound(f"{source} names {os.fspath(value)!r}, which is no program that can be started")
            return os.path.abspath(path)
    path = shutil.which("mraws")
    if path is None:
        raise BinaryNotFound(
            "the program mraws is not in PATH. Build it in the source tree of mraws with Go 1.26, `go build -o mraws .`, "
            "and put it into a folder of PATH, name it in the variable MRAWS_BINARY, or give run() binary="
        )
    return os.path.abspath(path)


def environment():
    return {k: v for k, v in os.environ.items() if k != "MRAWS_BINARY"}


def call(argv, show=lambda p: None):
    """Run a command of the program to its end and return what it prints, bytes.

    show gets a Progress now and then. Raises JobError. If this thread is interrupted,
    by Ctrl-C or by an exception of show, the command is stopped first.
    """
    command = argv
    if sys.platform == "linux" and sys.executable:
        command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *argv]
    try:
        # A session of its own: Ctrl-C reaches this process, which passes it on once.
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True
        )
    except OSError as e:
        raise BinaryNotFound(f"{argv[0]} cannot be started: {e}") from e
    try:
        output, said = _follow(child, show)
        code = child.wait()
    except BaseException:
        stop(child)
        raise
    finally:
        child.stdout.close()
        child.stderr.close()
    if code != 0:
        raise said.error(code, argv)
    return output


def stop(child):
    """Interrupt a child and wait until it has ended. A second Ctrl-C kills it."""
    try:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=STOP)  # what it still says must not fill the pipe
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def _follow(child, show):
    """Read both streams of a child to their ends."""
    said, output, rest = _Said(), [], b""
    began = time.monotonic()
    shown = Progress("", 0, 0, 0.0)
    with selectors.DefaultSelector() as ready:
        for stream in (child.stdout, child.stderr):
            ready.register(stream, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select(TICK):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    ready.unregister(key.fileobj)
                if key.fileobj is child.stdout:
                    output.append(data)
                    continue
                *lines, rest = (rest + data).split(b"\n")
                for line in lines + ([rest] if not data and rest else []):
                    doc = said.line(line.decode("utf-8", "replace"))
                    if doc:
                        shown.phase, shown.done, shown.total = doc["what"], doc["done"], doc["total"]
            shown.seconds = time.monotonic() - began
            show(shown)
    return b"".join(output), said


class _Said:
    """What a command says on stderr."""

    def __init__(self):
        self.failure = None
        self.lines = []  # of no known kind, the last few

    def line(self, text):
        """Take a line, and return it if it is progress."""
        try:
            doc = json.loads(text)
        except ValueError:
            doc = None
        if not isinstance(doc, dict):
            if text.strip():
                self.lines = self.lines[-9:] + [text]
                _log.debug("%s", text)
            return None
        schema = doc.get("schema")
        if schema == "mraws/progress/v1":
            return doc
        if schema == "mraws/error/v1":
            self.failure = doc
        elif "level" in doc:
            self.log(doc)
        return None

    @staticmethod
    def log(doc):
        """Log a line of the log. That an attempt failed is no warning: it is in the
        error if the job fails, and else another attempt did its work."""
        level = logging.WARNING if doc["level"] in ("warn", "error", "fatal", "panic") and "attempt" not in doc else logging.INFO
        fields = ", ".join(f"{k} {v}" for k, v in doc.items() if k not in ("level", "message", "time", "err"))
        err = remote(str(doc["err"]).split("\n"))[1] if "err" in doc else ""
        _log.log(level, "%s", "\n".join(filter(None, (f"{doc.get('message', '')}: {fields}" if fields else doc.get("message", ""), err))))

    def error(self, code, argv):
        name = f"{os.path.basename(argv[0])} {argv[1]}"
        if self.failure is None:
            return JobError(f"{name} has failed", code, self.lines)
        traceback, _ = remote(self.failure.get("causes", []))
        causes = [c for c in self.failure.get("causes", []) if not _bare(c).startswith(MARK)]
        if traceback:  # whose lines are among the causes, without their indentation
            causes = causes[:1]
        return JobError(self.failure.get("error", name + " has failed"), code, causes, self.failure.get("hint", ""), traceback)


def _bare(line):
    """A line of stderr as the program shows it, without what stands before it."""
    return line.strip().removeprefix("stderr: ")


def remote(lines):
    """Return the traceback that lines of stderr have, None if there is none, and the
    same as text for people: that or else the lines."""
    for line in reversed(lines):
        line = _bare(line)
        if line.startswith(MARK):
            try:
                traceback = json.loads(line[len(MARK) :])["traceback"]
            except (ValueError, KeyError, TypeError):
                continue
            return traceback, traceback
    return None, "\n".join(lines)
