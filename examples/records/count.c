/* Counts words by length-prefixed records (docs/own-code.md):

     cc -O2 -o count count.c
     mraws run --records binary --mapper 'count map' --combiner 'count combine' \
       --reducer 'count reduce' --file count INPUT
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes are n bytes at p, with room for more. */
struct bytes { char *p; size_t n, room; };

static void fit(struct bytes *b, size_t n) {
  if (n > b->room) {
    b->room = 2 * n;
    if (!(b->p = realloc(b->p, b->room))) { perror("realloc"); exit(1); }
  }
  b->n = n;
}

static uint32_t get32(const unsigned char *p) {
  return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(unsigned char *p, uint32_t n) {
  for (int i = 0; i < 4; i++) p[i] = n >> 8 * i;
}

/* next reads a record; 0 at the end. stdin is buffered. */
static int next(struct bytes *key, struct bytes *value) {
  unsigned char head[8];
  size_t n = fread(head, 1, 8, stdin);
  if (n == 0) return 0;
  if (n == 8) {
    fit(key, get32(head));
    fit(value, get32(head + 4));
    if (fread(key->p, 1, key->n, stdin) == key->n && fread(value->p, 1, value->n, stdin) == value->n) return 1;
  }
  fputs("the input ends within a record\n", stderr);
  exit(1);
}

/* record writes a record. stdout is buffered: many make one write. */
static void record(const char *key, size_t k, const char *value, size_t v) {
  unsigned char head[8];
  put32(head, k);
  put32(head + 4, v);
  fwrite(head, 1, 8, stdout);
  fwrite(key, 1, k, stdout);
  fwrite(value, 1, v, stdout);
}

static void result(int combine, struct bytes *word, long long count) {
  char text[32];
  int n = snprintf(text, sizeof text, " %lld", count);
  if (combine) {
    record(word->p, word->n, text + 1, n - 1);
    return;
  }
  size_t size = word->n;
  fit(word, size + n);
  memcpy(word->p + size, text, n);
  record("", 0, word->p, word->n);
}

int main(int argc, char **argv) {
  struct bytes key = {0}, value = {0}, word = {0};
  long long count = 0;
  int any = 0, combine = argc > 1 && !strcmp(argv[1], "combine");
  fit(&key, 1), fit(&value, 1), fit(&word, 1);
  setvbuf(stdin, NULL, _IOFBF, 1 << 16);
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  while (next(&key, &value)) {
    if (argc > 1 && !strcmp(argv[1], "map")) {
      for (size_t i = 0; i < value.n;) {
        size_t from = i;
        while (i < value.n && !strchr(" \t\r\n", value.p[i])) i++;
        if (i > from) record(value.p + from, i - from, "1", 1);
        while (i < value.n && strchr(" \t\r\n", value.p[i])) i++;
      }
      continue;
    }
    if (!any || key.n != word.n || memcmp(key.p, word.p, key.n)) {
      if (any) result(combine, &word, count);
      fit(&word, key.n);
      memcpy(word.p, key.p, key.n);
      any = 1, count = 0;
    }
    fit(&value, value.n + 1);
    value.p[value.n - 1] = 0;
    count += atoll(value.p);
  }
  if (any) result(combine, &word, count);
  return fflush(stdout) || ferror(stdout);
}
