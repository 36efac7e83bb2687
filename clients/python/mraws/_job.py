"""run, and the result of a job."""

import datetime
import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import tempfile

from . import _codec, _engine, _progress, _ship, _work
from ._errors import Error, JobError, ShipError

_FILE = "job.pyz"  # of the functions, in the working directory of commands


def run(
    mapper,
    reducer=None,
    combiner=None,
    input=None,
    *,
    bucket=None,
    prefix=None,
    endpoint=None,
    region=None,
    profile=None,
    local=None,
    data_dir=None,
    format=None,
    columns=None,
    nreduce=None,
    workers=None,
    batch=None,
    as_bytes=None,
    include=(),
    exclude=(),
    inventory=(),
    input_store=None,
    no_sign_request=None,
    request_payer=None,
    files=(),
    archives=(),
    named_outputs=(),
    env=None,
    python=None,
    settings=None,
    progress=None,
    binary=None,
):
    """Run a job and return its Result when it is done.

    mapper    function of a line, str without its line break, which yields or returns
              pairs (key, value); or a command as str that reads and writes lines. With
              batch=True, or marked with @mraws.batch, function of a list of lines
    reducer   function of a key and an iterator over its values, which yields or returns
              pairs, or returns the value of its key; or a command. None: the output is
              that of the mapper, in input order
    combiner  the same, for pairs of one map task: it makes fewer pairs of them
    input     file, folder or glob, which are uploaded; "s3://bucket/folder/",
              "s3://bucket/object" or a glob "s3://bucket/folder/**/*.gz", which are read
              where they are; or a list of these. None is what lies below input/ of
              `bucket` and `prefix`

    format    what a record of the input is: "lines", "csv", "tsv", "json", "parquet",
              "fixed:N", "delimiter:S". A row of a table is a line of JSON: json.loads
              makes a dict of it
    columns   list of columns to read of a table, such as ["status", "request.path"]; all
              by default

    bucket    name of a bucket of S3, or of the server `endpoint`, an URL, with the
              credentials of AWS's environment or of `profile`. Without it, it is that of
              an `input` in S3, unless that is read by input_store, no_sign_request or
              request_payer; else the embedded server runs on a data folder, and on no
              other machine
    prefix    of the job in the bucket. Without it each call is a job of its own; with
              it, the same call resumes the job
    local     True for the embedded server whatever the environment says
    data_dir  of the embedded server; without it, a temporary folder that goes with the
              Result
    nreduce   number of reduce tasks and of partitions of the output
    workers   number of processes that run tasks at a time; one for each core by default
    as_bytes  True: a mapper gets lines as bytes, as with @mraws.as_bytes
    include   globs: take only these files and objects of the input
    exclude   globs: leave out these
    inventory "s3://bucket/.../manifest.json" of an S3 Inventory, whose objects are input
              as well; or a list of these
    input_store  "aws": buckets of input, but for that of the job, are those of AWS, also
              where the job is on another server, such as the embedded one
    no_sign_request  True: read them without credentials, as public ones
    request_payer  "requester": pay for the requests to them
    files     paths to ship into the working directory of functions and commands
    archives  .tar, .tar.gz, .tgz or .zip to unpack there, into a folder of that name
    named_outputs  names of outputs besides that of the job, to which functions write what
              mraws.to(name, line) returns; Result.lines(named=name) reads one
    env       dict of variables for functions and commands
    python    program that starts the functions; by default the Python that runs this.
              Workers on other machines need "python3" or the like
    settings  dict of further settings of the program mraws, such as
              {"split-size": "16MiB", "max-attempts": 1}
    progress  True, False, None to show it on a terminal and in a notebook, or a function
              that is called with a Progress
    binary    path of the program mraws; by default MRAWS_BINARY, then PATH

    Raises ShipError before anything has begun, BinaryNotFound, and JobError, which has
    the traceback of a function that failed. KeyboardInterrupt stops the job with all its
    processes first.
    """
    program = _engine.find(binary)
    place = _Place(bucket, prefix, endpoint, region, profile, local, data_dir)
    inventory = [inventory] if isinstance(inventory, str) else list(inventory)
    others = {"input-store": input_store, "no-sign-request": no_sign_request, "request-payer": request_payer}
    inputs = place.inputs(input, inventory, any(others.values()))
    roles = {"mapper": mapper, "combiner": combiner, "reducer": reducer}
    functions = {r: f for r, f in roles.items() if f is not None and not isinstance(f, str)}
    if mapper is None:
        raise ShipError("mapper is None: it must be a function, or a command as str")
    work = _work.Folder()
    try:
        argv = [program, "run", *place.flags(work.name, _name(mapper), bool(inputs or inventory))]
        argv += ["-o", "json", "--progress", "json", "--log-format", "json", "--log-level", "warn", "--head", "0"]
        ship = list(files)
        if functions:
            shipped = os.path.join(work.name, _FILE)
            with open(shipped, "wb") as f:
                f.write(_ship.archive(functions, reducer is not None, batch, as_bytes))
            ship.append(shipped)
            env = {"PYTHONHASHSEED": "0", **(env or {})}  # two attempts go through sets alike
        for role, f in roles.items():
            if f is not None:
                argv += ["--" + role, f if isinstance(f, str) else f"{shlex.quote(python or sys.executable or 'python3')} {_FILE} {role}"]
        for name, values in (("file", ship), ("archive", archives), ("named-outputs", named_outputs), ("include", include), ("exclude", exclude), ("in-inventory", inventory)):
            for value in values:
                argv += ["--" + name, os.fspath(value)]
        for name, value in (env or {}).items():
            argv += ["--env", f"{name}={value}"]
        if columns is not None:
            columns = ",".join('"' + c.replace('"', '""') + '"' for c in columns)
        for name, value in {"format": format, "columns": columns, "nreduce": nreduce, "workers": workers, **others, **(settings or {})}.items():
            if value is not None:
                argv.append(f"--{name.replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}")
        out = None
        if place.local:  # the server runs no longer than the command
            out = os.path.join(work.name, "out")
            argv += ["--out", out]
        show = _progress.shower(progress)
        try:
            doc = json.loads(_engine.call([*argv, "--", *inputs], show))
        except JobError as e:
            show("mraws: failed")
            if place.temporary and e.exit_code == _engine.JOB_FAILED:
                e.hint = "the job was in a temporary folder; with data_dir= it is kept, and a task of it can be run again"
            raise
        except BaseException:
            show("mraws: stopped")
            raise
        tasks = doc["map"]["tasks"] + doc["reduce"]["tasks"]
        if callable(progress):
            progress(_progress.Progress("done", tasks, tasks, doc["seconds"]))
        show(f"mraws: done in {doc['seconds']:.1f} s, {doc['map']['tasks']} map tasks, {doc['reduce']['tasks']} reduce tasks")
    except BaseException:
        work.cleanup()
        raise
    return Result(doc, program, place.store(doc), work, out, place.temporary)


