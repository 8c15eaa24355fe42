"""Where a checkpoint lies: folder, installed package or hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpo_core.errors import InputError
from tpo_core.resources import resolve


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize("name", ["llava-hf/llava-onevision-qwen2-7b-ov-hf", "owner/name.v2"])
def test_a_hub_id_is_itself(name: str) -> None:
    assert resolve(name) == name


def test_files_of_a_package_are_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "heavy_package"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert resolve("package:heavy_package/weights") == str(package / "weights")
    with pytest.raises(InputError, match="did you mean"):
        resolve("package:heavy_package/weight")


def test_an_absent_package_is_named() -> None:
    with pytest.raises(InputError, match=r"'no_such_package' of .* is not installed"):
        resolve("package:no_such_package/folder")


def test_a_missing_path_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(InputError, match=r"did you mean .*checkpoint'\?"):
        resolve(str(tmp_path / "chekpoint"))
    with pytest.raises(InputError, match="check the path, or give a hub id"):
        resolve("./nothing/like/it")
