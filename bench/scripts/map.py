"""The word count's mapper: a line "word TAB 1" for each word, one write each."""
import sys

write = sys.stdout.write
for line in sys.stdin:
    for word in line.split():
        write(word + '\t1\n')
