"""The exceptions of tenon. Each has the fields of Error; `str(error)` is all of them in one line."""
import enum


class Code(enum.IntEnum):
    """Why a call failed; the values are those of the C API."""

    OK = 0
    ARGUMENT = 1
    LOAD = 2
    SHAPE = 3
    RUN = 4
    LIMIT = 5
    CANCELLED = 6
    NOMEM = 7
    IO = 8
    INTERNAL = 9


class Error(Exception):
    """A load or run that failed. Fields that are not known, or not about a node, are empty."""

    def __init__(self, message, *, code=Code.INTERNAL, text="", node="", op="", domain="", opset=0, tensor="", source=""):
        super().__init__(message)
        self.message = message
        self.code = Code(code)
        self.text = text or message
        self.node, self.op, self.domain, self.opset = node, op, domain, opset
        self.tensor, self.source = tensor, source

    def __str__(self):
        return self.message

    def __reduce__(self):
        return _restore, (self.message, int(self.code), self.text, self.node, self.op, self.domain, self.opset, self.tensor, self.source)


class ArgumentError(Error, ValueError):
    """The caller broke the contract: an unknown name, a wrong dtype or shape of an input."""


class LoadError(Error):
    """The model file is malformed or uses something this build does not have."""


class ShapeError(Error):
    """Shapes, dtypes or attribute values inside the model do not fit together."""


class RunError(Error):
    """The values of a tensor make the operation impossible."""


class LimitError(Error):
    """A limit (nodes, rank, depth, memory, timeout) was reached."""


class CancelledError(Error):
    """The Cancel token was set, or the progress callback asked to stop."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class FileError(Error, OSError):
    """A file could not be opened or read."""


class InternalError(Error):
    """A broken invariant of the library: please report."""


_CLASSES = {
    Code.ARGUMENT: ArgumentError, Code.LOAD: LoadError, Code.SHAPE: ShapeError, Code.RUN: RunError, Code.LIMIT: LimitError,
    Code.CANCELLED: CancelledError, Code.NOMEM: OutOfMemoryError, Code.IO: FileError, Code.INTERNAL: InternalError,
}


def make(code, message, text, node, op, domain, opset, tensor, source):
    """The exception for an error of the C API."""
    cls = _CLASSES.get(code, Error)
    return cls(message, code=code if code in _CLASSES else Code.INTERNAL, text=text, node=node, op=op, domain=domain, opset=opset,
               tensor=tensor, source=source)


def _restore(message, code, *fields):
    return make(code, message, *fields)
