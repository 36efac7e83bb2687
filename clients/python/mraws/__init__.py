"""MapReduce jobs of Python functions.

    import mraws

    def mapper(line):
        for word in line.split():
            yield word, 1

    def reducer(word, counts):
        yield word, sum(counts)

    for word, n in mraws.run(mapper, reducer, input="book.txt"):
        print(word, n)

The program mraws runs the job; this package ships the functions to it and reads
the result. What is imported here is light, since workers import it too.
"""

import sys as _sys

__version__ = "0.1.0"

__all__ = ["BinaryNotFound", "Error", "JobError", "Progress", "Result", "ShipError", "as_bytes", "batch", "count", "run", "to"]

_LAZY = {
    "run": "_job", "Result": "_job", "Progress": "_progress",
    "Error": "_errors", "JobError": "_errors", "ShipError": "_errors", "BinaryNotFound": "_errors",
}


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def batch(function):
    """Mark a mapper that takes a list of lines, about 1 MiB of them, at a time."""
    function.__mraws_batch__ = True
    return function


def as_bytes(function):
    """Mark a mapper that takes lines as bytes in place of str."""
    function.__mraws_bytes__ = True
    return function


def to(name, line):
    """Return the line, a str, as one of the named output `name` of the job: what a reducer,
    or a mapper without one, yields in place of a pair.
    """
    if "\t" in name or "\n" in name:
        raise ValueError(f"name of an output {name!r} has a tab or a line break")
    return f"output:{name}\t{line}"


def count(name, n=1, group="python"):
    """Add n, an int, to a counter of the job.

    For code of mapper, combiner and reducer. Result.counters has the sum over the
    committed attempts under "group,name". Add up and call it once in a while: each
    call writes a line. Neither name may have a line break or a comma.
    """
    for text in (group, name):
        if "," in text or "\n" in text:
            raise ValueError(f"name of a counter {text!r} has a comma or a line break")
    _sys.stderr.write(f"reporter:counter:{group},{name},{n:d}\n")
    _sys.stderr.flush()
