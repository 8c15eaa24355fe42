"""Real distributions on a path: a module, its dist-info with entry points, and a subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TPO = "import sys; from tpo_core.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder that plays site-packages."""

    folder: Path

    def add(
        self, name: str, source: str, *, version: str = "1.0", entry: str = "", value: str = ""
    ) -> None:
        """Install a distribution that holds one module, the plugin `name`.

        Args:
            name: The distribution's name.
            source: The module's text.
            version: The distribution's version.
            entry: The entry point's name; the distribution's if empty.
            value: What the entry point names; the module if empty.
        """
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[tpo]\n{entry or name} = {value or module}\n")

    def install(self, project: Path) -> None:
        """Build a project with its own build backend and install it, without its dependencies."""
        command = ["install", "--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run(
            [sys.executable, "-m", "pip", *command, "--target", str(self.folder), str(project)],
            check=True,
            capture_output=True,
            timeout=300,
        )

    def python(
        self, code: str, *arguments: str, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run code in a fresh interpreter that sees the folder first."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TPO_")}
        path = os.pathsep.join(filter(None, (str(self.folder), clean.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**clean, **environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def tpo(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.python(TPO, *words, **environ)

    def rows(self, **environ: str) -> dict[str, dict[str, Any]]:
        """Return what `tpo plugins --json` says of each plugin, by name."""
        done = self.tpo("plugins", "--json", **environ)
        assert done.stdout, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))
