"""Read annotation pickles without running what is in them.

A pickle is a program: `pickle.load` lets a downloaded file run anything. Here only plain
containers, texts, numbers and numpy arrays can come out; whatever else a file asks for is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tpo_core.errors import InputError

_PLAIN = frozenset(
    {"dict", "list", "tuple", "set", "frozenset", "str", "unicode", "bytes", "bool"}
    | {"int", "long", "float", "complex"}
)
_CONTAINERS = frozenset({"OrderedDict", "defaultdict"})
_BUILTINS = ("builtins", "__builtin__")
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
_ARRAYS = frozenset({"_reconstruct", "scalar"})
_ARRAY_TYPES = frozenset({"ndarray", "dtype"})
_RENAMED = {"unicode": "str", "long": "int"}


def load_pickle(path: Path) -> Any:
    """Return what a pickle of plain data holds, numpy arrays and numbers made plain ones too.

    Texts of Python 2 are read as latin-1.

    Args:
        path: The file.

    Raises:
        InputError: If the file cannot be read, is damaged, or asks for anything but plain data.
    """
    try:
        with path.open("rb") as file:
            return _as_lists(_Plain(file, encoding="latin1").load())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file") from error
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except Exception as error:  # damaged pickles raise whatever the opcodes stumble over
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no pickle that can be read ({why}); get it again") from error


def _as_lists(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _as_lists(value.tolist())
    if isinstance(value, dict):
        return {_as_lists(key): _as_lists(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_lists(inner) for inner in value]
    return tuple(map(_as_lists, value)) if isinstance(value, tuple) else value


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _BUILTINS and name in _PLAIN:
            return super().find_class("builtins", _RENAMED.get(name, name))
        if (
            (module == "collections" and name in _CONTAINERS)
            or (module in _ARRAY_MODULES and name in _ARRAYS)
            or (module == "numpy" and name in _ARRAY_TYPES)
        ):
            # Both names of numpy's module are known to it since version 1.26.
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if module in _BUFFER_MODULES and name == "_frombuffer":
            return _FromBuffer()
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them for Python 2
            return _Latin1()
        raise InputError(
            f"asks for {module}.{name}; expected plain lists, texts, numbers and arrays only, "
            "since anything else could run code: do not trust this file"
        )


# In place of functions written in Python, whose attributes a pickle could set.


class _Latin1:
    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        return text.encode("latin-1")


class _FromBuffer:
    __slots__ = ()

    def __call__(
        self, buffer: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"]
    ) -> np.ndarray[Any, Any]:
        return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)
