"""Counts words by length-prefixed records (docs/own-code.md):

mraws run --records binary --mapper 'python3 count.py map' \
    --combiner 'python3 count.py combine' --reducer 'python3 count.py reduce' \
    --file count.py INPUT
"""
import itertools
import struct
import sys

HEADER = struct.Struct("<II")


def read(stream):
    """Yields each record of the stream as (key, value), both bytes."""
    while header := stream.read(HEADER.size):
        key_size, value_size = HEADER.unpack(header)
        both = stream.read(key_size + value_size)
        yield both[:key_size], both[key_size:]


def write(stream, key, value):
    """Writes a record. The stream is buffered: it makes large writes of many."""
    stream.write(HEADER.pack(len(key), len(value)) + key + value)


def main(role):
    with open(0, "rb", buffering=1 << 16) as inp, open(1, "wb", buffering=1 << 16) as out:
        if role == "map":
            for _, line in read(inp):
                for word in line.split():
                    write(out, word, b"1")
            return
        for word, group in itertools.groupby(read(inp), key=lambda pair: pair[0]):
            count = b"%d" % sum(int(n) for _, n in group)
            if role == "combine":
                write(out, word, count)
            else:
                write(out, b"", word + b" " + count)


main(sys.argv[1])
