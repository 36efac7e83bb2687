import re

from mrjob.job import MRJob
from mrjob.protocol import JSONProtocol, JSONValueProtocol, RawValueProtocol
from mrjob.step import MRStep

WORD = re.compile(r"[\w']+")


class MRWordsByInitial(MRJob):
    """Counts words but for stop words, then lists the words of each initial letter,
    the least frequent first."""

    FILES = ['stop.txt']
    INPUT_PROTOCOL = RawValueProtocol
    INTERNAL_PROTOCOL = JSONProtocol
    OUTPUT_PROTOCOL = JSONValueProtocol
    SORT_VALUES = True

    def steps(self):
        return [
            MRStep(mapper_init=self.read_stop, mapper=self.words, combiner=self.add, reducer=self.add),
            MRStep(mapper=self.by_initial, reducer=self.in_order),
        ]

    def read_stop(self):
        with open('stop.txt') as f:
            self.stop = set(f.read().split())

    def words(self, _, line):
        self.increment_counter('words', 'lines')
        for word in WORD.findall(line):
            word = word.lower()
            if word in self.stop:
                self.increment_counter('words', 'stopped')
            else:
                yield word, 1

    def add(self, word, counts):
        yield word, sum(counts)

    def by_initial(self, word, n):
        yield word[0], ['%06d' % n, word]

    def in_order(self, initial, pairs):
        self.increment_counter('initials', 'all, and more')
        pairs = list(pairs)
        assert pairs == sorted(pairs), pairs
        yield None, [initial, pairs]


if __name__ == '__main__':
    MRWordsByInitial.run()
