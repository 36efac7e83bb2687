import math
import os
import random
import unittest

from mraws import _codec, _worker


class Fields(unittest.TestCase):
    def test_what_is_written(self):
        for x, want in [
            ("the", "the"), ("", ""), ("a b", "a b"), ("a\\b", "a\\b"), ("tab\there", '"tab\\there"'), ("line\nbreak", '"line\\nbreak"'),
            ("cr\r", "cr\r"), ("42", '"42"'), ("-1.5e3", '"-1.5e3"'), ("007", "007"), ("2024-01-01", "2024-01-01"), ("true", '"true"'),
            ("truer", "truer"), ("NaN", '"NaN"'), ("[x", '"[x"'), ('"', '"\\""'), ("猫", "猫"), ("\ud800", '"\\ud800"'),
            (b"raw\xff", "raw\udcff"), (42, "42"), (-1.5, "-1.5"), (True, "true"), (None, "null"), ([1, "a\tb"], '[1,"a\\tb"]'),
            ((1, 2), "[1,2]"), ({"b": 1, "a": 2}, '{"b":1,"a":2}'), (10**40, "1" + "0" * 40),
        ]:  # fmt: skip
            with self.subTest(x=x):
                field = _codec.encode_value(x)
                self.assertEqual(field, want)
                back = x.decode("utf-8", "surrogateescape") if isinstance(x, bytes) else list(x) if isinstance(x, tuple) else x
                self.assertEqual(_codec.decode_value(field), back)
                self.assertIs(type(_codec.decode_value(field)), type(back))

    def test_keys(self):
        self.assertEqual(_codec.encode_key({"b": 1, "a": 2}), '{"a":2,"b":1}')
        self.assertEqual(_codec.decode_key(_codec.encode_key((1, ("x", None)))), (1, ("x", None)))

    def test_floats_without_a_number(self):
        self.assertTrue(math.isnan(_codec.decode_value(_codec.encode_value(math.nan))))
        self.assertEqual(_codec.decode_value(_codec.encode_value(-math.inf)), -math.inf)

    def test_any_text_comes_back(self):
        r = random.Random(7)
        pool = '\t\n\r\\"[{}]-+.eE0123456789tfnNI \0é猫\udc80'
        for _ in range(20000):
            s = "".join(r.choice(pool) for _ in range(r.randrange(6)))
            field = _codec.encode_key(s)
            self.assertFalse(set("\t\n") & set(field), s)
            self.assertEqual(_codec.decode_key(field.encode(**_codec.ENCODING).decode(**_codec.ENCODING)), s)

    def test_what_a_command_may_write(self):
        for field, want in [("[x", "[x"), ("{", "{"), ('"', '"'), ("-", "-"), ("1e999", math.inf), ("٣", "٣"), ('"raw\ttab"', '"raw\ttab"')]:
            self.assertEqual(_codec.decode_value(field), want)

    def test_lists_are_not_shared(self):
        values = _codec.Values()
        values["[1]"].append(2)
        self.assertEqual(values["[1]"], [1])

    def test_what_is_no_pair(self):
        for x in ("ab", 1, (1,), (1, 2, 3), None):
            with self.assertRaisesRegex(TypeError, "mapper f gave .*no pair"):
                _codec.line_of(x, "mapper f")
        with self.assertRaisesRegex(TypeError, "set cannot be a key or a value"):
            _codec.line_of(("k", {1}), "mapper f")


class Blocks(unittest.TestCase):
    def blocks(self, data, least):
        r, w = os.pipe()
        if os.fork() == 0:
            os.close(r)
            view = memoryview(data)
            while view:
                view = view[os.write(w, view[:5000]) :]
            os._exit(0)
        os.close(w)
        with os.fdopen(r):
            out = list(_worker.blocks(r, least))
        os.wait()
        return out

    def test_lines_are_whole(self):
        r = random.Random(3)
        for least in (1, 1 << 16, 1 << 20):
            for end in (b"", b"\n"):
                lines = [bytes([r.randrange(97, 123)]) * r.choice([0, 1, 80, 200000]) for _ in range(60)] + [b"last"]
                data = b"\n".join(lines) + end
                with self.subTest(least=least, end=end):
                    blocks = self.blocks(data, least)
                    self.assertEqual([line for b in blocks for line in b.split(b"\n")], lines)
                    self.assertTrue(all(len(b) >= least - _worker.READ for b in blocks[:-1]))

    def test_nothing(self):
        self.assertEqual(self.blocks(b"", 1), [])
        self.assertEqual(self.blocks(b"\n", 1), [b""])


if __name__ == "__main__":
    unittest.main()