def _name(mapper):
    """What a job is called by default."""
    name = "command" if isinstance(mapper, str) else getattr(mapper, "__name__", type(mapper).__name__)
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "job"


class _Place:
    """Where a job is."""

    def __init__(self, bucket, prefix, endpoint, region, profile, local, data_dir):
        self.bucket, self.prefix, self.endpoint, self.region, self.profile = bucket, prefix, endpoint, region, profile
        self.asked, self.data_dir = local, data_dir
        self.local = self.temporary = False

    def inputs(self, given, inventory, others):
        """Take the input, and return the arguments of the program for it. others says that
        settings name how buckets are read which are not the job's."""
        if given is None:
            given = []
        elif isinstance(given, (str, os.PathLike)):
            given = [given]
        inputs = [os.fspath(i) for i in given]
        remote = [i for i in [*inputs, *inventory] if i.startswith("s3://") and not others]
        here = self.asked or self.data_dir
        if remote and here and not self.data_dir:
            raise Error(f"{remote[0]} is not on a new embedded server: name its data_dir, or leave out local")
        if remote and not here and self.bucket is None and "MRAWS_BUCKET" not in os.environ:
            self.bucket = remote[0][len("s3://") :].partition("/")[0]
        elsewhere = self.bucket or self.endpoint or self.region or self.profile or "MRAWS_BUCKET" in os.environ
        if self.asked and (self.bucket or self.endpoint or self.region or self.profile):
            raise Error("local=True contradicts bucket, endpoint, region and profile")
        self.local = bool(self.asked or self.data_dir or not elsewhere and self.asked is None)
        self.temporary = self.local and self.data_dir is None
        if not inputs and not inventory and given == [] and self.temporary:
            raise Error("no input: name files, folders or globs, or a bucket whose input/ has them")
        return inputs

    def flags(self, work, name, own):
        """The flags of run. own says that the job has input of its own."""
        if self.temporary:
            self.data_dir = os.path.join(work, "data")
        if self.prefix is None and own and not self.local:
            now = datetime.datetime.now(datetime.timezone.utc)
            self.prefix = f"{name}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        return self.common()

    def common(self):
        """The flags of every command."""
        flags = ["--local", "--data-dir", os.fspath(self.data_dir)] if self.local else []
        for name in ("bucket", "prefix", "endpoint", "region", "profile"):
            value = getattr(self, name)
            if value is not None:
                flags.append(f"--{name}={value}")
        return flags

    def store(self, doc):
        """The flags of commands on a job that was run."""
        self.bucket, self.prefix = doc["bucket"], doc["prefix"]
        return self.common()


