"""The word count's reducer: a line "word TAB count" for each word of sorted lines."""
import sys

last, total = None, 0
for line in sys.stdin:
    word, _, count = line.partition('\t')
    if word != last:
        if last is not None:
            print(last, total, sep='\t')
        last, total = word, 0
    total += int(count)
if last is not None:
    print(last, total, sep='\t')
