"""Whole jobs by the program mraws."""

import collections
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from support import Case, count, processes, text, wait_for

import mraws
from mraws import _engine, _progress, _work


def words(line):
    for word in line.split():
        yield word, 1


def total(key, values):
    return sum(values)


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.text = text(3000)
        self.book = self.write("book.txt", self.text)

    def test_word_count(self):
        result = self.run_job(words, total, input=self.book)
        self.assertEqual(dict(result), count(self.text))
        self.assertEqual(dict(result), count(self.text), "a second time")
        both = [dict(_pairs(result, r)) for r in range(2)]
        self.assertEqual(dict(collections.ChainMap(*both)), count(self.text))
        for part in both:
            fields = [line.partition("\t")[0].encode() for line in result.lines() if line.partition("\t")[0] in part]
            self.assertEqual(fields, sorted(fields))
        with self.assertRaises(IndexError):
            result.lines(2)
        self.assertIn(result.job, repr(result))
        self.assertEqual(result.verify()["found"], 0)
        self.assertEqual(result.output, f"s3://{result.bucket}/{result.prefix}/output/")

    def test_table(self):
        table = self.write("t.csv", 'status,"a, b",bytes\n200,"x\ny",5\n404,,1\n200,z,2\n')

        def mapper(line):
            row = json.loads(line)
            assert list(row) == ["a, b", "bytes", "status"], row
            yield row["status"], int(row["bytes"])

        result = self.run_job(mapper, total, input=table, format="csv", columns=["a, b", "bytes", "status"])
        self.assertEqual(dict(result), {"200": 7, "404": 1})

    def test_combiner(self):
        result = self.run_job(words, total, combiner=total, input=self.book)
        self.assertEqual(dict(result), count(self.text))
        self.assertEqual(result.summary["shuffled"]["records"], len(count(self.text)))

    def test_batch_mapper_with_counter(self):
        @mraws.batch
        def mapper(lines):
            mraws.count("lines", len(lines))
            return collections.Counter(word for line in lines for word in line.split())

        result = self.run_job(mapper, total, input=self.book)
        self.assertEqual(dict(result), count(self.text))
        self.assertEqual(result.counters, {"python,lines": 3000})

    def test_cell_of_a_notebook(self):
        cell = {"__name__": "__main__"}
        exec("import re\nword = re.compile(r'\\S+')\nmapper = lambda line: [(w, 1) for w in word.findall(line)]", cell)
        self.assertEqual(dict(self.run_job(cell["mapper"], lambda k, vs: sum(vs), input=self.book)), count(self.text))

    def test_keys_and_values_of_any_text_and_type(self):
        pairs = [("tab\there", "line\nbreak"), ("ünï", {"a": [1, None]}), ((1, "x"), 2.5), (b"\xff", "\\"), ("", ""), (7, True), ("7", "é")]
        result = self.run_job(lambda line: pairs, lambda k, vs: [(k, v) for v in vs], input=self.write("one.txt", "a line\n"))
        want = [("\udcff" if k == b"\xff" else k, v) for k, v in pairs]
        self.assertEqual(sorted(map(repr, result)), sorted(map(repr, want)))

    def test_without_reducer_in_input_order(self):
        result = self.run_job(lambda line: [line.upper()], input=self.book)
        self.assertEqual(list(result.lines()), self.text.upper().splitlines())
        result = self.run_job("cat", input=self.book)
        self.assertEqual(list(result.lines()), self.text.splitlines())

    def test_named_outputs(self):
        book = self.write("lines.txt", "one\nbad two\nthree\n")

        def mapper(line):
            yield mraws.to("errors", line) if line.startswith("bad") else line

        for data_dir in (None, self.folder + "/kept"):
            result = self.run_job(mapper, input=book, nreduce=None, named_outputs=["errors"], **({"data_dir": data_dir} if data_dir else {}))
            self.assertEqual((list(result.lines()), list(result.lines(named="errors"))), (["one", "three"], ["bad two"]))
            self.assertEqual((list(result.lines(0)), list(result.lines(0, named="errors"))), (["one", "three"], ["bad two"]))
        reduced = self.run_job(words, lambda key, values: iter([mraws.to("long", key) if len(key) > 3 else key]), input=book, named_outputs=["long"])
        self.assertEqual((sorted(reduced.lines()), list(reduced.lines(named="long"))), (["bad", "one", "two"], ["three"]))
        for name in ("a\tb", "a\n"):
            with self.assertRaises(ValueError):
                mraws.to(name, "x")

    def test_command_and_function(self):
        result = self.run_job("awk '{ for (i = 1; i <= NF; i++) print $i \"\\t1\" }'", total, input=self.write("a.txt", "a b a\n"))
        self.assertEqual(dict(result), {"a": 2, "b": 1})

    def test_files_and_variables(self):
        def mapper(line):
            with open("stop.txt") as f:
                yield os.environ["GREETING"], f.read()

        stop = self.write("stop.txt", "the")
        result = self.run_job(mapper, lambda k, vs: next(vs), input=self.write("a.txt", "a\n"), files=[stop], env={"GREETING": "hello"})
        self.assertEqual(list(result), [("hello", "the")])

    def test_same_call_resumes(self):
        data = os.path.join(self.folder, "data")
        options = {"input": self.book, "data_dir": data, "prefix": "jobs/1"}
        first = self.run_job(words, total, **options)
        second = self.run_job(words, total, **options)
        self.assertEqual((second.job, second.summary.get("already_done")), (first.job, True))
        with self.assertRaises(mraws.JobError) as caught:
            self.run_job(words, total, combiner=total, **options)
        self.assertEqual(caught.exception.exit_code, 7)
        second.remove()
        self.assertEqual(os.listdir(os.path.join(data, "s3", "mapreducedata")).count("jobs"), 0)

    def test_failing_mapper_shows_its_traceback(self):
        def mapper(line):
            number = int(line)  # fails here
            yield number, 1

        with self.assertRaises(mraws.JobError) as caught:
            self.run_job(mapper, total, input=self.write("a.txt", "x\n"), settings={"max_attempts": 1})
        e = caught.exception
        self.assertEqual(e.exit_code, 4)
        for want in ("Traceback (most recent call last)", "number = int(line)  # fails here", "ValueError: invalid literal", "over the line 'x' of a.txt"):
            self.assertIn(want, e.traceback)
            self.assertIn(want, str(e))
        self.assertIn("data_dir", e.hint)

    def test_failing_reducer_and_command(self):
        with self.assertRaises(mraws.JobError) as caught:
            self.run_job(words, lambda k, vs: 1 / 0, input=self.book, settings={"max-attempts": 1})
        self.assertIn("ZeroDivisionError", caught.exception.traceback)
        self.assertIn("over the key", caught.exception.traceback)
        with self.assertRaises(mraws.JobError) as caught:
            self.run_job("sh -c 'echo no such luck >&2; exit 3'", total, input=self.book, settings={"max-attempts": 1})
        self.assertIsNone(caught.exception.traceback)
        self.assertIn("no such luck", str(caught.exception))

    def test_usage(self):
        for options, want in [({"input": os.path.join(self.folder, "none")}, "none"), ({"input": self.book, "nreduce": 0}, "nreduce")]:
            with self.assertRaises(mraws.JobError) as caught:
                self.run_job(words, total, **options)
            self.assertEqual(caught.exception.exit_code, 2)
            self.assertIn(want, str(caught.exception))
        with self.assertRaisesRegex(mraws.Error, "no input"):
            self.run_job(words, total)
        with self.assertRaisesRegex(mraws.Error, "local=True contradicts"):
            self.run_job(words, total, input=self.book, local=True, bucket="b")
        with self.assertRaisesRegex(mraws.ShipError, "mapper is None"):
            self.run_job(None, total, input=self.book)

    def test_binary(self):
        with mock.patch.dict(os.environ, {"PATH": self.folder}):
            os.environ.pop("MRAWS_BINARY", None)
            with self.assertRaisesRegex(mraws.BinaryNotFound, "go build -o mraws"):
                _engine.find()
            with self.assertRaisesRegex(mraws.BinaryNotFound, "binary= names '/no/mraws'"):
                _engine.find("/no/mraws")

    def test_progress(self):
        seen = []
        self.run_job(words, total, input=self.book, progress=lambda p: seen.append((p.phase, p.done, p.total)))
        self.assertEqual([s[0] for s in seen].count("done"), 1)
        self.assertEqual(seen[-1][0], "done")
        stream = io.StringIO()
        line = _progress._Line(stream)
        line(_progress.Progress("map", 1, 4, 2.0))
        line("mraws: done")
        self.assertEqual(stream.getvalue().split("\r")[1:], ["mraws: map 25%, 1 of 4 tasks, 2 s", "mraws: done".ljust(33) + "\n"])

    def test_nothing_is_left(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(tempfile, "tempdir", folder):
            result = mraws.run(words, total, input=self.book, nreduce=1)
            self.assertEqual(len(os.listdir(folder)), 1)
            result.close()
            self.assertEqual(os.listdir(folder), [])

    def test_data_frames(self):
        pandas, pyarrow = mock.Mock(), mock.Mock()
        result = self.run_job(words, total, input=self.write("a.txt", "a b a\n"), nreduce=1)
        with mock.patch.dict(sys.modules, {"pandas": pandas, "pyarrow": pyarrow}):
            result.to_pandas(columns=("word", "n"))
            result.to_arrow()
        pandas.DataFrame.assert_called_once_with([("a", 2), ("b", 1)], columns=["word", "n"])
        self.assertEqual([c.args for c in pyarrow.array.call_args_list], [(["a", "b"],), ([2, 1],)])


def _pairs(result, partition):
    return mraws._codec.pairs_of(result.lines(partition))


class Processes(Case):
    """What runs when, and that nothing is left."""

    def interrupted(self, send):
        """Start a job in a process whose mapper never returns, send it something when
        the mapper runs, and return how it ended and what it said."""
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        script = self.write(
            "script.py",
            "import mraws, signal, sys\n"
            # A shell that starts a command in the background lets it ignore SIGINT.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "fifo = sys.argv[1]\n"
            "def mapper(line):\n"
            "    with open(fifo, 'w') as f: f.write('runs')\n"
            "    while True: signal.pause()\n"
            "mraws.run(mapper, 'cat', input=sys.argv[2], nreduce=1)\n",
        )
        mark = os.path.basename(self.folder)
        child = subprocess.Popen(
            [sys.executable, script, fifo, self.write("a.txt", "a\n")],
            env={**os.environ, "CLIENT_TEST": mark, "TMPDIR": self.folder}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.kill)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        wait_for(lambda: select.select([reader], [], [], 0)[0] and os.read(reader, 9) or child.poll() is not None, "the mapper runs")
        self.assertIsNone(child.poll())
        self.assertTrue(any("job.pyz mapper" in line for line in processes(mark).values()))
        child.send_signal(send)
        _, said = child.communicate(timeout=60)
        wait_for(lambda: not processes(mark), f"{processes(mark)} end")
        return child.returncode, said

    def test_interrupt_stops_the_job(self):
        code, said = self.interrupted(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", said)
        self.assertEqual(code, -signal.SIGINT)
        self.assertEqual([n for n in os.listdir(self.folder) if n.startswith("mraws")], [])

    def test_killed_client_stops_the_job(self):
        code, _ = self.interrupted(signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)


    def test_folder_of_a_killed_client(self):
        with mock.patch.object(tempfile, "tempdir", self.folder):
            mine = _work.Folder()
            code = "import os, signal, sys, tempfile; tempfile.tempdir = sys.argv[1]; from mraws import _work; f = _work.Folder(); os.kill(os.getpid(), signal.SIGKILL)"
            subprocess.run([sys.executable, "-c", code, self.folder], check=False)
            left = [n for n in os.listdir(self.folder) if n.startswith("mraws-py-")]
            self.assertEqual(len(left), 2)
            other = _work.Folder()
            left = [n for n in os.listdir(self.folder) if n.startswith("mraws-py-")]
            self.assertEqual(sorted(left), sorted(os.path.basename(f.name) for f in (mine, other)))
            mine.cleanup()
            other.cleanup()

    def test_result_that_is_closed(self):
        result = self.run_job(words, total, input=self.write("a.txt", "a b\n"))
        result.close()
        for use in (dict, mraws.Result.lines, mraws.Result.verify):
            with self.assertRaisesRegex(mraws.Error, "the result is closed"):
                use(result)
        result.remove()  # it has gone already

    def test_job_that_is_removed(self):
        result = self.run_job(words, total, input=self.write("a.txt", "a b\n"), data_dir=os.path.join(self.folder, "data"))
        result.remove()
        result.remove()
        for use in (dict, mraws.Result.lines, mraws.Result.verify):
            with self.assertRaisesRegex(mraws.Error, "the job was removed"):
                use(result)

    def test_input_of_another_job(self):
        data = os.path.join(self.folder, "data")
        first = self.run_job(words, total, input=self.write("a.txt", "b b a\n"), data_dir=data)
        second = self.run_job(lambda line: [line.split("\t")], lambda key, values: max(values), input=first.output, data_dir=data)
        self.assertEqual(dict(second), {"a": "1", "b": "2"})
        with self.assertRaisesRegex(mraws.Error, "name its data_dir"):
            self.run_job(words, total, input=first.output, local=True)


class Bucket(Case):
    """A bucket on a server, which here is the embedded one."""

    def setUp(self):
        super().setUp()
        program = _engine.find()
        data = ["--data-dir", os.path.join(self.folder, "data")]
        server = subprocess.Popen([program, "s3", *data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self.assertTrue(server.stdout.readline())
        lines = subprocess.run([program, "s3", "--show-credentials", *data], capture_output=True, text=True, check=True).stdout
        self.upload = [program, "upload-input", "--local", "--bucket", "logs", *data]
        self.server = dict(line.split("#")[0].strip().removeprefix("export ").split("=", 1) for line in lines.splitlines() if line.startswith("export "))
        patch = mock.patch.dict(os.environ, {k: v.strip("'\"") for k, v in self.server.items()})
        patch.start()
        self.addCleanup(patch.stop)
        self.options = {"bucket": "mapreducedata", "endpoint": os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ["AWS_ENDPOINT_URL"]}

    def test_input_of_another_server(self):
        for name, content in (("a.txt", "one two"), ("b.txt", "two"), ("c.log", "three")):
            subprocess.run([*self.upload, self.write(name, content + "\n")], check=True, capture_output=True)
        options = {"input_store": "aws", "local": True}
        result = self.run_job(words, total, input="s3://logs/input/*.txt", **options)
        self.assertEqual(dict(result), {"one": 1, "two": 2})
        result = self.run_job(words, total, input=["s3://logs/input/", self.write("d.txt", "four\n")], exclude=["b.*"], **options)
        self.assertEqual(dict(result), {"one": 1, "two": 1, "three": 1, "four": 1})
        with self.assertRaisesRegex(mraws.JobError, "nothing matches s3://logs/input/\\*.gz"):
            self.run_job(words, total, input="s3://logs/input/*.gz", **options)

    def test_job_of_a_bucket(self):
        content = text(500)
        result = self.run_job(words, total, input=self.write("a.txt", content), **self.options)
        self.assertTrue(result.prefix.startswith("words-"), result.prefix)
        self.assertEqual(dict(result), count(content))
        self.assertEqual(dict(_pairs(result, 0)).keys() & dict(_pairs(result, 1)).keys(), set())
        self.assertTrue(result.verify())
        again = self.run_job(words, total, input=f"s3://mapreducedata/{result.prefix}/input/", endpoint=self.options["endpoint"])
        self.assertEqual(dict(again), count(content))
        self.assertNotEqual(again.prefix, result.prefix)
        once = self.run_job(lambda line: [line.split("\t")], input=[result.output, again.output + "mr-out-0"], **self.options)
        self.assertEqual(len(list(once)), len(dict(result)) + len(list(again.lines(0))))
        result.close()
        self.assertEqual(dict(result), count(content))  # nothing of it was in temporary files
        result.remove()
        for use in (dict, mraws.Result.lines, mraws.Result.verify):
            with self.assertRaisesRegex(mraws.Error, "the job was removed"):
                use(result)
        mraws.Result(again.summary, again._program, again._store, again._work, None, False).remove()  # by somebody else
        with self.assertRaises(mraws.JobError) as caught:
            list(again.lines())
        self.assertNotEqual(caught.exception.exit_code, 0)

    def test_iteration_that_ends_early(self):
        result = self.run_job(lambda line: [(i, "x" * 100) for i in range(20000)], lambda k, vs: next(vs), input=self.write("a.txt", "a\n"), **self.options)
        before = children()
        pairs, others = iter(result), iter(result)
        self.assertEqual(next(pairs), next(others))
        self.assertEqual(len(children() - before), 2)
        pairs.close()
        del others
        self.assertEqual(children(), before)


def children():
    """The pids of the children of this process that were not waited for."""
    with open(f"/proc/self/task/{os.getpid()}/children") as f:
        return set(f.read().split())


if __name__ == "__main__":
    unittest.main()
