"""A module that is not installed: what the tests ship by its source."""

from helper_inner import SUFFIX


def mapper(line):
    for word in line.split():
        yield word + SUFFIX, 1
