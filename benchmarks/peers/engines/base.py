"""What an engine is, to those who measure. Everything here but the class methods runs in the process of one engine.

An engine is given a Setup. settings() is all that it is told beside the model, in one place; it goes into the JSON. load() makes what
callers share, caller(arrays) the buffers of one of them, bound to arrays by input name. What an engine cannot take raises; refusal() says
so beforehand, where it is known.
"""
import dataclasses
import importlib
import importlib.metadata
import os
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Setup:
    """source: the ONNX file or its bytes. inputs: [(name, dtype name, dims)], symbols by name. outputs: names. sizes: of the symbols.

    dynamic: sizes change from run to run. callers: threads that will run the one model at once. folder: where converted files lie.
    options: settings that a trial chose, which go over the engine's own.
    """
    source: str | bytes
    inputs: list
    outputs: list
    threads: int = 1
    sizes: dict = dataclasses.field(default_factory=dict)
    dynamic: bool = False
    callers: int = 1
    folder: str = ""
    options: dict = dataclasses.field(default_factory=dict)

    def dims(self):
        """Input -> its dims in numbers."""
        return {name: [d if isinstance(d, int) else self.sizes.get(d, 1) for d in dims] for name, _, dims in self.inputs}

    def symbols(self):
        """Symbol -> size, of the sizes that may be fixed at load."""
        return {} if self.dynamic else {d: self.sizes.get(d, 1) for _, _, dims in self.inputs for d in dims if isinstance(d, str) and d}


class Engine:
    name = ""
    module = ""   # what Python imports
    package = ""  # what pip installs

    def __init__(self, setup):
        self.setup = setup

    @classmethod
    def open(cls):
        """Imports the library, which is no part of a load."""
        return importlib.import_module(cls.module)

    @classmethod
    def version(cls):
        return importlib.metadata.version(cls.package)

    @classmethod
    def refusal(cls, setup):
        """Why the engine cannot be asked for this, or None."""
        return None

    @classmethod
    def trials(cls):
        """Options of which a trial takes the fastest."""
        return [{}]

    @classmethod
    def files(cls, setup):
        """What a load reads."""
        return files_of(setup.source)

    @classmethod
    def prepare(cls, setup):
        """Writes the engine's own model file into setup.folder, unless it is there: for engines that do not read ONNX."""

    def settings(self):
        return {}

    def load(self):
        raise NotImplementedError

    def caller(self, arrays):
        raise NotImplementedError


def files_of(source):
    """An ONNX file and its external data, which lies beside it under the same name."""
    return sorted(Path(source).parent.glob(f"{Path(source).stem}.*"))


def converted(file, source, recipe, convert):
    """Calls convert(), which writes `file` from `source`, unless it is there, newer than the source, and of this recipe: how it is made."""
    note = Path(f"{file}.recipe")
    if file.is_file() and note.is_file() and note.read_text() == recipe and file.stat().st_mtime > os.stat(source).st_mtime:
        return
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    convert()
    if file.is_file():
        note.write_text(recipe)


class Caller:
    def feed(self, arrays):
        """Binds other arrays, of other sizes where the setup is dynamic."""
        raise NotImplementedError

    def run(self):
        """Computes on the bound arrays; the results stay where the engine puts them."""
        raise NotImplementedError

    def keep_outputs(self):
        """After a first run: from now on results go to memory that is made here, where the engine can do that."""

    def outputs(self):
        """The results of a run, copied, in the model's order."""
        raise NotImplementedError
