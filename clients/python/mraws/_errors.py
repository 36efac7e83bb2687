"""The errors of this package."""


class Error(Exception):
    """What all errors of this package are."""


class BinaryNotFound(Error):
    """The program mraws is not found, or cannot be started."""


class ShipError(Error, TypeError):
    """A function, or an object that it uses, cannot be sent to workers."""


class JobError(Error):
    """A command of the program mraws has failed.

    message    what failed, one line
    exit_code  of the command: 4 for a job that failed, see the README of mraws;
               negative is the number of the signal that ended it
    causes     lines of text, outermost first
    hint       what to do, "" if there is nothing to say
    traceback  of the function on the worker, as text; None if no function raised
    """

    def __init__(self, message, exit_code, causes=(), hint="", traceback=None):
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.causes = list(causes)
        self.hint = hint
        self.traceback = traceback

    def __str__(self):
        parts = [f"{self.message} (exit code {self.exit_code})"]
        parts += ["  " + line for line in self.causes]
        if self.traceback:
            parts.append("on the worker:\n" + self.traceback.rstrip("\n"))
        if self.hint:
            parts.append("hint: " + self.hint)
        return "\n".join(parts)

    def __reduce__(self):
        return type(self), (self.message, self.exit_code, self.causes, self.hint, self.traceback)
