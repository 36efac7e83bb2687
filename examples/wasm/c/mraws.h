/* The application binary interface of mraws (docs/own-wasm.md) for C: include this
   in one file, and write mraws_map(), mraws_reduce() and, if there is to be a
   combiner, mraws_combine(). Each gets the bytes in mraws_in, calls mraws_emit(),
   and ends with `return mraws_done();`. */
#ifndef MRAWS_H
#define MRAWS_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MRAWS_EXPORT(name) __attribute__((export_name(#name)))
#define MRAWS_IMPORT(name) __attribute__((import_module("mraws"), import_name(#name)))

/* mraws_fail ends the attempt with this text. */
MRAWS_IMPORT(fail) _Noreturn void mraws_fail(const char *text, uint32_t n);
/* mraws_log writes a line to the log of the attempt, or reporter:counter:GROUP,NAME,N. */
MRAWS_IMPORT(log) void mraws_log(const char *text, uint32_t n);

/* bytes are n bytes at p, with room for more. */
struct mraws_bytes { unsigned char *p; uint32_t n, room; };

static struct mraws_bytes mraws_in, mraws_out;

/* mraws_fit gives b room for so many bytes more, and keeps those that it has. */
static inline void mraws_fit(struct mraws_bytes *b, uint32_t more) {
  static const char none[] = "out of memory";
  uint32_t want = b->n + more;
  if (want <= b->room) return;
  if (want < more || want > UINT32_MAX / 2) mraws_fail(none, sizeof none - 1);
  unsigned char *p = realloc(b->p, 2 * want);
  if (!p) mraws_fail(none, sizeof none - 1);
  b->p = p;
  b->room = 2 * want;
}

/* mraws_buffer is where the host puts the next n bytes of input. */
MRAWS_EXPORT(mraws_buffer) void *mraws_buffer(uint32_t n) {
  mraws_in.n = 0;
  mraws_fit(&mraws_in, n);
  return mraws_in.p;
}

/* mraws_emit writes a pair; a reducer writes a line, as a value without a key. */
static inline void mraws_emit(const void *key, uint32_t k, const void *value, uint32_t v) {
  mraws_fit(&mraws_out, 8 + k + v);
  unsigned char *p = mraws_out.p + mraws_out.n;
  memcpy(p, &k, 4);
  memcpy(p + 4, &v, 4);
  memcpy(p + 8, key, k);
  memcpy(p + 8 + k, value, v);
  mraws_out.n += 8 + k + v;
}

/* mraws_done returns what was emitted, and begins anew. */
static inline uint64_t mraws_done(void) {
  uint64_t r = (uint64_t)(uintptr_t)mraws_out.p << 32 | mraws_out.n;
  mraws_out.n = 0;
  return r;
}

/* mraws_pair is one record of the input of a combiner or reducer. */
struct mraws_pair { const unsigned char *key, *value; uint32_t k, v; };

/* mraws_next reads the record at *at, of n bytes of input, and moves behind it; 0 at
   the end. */
static inline int mraws_next(struct mraws_pair *r, uint32_t *at, uint32_t n) {
  if (*at >= n) return 0;
  const unsigned char *p = mraws_in.p + *at;
  memcpy(&r->k, p, 4);
  memcpy(&r->v, p + 4, 4);
  r->key = p + 8;
  r->value = r->key + r->k;
  *at += 8 + r->k + r->v;
  return 1;
}
#endif
