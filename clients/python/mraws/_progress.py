"""How far a job is, on a terminal or in a notebook."""

import sys
import time


class Progress:
    """How far a job is.

    phase    "upload", "map" or "reduce"; "done" once, when the job has succeeded
    done     bytes of an upload, else tasks
    total    the same
    seconds  since the job was started
    """

    __slots__ = ("phase", "done", "total", "seconds")

    def __init__(self, phase, done, total, seconds):
        self.phase, self.done, self.total, self.seconds = phase, done, total, seconds

    def __repr__(self):
        return f"Progress(phase={self.phase!r}, done={self.done}, total={self.total}, seconds={self.seconds:.1f})"

    def __str__(self):
        if not self.phase:
            return f"mraws: starting, {self.seconds:.0f} s"
        unit = "MB" if self.phase == "upload" else "tasks"
        scale = 1e6 if self.phase == "upload" else 1
        percent = 100 * self.done // self.total if self.total else 0
        return f"mraws: {self.phase} {percent}%, {self.done / scale:.0f} of {self.total / scale:.0f} {unit}, {self.seconds:.0f} s"


def shower(progress):
    """What is called with a Progress now and then, and with a last line as str.

    progress is True, False, None for "where a person reads it", or a function, which
    gets no last line.
    """
    if callable(progress):
        return lambda p: None if isinstance(p, str) else progress(p)
    stream = sys.stdout if _notebook() else sys.stderr
    if progress is False or progress is None and not (_notebook() or stream.isatty()):
        return lambda p: None
    return _Line(stream)


def _notebook():
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


class _Line:
    """One line that is written over and over."""

    def __init__(self, stream):
        self.stream = stream
        self.width = 0
        self.last = 0.0

    def __call__(self, p):
        final = isinstance(p, str)
        now = time.monotonic()
        if not final and now - self.last < 0.2:
            return
        self.last = now
        text = str(p)
        self.stream.write("\r" + text.ljust(self.width) + ("\n" if final and text else ""))
        self.stream.flush()
        self.width = len(text)
