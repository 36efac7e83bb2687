"""Functions to a file and back, without the engine: the file is run by hand."""

import functools
import io
import json
import os
import subprocess
import sys
import threading
import unittest
import zipfile
from unittest import mock

import helper_module
from support import Case

from mraws import _ship
from mraws._errors import ShipError


def notebook(source, **names):
    """The names that the cell of a notebook defines."""
    space = {"__name__": "__main__", **names}
    exec(compile(source, "cell", "exec"), space)
    return space


def importable(line):
    yield line, 1


class Ship(Case):
    def run_file(self, functions, given, role="mapper", **options):
        path = self.write("job.pyz", _ship.archive(functions, options.pop("reduces", True), **options))
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run([sys.executable, path, role], input=given, capture_output=True, cwd=self.folder, env=env, text=True)

    def lines(self, function, given, **options):
        done = self.run_file({"mapper": function}, given, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_lambda(self):
        self.assertEqual(self.lines(lambda line: [(line.upper(), len(line))], "ab\nc"), ["AB\t2", "C\t1"])

    def test_cell_with_globals(self):
        cell = notebook(
            "import re, collections\n"
            "pattern = re.compile('[a-z]+')\n"
            "stop = {'the'}\n"
            "def words(line): return pattern.findall(line)\n"
            "def mapper(line, least=2):\n"
            "    n = collections.Counter(w for w in words(line) if w not in stop and len(w) >= least)\n"
            "    return n\n"
        )
        self.assertEqual(self.lines(cell["mapper"], "the cat, a cat"), ["cat\t2"])

    def test_closure_that_calls_itself(self):
        def outer(step):
            def down(n):
                return [] if n <= 0 else [n] + down(n - step)

            return lambda line: [(line, down(int(line)))]

        self.assertEqual(self.lines(outer(2), "5"), ['"5"\t[5,3,1]'])

    def test_functions_that_share_globals(self):
        cell = notebook("n = 0\ndef up():\n    global n\n    n += 1\ndef mapper(line):\n    up()\n    return [(line, n)]\n")
        self.assertEqual(self.lines(cell["mapper"], "a\nb"), ["a\t1", "b\t2"])

    def test_partial_and_method(self):
        self.assertEqual(self.lines(functools.partial(lambda n, line: [(line, n)], 7), "a"), ["a\t7"])

    def test_import_inside(self):
        cell = notebook("def mapper(line):\n    import helper_module\n    return helper_module.mapper(line)\n")
        self.assertEqual(self.lines(cell["mapper"], "a b"), ["a!\t1", "b!\t1"])

    def test_module_goes_with_what_it_imports(self):
        self.assertEqual(self.lines(helper_module.mapper, "a"), ["a!\t1"])
        self.assertEqual(self.lines(importable, "a"), ["a\t1"])

    def test_batch_and_bytes(self):
        self.assertEqual(self.lines(lambda lines: [(len(lines), lines[0])], "a\nb\nc\n", batch=True), ["3\ta"])
        self.assertEqual(self.lines(lambda line: [(line, type(line).__name__)], "a\n", as_bytes=True), ["a\tbytes"])

    def test_reducer(self):
        given = "a\t1\na\t2\nb\t3\nb\t4\n[1,2]\tx\n"
        for reducer, want in [
            (lambda k, vs: [(k, list(vs))], ["a\t[1,2]", "b\t[3,4]", '[1,2]\t["x"]']),
            (lambda k, vs: next(vs), ["a\t1", "b\t3", "[1,2]\tx"]),
            (lambda k, vs: None, []),
            (lambda k, vs: (k, 0), ["a\t0", "b\t0", "[1,2]\t0"]),
            (lambda k, vs: ["a line"] if k == "a" else [], ["a line"]),
        ]:
            done = self.run_file({"reducer": reducer}, given, "reducer")
            self.assertEqual((done.stdout.splitlines(), done.stderr), (want, ""))

    def test_print_is_no_output(self):
        done = self.run_file({"mapper": lambda line: print("hello")}, "a\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", "hello\n"))

    def test_same_functions_same_bytes(self):
        code = (
            "import sys; sys.path[:0] = sys.argv[1:]\n"
            "from mraws import _ship; import hashlib, re\n"
            "stop = {'a', 'b', 'c', 'd'}; few = frozenset(stop); pattern = re.compile('x')\n"
            "def helper(x): return x in stop and x in few\n"
            "def mapper(line):\n    return [(w, (lambda: 1)()) for w in pattern.split(line) if helper(w)]\n"
            "print(hashlib.sha256(_ship.archive({'mapper': mapper}, True)).hexdigest())\n"
        )
        path = self.write("script.py", code)
        sums = {
            subprocess.run(
                [sys.executable, path, os.path.dirname(os.path.dirname(_ship.__file__))],
                env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }  # fmt: skip
        self.assertEqual(len(sums), 1)

    def test_failure_has_the_lines_of_the_function(self):
        path = self.write("cell.py", "def helper(x):\n    return x['no']\ndef mapper(line):\n    return helper({})\n")
        space = {"__name__": "__main__"}
        with open(path) as f:
            exec(compile(f.read(), path, "exec"), space)
        shipped = _ship.archive({"mapper": space["mapper"]}, True)
        os.remove(path)
        job = self.write("job.pyz", shipped)
        done = subprocess.run([sys.executable, job, "mapper"], input="some text\n", capture_output=True, text=True, env={**os.environ, "MRAWS_INPUT": "a.txt"})
        self.assertEqual(done.returncode, 1)
        for want in ("return helper({})", "return x['no']", "KeyError: 'no'", "over the line 'some text' of a.txt"):
            self.assertIn(want, done.stderr)
        self.assertNotIn("_worker", done.stderr)
        self.assertTrue(done.stderr.splitlines()[-1].startswith("mraws-traceback:"))

    def test_long_failure_is_cut(self):
        def mapper(line):
            raise ValueError("é" * 100000)

        last = self.run_file({"mapper": mapper}, "a\n").stderr.splitlines()[-1]
        self.assertTrue(last.startswith("mraws-traceback:"))
        self.assertLess(len(last), 4096)

    def test_exit_in_a_function_is_a_failure(self):
        done = self.run_file({"mapper": lambda line: sys.exit(0)}, "a\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SystemExit", done.stderr)

    def test_wrong_results(self):
        for mapper, want in [
            (lambda line: line, "returned 'a': a mapper yields or returns pairs"),
            (lambda line: ["ab"], "gave 'ab', which is no pair"),
            (lambda line: (1, 2, 3), "gave (1, 2, 3), which is no pair"),
            (lambda line: [("k", object)], "type cannot be a key or a value"),
        ]:
            done = self.run_file({"mapper": mapper}, "a\n")
            self.assertEqual(done.returncode, 1)
            self.assertIn(want, done.stderr)

    def test_other_python(self):
        shipped = _ship.archive({"mapper": lambda line: None}, True)
        with zipfile.ZipFile(io.BytesIO(shipped)) as z:
            members = {n: z.read(n) for n in z.namelist()}
        job = json.loads(members["job.json"])
        job["python"], job["roles"]["mapper"]["magic"] = "3.1.4", "00"
        members["job.json"] = json.dumps(job).encode()
        path = os.path.join(self.folder, "other.pyz")
        with zipfile.ZipFile(path, "w") as z:
            for name, data in members.items():
                z.writestr(name, data)
        done = subprocess.run([sys.executable, path, "mapper"], input="a\n", capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("shipped by Python 3.1.4", done.stderr)

    def test_what_cannot_be_shipped(self):
        lock = threading.Lock()
        cell = notebook("class Word: pass\ndef inner(line): yield lock, 1\ndef mapper(line): return inner(line)\ndef other(line): yield Word(), 1\n", lock=lock)
        for f, want in [
            (cell["mapper"], "mapper -> inner uses lock, an object of type _thread.lock"),
            (lambda line: lock, "uses lock, an object of type _thread.lock"),
            (lambda line, file=sys.stdin: None, "uses as a default, an object of type _io.TextIOWrapper"),
            (cell["other"], "other uses Word, class Word of __main__"),
            (42, "mapper is 42: it must be a function"),
        ]:
            with self.subTest(want=want), self.assertRaisesRegex(ShipError, want):
                self.without_cloudpickle(f)

    def test_cloudpickle_ships_the_rest(self):
        """A stand-in for it: what it returns is what the worker loads, if the worker has it."""
        self.write("cloudpickle.py", "def made(): return lambda line: [(line, 'by cloudpickle')]\n")
        stand_in = mock.Mock()
        stand_in.dumps.return_value = b"ccloudpickle\nmade\n(tR."
        with mock.patch.dict(sys.modules, {"cloudpickle": stand_in}):
            path = self.write("job.pyz", _ship.archive({"mapper": lambda line, file=sys.stdin: None}, True))
            for folder, want in [(self.folder, "a\tby cloudpickle\n"), ("", "")]:
                env = {**os.environ, "PYTHONPATH": folder, "PYTHONNOUSERSITE": "1"}
                done = subprocess.run([sys.executable, "-S", path, "mapper"], input="a\n", capture_output=True, text=True, env=env)
                self.assertEqual(done.stdout, want)
            self.assertIn("shipped with cloudpickle, which", done.stderr)

    def without_cloudpickle(self, f):
        missing = object()
        before = sys.modules.get("cloudpickle", missing)
        sys.modules["cloudpickle"] = None  # an import of it raises ImportError
        try:
            return _ship.archive({"mapper": f}, True)
        finally:
            if before is missing:
                del sys.modules["cloudpickle"]
            else:
                sys.modules["cloudpickle"] = before


if __name__ == "__main__":
    unittest.main()
