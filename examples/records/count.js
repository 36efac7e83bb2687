// Counts words by length-prefixed records (docs/own-code.md):
//
//   mraws run --records binary --mapper 'node count.js map' \
//     --combiner 'node count.js combine' --reducer 'node count.js reduce' \
//     --file count.js INPUT
'use strict';
const fs = require('fs');

// read yields each record of a file as [key, value], both buffers. They are valid
// until the next record.
function* read(fd) {
  let buf = Buffer.alloc(1 << 16), start = 0, end = 0;
  const need = (n) => { // makes n bytes from start on be there; false at the end
    if (buf.length - start < n) {
      const to = n > buf.length ? Buffer.alloc(2 * n) : buf;
      buf.copy(to, 0, start, end);
      [buf, start, end] = [to, 0, end - start];
    }
    while (end - start < n) {
      const got = fs.readSync(fd, buf, end, buf.length - end);
      if (got === 0) {
        if (end > start) throw new Error('the input ends within a record');
        return false;
      }
      end += got;
    }
    return true;
  };
  while (need(8)) {
    const k = buf.readUInt32LE(start), v = buf.readUInt32LE(start + 4);
    need(8 + k + v);
    const at = start + 8;
    start = at + k + v;
    yield [buf.subarray(at, at + k), buf.subarray(at + k, start)];
  }
}

// Writer gathers records and writes many at a time.
class Writer {
  constructor(fd) { this.fd = fd; this.parts = []; this.size = 0; }
  record(key, value) {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(key.length, 0);
    head.writeUInt32LE(value.length, 4);
    this.parts.push(head, Buffer.from(key), Buffer.from(value));
    this.size += 8 + key.length + value.length;
    if (this.size >= 1 << 16) this.flush();
  }
  flush() {
    const all = Buffer.concat(this.parts);
    for (let at = 0; at < all.length;) at += fs.writeSync(this.fd, all, at);
    this.parts = [];
    this.size = 0;
  }
}

const role = process.argv[2];
const out = new Writer(1);
let word = null, count = 0;
const done = () => {
  if (word === null) return;
  if (role === 'combine') out.record(Buffer.from(word, 'latin1'), Buffer.from(`${count}`));
  else out.record(Buffer.alloc(0), Buffer.from(`${word} ${count}`, 'latin1'));
};
for (const [key, value] of read(0)) {
  if (role === 'map') {
    for (const w of value.toString('latin1').split(/[ \t\r\n]+/)) {
      if (w) out.record(Buffer.from(w, 'latin1'), Buffer.from('1'));
    }
    continue;
  }
  const k = key.toString('latin1'); // a character for each byte
  if (k !== word) {
    done();
    word = k;
    count = 0;
  }
  count += parseInt(value.toString('latin1'), 10);
}
done();
out.flush();
