/* Counts words, which are runs of ASCII letters:

     clang --target=wasm32-wasi -mexec-model=reactor -O3 -o wc.wasm wc.c
     mraws run --app wc.wasm --nreduce 2 book.txt
*/
#include "mraws.h"

#include <stdio.h>

/* letter says of each byte whether it is a letter. */
static const unsigned char letter[256] = {['A' ... 'Z'] = 1, ['a' ... 'z'] = 1};

MRAWS_EXPORT(mraws_map) uint64_t map(uint32_t n) {
  const unsigned char *p = mraws_in.p, *end = p + n;
  while (p < end) {
    while (p < end && !letter[*p]) p++;
    const unsigned char *word = p;
    while (p < end && letter[*p]) p++;
    if (p > word) mraws_emit(word, p - word, "1", 1);
  }
  return mraws_done();
}

/* The word at hand, whose values may go on in the next batch, and their sum. */
static struct mraws_bytes word;
static uint64_t sum;
static int any;

/* tell emits the word at hand. */
static void tell(int combine) {
  char text[24];
  int t = snprintf(text, sizeof text, " %llu", (unsigned long long)sum);
  if (!any) return;
  if (combine) {
    mraws_emit(word.p, word.n, text + 1, t - 1);
    return;
  }
  mraws_fit(&word, t); /* a line: "word 12" */
  memcpy(word.p + word.n, text, t);
  mraws_emit("", 0, word.p, word.n + t);
}

/* add adds up the values of each word. The call without bytes is the last. */
static uint64_t add(uint32_t n, int combine) {
  struct mraws_pair r;
  for (uint32_t at = 0; mraws_next(&r, &at, n);) {
    if (!any || r.k != word.n || memcmp(r.key, word.p, r.k)) {
      tell(combine);
      word.n = 0;
      mraws_fit(&word, r.k);
      memcpy(word.p, r.key, word.n = r.k);
      sum = 0;
      any = 1;
    }
    uint64_t value = 0;
    for (uint32_t i = 0; i < r.v; i++) {
      if (r.value[i] < '0' || r.value[i] > '9') mraws_fail("a count is no number", 20);
      value = value * 10 + (r.value[i] - '0');
    }
    sum += value;
  }
  if (n == 0) {
    tell(combine);
    any = 0;
  }
  return mraws_done();
}

MRAWS_EXPORT(mraws_combine) uint64_t combine(uint32_t n) { return add(n, 1); }
MRAWS_EXPORT(mraws_reduce) uint64_t reduce(uint32_t n) { return add(n, 0); }
