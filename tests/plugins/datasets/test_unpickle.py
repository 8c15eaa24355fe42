"""Pickles give plain data and never run code."""

from __future__ import annotations

import collections
import os
import pickle

import numpy as np
import pytest

from tpo_core.errors import InputError
from tpo_plugins.datasets.unpickle import load_pickle

PLAIN = {"a": [1, 2.5, None, True], ("t", 1): {"x"}, "b": b"bytes", "o": "é"}


class Call:
    """A pickle that calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_come_out_as_they_are(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol=protocol))
    assert load_pickle(path) == PLAIN


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_and_their_numbers_become_plain(tmp_path, protocol):
    value = {
        "times": np.array([[1.5, 2], [3, 4]]),
        "one": np.float32(0.5),
        "ids": collections.OrderedDict(a=np.arange(2)),
        "more": collections.defaultdict(list, b=[np.int64(3)]),
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    expected = {"times": [[1.5, 2], [3, 4]], "one": 0.5, "ids": {"a": [0, 1]}, "more": {"b": [3]}}
    assert load_pickle(path) == expected


def test_texts_of_python_2_are_latin_1(tmp_path):
    # pickle.dumps([{u"sent": u"left", "raw": "caf\xe9", "id": 2L ** 40}], 2) of Python 2.7
    content = (
        b"\x80\x02]q\x00}q\x01(X\x04\x00\x00\x00sentq\x02X\x04\x00\x00\x00leftq\x03"
        b"U\x03rawq\x04U\x04caf\xe9q\x05U\x02idq\x06\x8a\x06\x00\x00\x00\x00\x00\x01ua."
    )
    (tmp_path / "a.pkl").write_bytes(content)
    assert load_pickle(tmp_path / "a.pkl") == [{"sent": "left", "raw": "café", "id": 2**40}]


ATTACKS = {
    "os.system": Call(os.system, "touch {}"),
    "eval": Call(eval, "open('{}', 'w')"),
    "getattr": Call(getattr, os, "sep"),
    "nested": {"a": [Call(os.mkdir, "{}")]},
    "numpy": Call(np.fromfile, "{}"),
    "class": collections.Counter("ab"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_anything_else_is_refused_by_name_and_nothing_runs(tmp_path, attack, protocol):
    mark = tmp_path / "mark"
    value = ATTACKS[attack]
    if isinstance(value, Call):
        function, arguments = value.call
        arguments = [a.format(mark) if isinstance(a, str) else None for a in arguments]
        value = Call(function, *arguments)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(InputError, match=r"a\.pkl asks for [\w.]+; expected plain lists"):
        load_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps(list(range(99)))[:-9], b"cos\nsystem\n.junk"]
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl"):
        load_pickle(tmp_path / "a.pkl")
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        load_pickle(tmp_path / "none.pkl")