class Result:
    """What a job has made: iterate over it for its pairs (key, value), in order of
    partition, sorted by the bytes of the key within each.

    Each iteration reads the output once more, a block at a time. A line of a command
    without a tab has the value None.

    summary    dict of all that the program says of the job
    job        its id
    bucket, prefix, output  where it is; output is an URL s3://bucket/prefix/output/
    counters   dict from "group,name" to int
    seal       hex digest of all that the job has left, for verify
    seconds    that it took
    partitions number of partitions of the output
    """

    def __init__(self, summary, program, store, work, out, temporary):
        self.summary = summary
        self.job, self.bucket, self.prefix, self.output = (summary[k] for k in ("job", "bucket", "prefix", "output"))
        self.counters, self.seal, self.seconds = summary["counters"], summary["seal"], summary["seconds"]
        self.partitions = len(summary["outputs"])
        self._program, self._store, self._work, self._out = program, store, work, out
        self._temporary = temporary  # the job goes with the folder work
        self._removed = False

    def __repr__(self):
        lines = sum(o["lines"] for o in self.summary["outputs"])
        return f"<mraws.Result {self.job}: {lines:,} lines in {self.output}, {self.seconds:.1f} s>"

    def __iter__(self):
        return _codec.pairs_of(self.lines())

    def lines(self, partition=None, named=None):
        """Iterate over the lines of the output as str, without line breaks: of all
        partitions, or of one from 0. named is the name of a named output to read in
        place of the output."""
        if partition is not None and not 0 <= partition < self.partitions:
            raise IndexError(f"there is no partition {partition}: the job has {self.partitions}, numbered from 0")
        self._needs(self._out)
        return self._files(partition, named) if self._out else self._stream(partition, named)

    def _needs(self, folder):
        """Raise an Error if what is asked for is gone; folder says that it is in the
        temporary folder."""
        if self._removed:
            raise Error(f"the job was removed: nothing is left of {self.job}")
        if folder and self._work.removed:
            raise Error("the result is closed: its output was in temporary files, which are removed")

    def _files(self, partition, named):
        folder = os.path.join(self._out, "_named", named) if named else self._out
        for r in range(self.partitions) if partition is None else [partition]:
            if named and not os.path.exists(os.path.join(folder, f"mr-out-{r}")):
                continue  # its task has written nothing there
            with open(os.path.join(folder, f"mr-out-{r}"), newline="\n", **_codec.ENCODING) as f:
                for line in f:
                    yield line[:-1] if line.endswith("\n") else line

    def _stream(self, partition, named):
        argv = [self._program, "cat", *self._store, "-o", "json", "--log-level", "error"]
        if partition is not None:
            argv += ["--partition", str(partition)]
        if named:
            argv += ["--named", named]
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=_engine.environment(),
                start_new_session=True, **_codec.ENCODING,
            )  # fmt: skip
            try:
                child.stdout.reconfigure(newline="\n")
                for line in child.stdout:
                    yield line[:-1] if line.endswith("\n") else line
                code = child.wait()
            finally:  # also where the iteration ends early
                child.kill()
                child.stdout.close()
                child.wait()
            if code != 0:
                said = _engine._Said()
                errors.seek(0)
                for line in errors.read().decode("utf-8", "replace").splitlines():
                    said.line(line)
                raise said.error(code, argv)

    def to_pandas(self, columns=("key", "value")):
        """The pairs as a pandas.DataFrame of two columns. Needs pandas, and memory for
        all of them."""
        import pandas

        return pandas.DataFrame(list(self), columns=list(columns))

    def to_arrow(self, columns=("key", "value")):
        """The pairs as a pyarrow.Table of two columns, whose types Arrow infers. Needs
        pyarrow, and memory for all of them. Raises pyarrow.ArrowInvalid for keys or
        values of types that do not go into one column."""
        import pyarrow

        pairs = list(self)
        return pyarrow.table({name: pyarrow.array([p[i] for p in pairs]) for i, name in enumerate(columns)})

    def verify(self):
        """Check the job by `mraws verify`: that nothing was lost between map and reduce,
        and that all it left is as its seal says. It runs no functions. Return the report,
        a dict; raises JobError with exit code 8 for a difference."""
        self._needs(self._temporary)
        return json.loads(_engine.call([self._program, "verify", *self._store, "-o", "json", "--log-format", "json", "--seal", self.seal]))

    def remove(self):
        """Delete the job, with its uploaded input, from the bucket or data folder. Nothing
        happens if it has gone by remove or, with its temporary folder, by close."""
        if self._removed or self._temporary and self._work.removed:
            return
        _engine.call([self._program, "reset", *self._store, "--yes", "--input", "-o", "json", "--log-format", "json"])
        self._removed = True
        self.close()

    def close(self):
        """Remove the temporary files of a job on the embedded server. It is done too
        when nothing refers to the Result, or Python ends."""
        self._work.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
