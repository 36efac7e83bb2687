"""The temporary folder of a job."""

import contextlib
import fcntl
import os
import shutil
import tempfile

_PREFIX = "mraws-py-"
_LOCK = "lock"  # is locked as long as the process lives that has the folder


class Folder(tempfile.TemporaryDirectory):
    """A temporary folder that goes when nothing refers to it, or Python ends. What a
    Python left behind that was killed goes when the next folder is made.

    name     its path
    removed  whether it is gone
    """

    def __init__(self):
        _sweep()
        super().__init__(prefix=_PREFIX)
        self.removed = False
        new = os.path.join(self.name, _LOCK + ".new")
        self._lock = open(new, "wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(new, os.path.join(self.name, _LOCK))  # from now on _sweep looks at it

    def cleanup(self):
        self.removed = True
        super().cleanup()
        self._lock.close()


def _sweep():
    """Remove the folders whose processes are gone."""
    for entry in os.scandir(tempfile.gettempdir()):
        if not entry.name.startswith(_PREFIX):
            continue
        with contextlib.suppress(OSError):  # it is locked, another's, or going
            with open(os.path.join(entry.path, _LOCK), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path)
