"""What the tests share."""

import collections
import os
import random
import tempfile
import time
import unittest

import mraws

WORDS = ["the", "cat", "Ünïcödé", "猫", "42", "true", "-1.5e3", "[x", '"quoted', "a\\b", "007", "null", "2024-01-01"]


def text(lines, seed=1):
    """Lines of random words, as one str."""
    r = random.Random(seed)
    return "".join(" ".join(r.choice(WORDS) for _ in range(r.randrange(12))) + "\n" for _ in range(lines))


def count(s):
    return collections.Counter(s.split())


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_job(self, *args, **options):
        """Run a job with few processes."""
        result = mraws.run(*args, **{"nreduce": 2, "workers": 2, **options})
        self.addCleanup(result.close)
        return result


def processes(mark):
    """Command lines by pid of the processes, but for this one, whose variable
    CLIENT_TEST has that value."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                environment = f.read().split(b"\0")
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if int(pid) != os.getpid() and f"CLIENT_TEST={mark}".encode() in environment and line:
            found[int(pid)] = line
    return found


def wait_for(condition, what, seconds=60):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
