"""Tenon, with weights read (the default), mapped, and mapped in packed form."""
import time
from pathlib import Path

import numpy as np

from .base import Caller, Engine


class Tenon(Engine):
    name = "tenon"
    module = "tenon"

    @classmethod
    def version(cls):
        return cls.open().__version__

    def settings(self):
        return {"threads": self.setup.threads, "dims": self.setup.symbols()} | self.setup.options

    def load(self):
        self.model = self.open().load(self.setup.source, **self.settings())

    def caller(self, arrays):
        return TenonCaller(self.model.session(), arrays)


class TenonMapped(Tenon):
    """Weights viewed in a mapping of the file, as onnxruntime has external data by default."""
    name = "tenon-mapped"

    def settings(self):
        return super().settings() | {"map_weights": True}


class TenonCached(Tenon):
    """Packed weights mapped from the cache that an earlier load wrote."""
    name = "tenon-cached"

    @classmethod
    def prepare(cls, setup):
        if cls(setup).load().cache_note:  # of files that were changed in the last seconds nothing is kept, nor of small models
            time.sleep(3)
            cls(setup).load()

    def load(self):
        super().load()
        return self.model

    def settings(self):
        return super().settings() | {"cache_directory": str(Path(self.setup.folder) / "cache")}


class TenonCaller(Caller):
    def __init__(self, session, arrays):
        self.session = session
        self.run = session.run
        self.feed(arrays)

    def feed(self, arrays):
        for name, array in arrays.items():
            self.session.bind_input(name, array)

    def keep_outputs(self):
        for name, array in self.session.outputs.items():
            self.session.bind_output(name, np.array(array))

    def outputs(self):
        return [np.array(array) for array in self.session.run().values()]
