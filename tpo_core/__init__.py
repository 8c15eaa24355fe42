"""Task Preference Optimization: attach task heads to a multimodal LLM, train, and ask.

    import tpo_core as tpo

    model = tpo.attach("tiny", heads=["region", "temporal", "mask"])
    answer = model.predict("clip.mp4", "When does the red circle appear?")

Every name is imported on first use, so that `import tpo_core` and listing plugins stay fast and
import neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpo_core import errors
    from tpo_core.backbone import BackboneAdapter
    from tpo_core.build import attach, from_pretrained
    from tpo_core.errors import (
        CheckpointError,
        InputError,
        MediaError,
        MissingDependency,
        PluginError,
        RecordError,
        TpoError,
        UnknownName,
    )
    from tpo_core.evaluation import evaluate, score_predictions
    from tpo_core.head import TaskHead
    from tpo_core.hookspecs import hookimpl
    from tpo_core.inference import Answer, Question
    from tpo_core.records.source import open_dataset
    from tpo_core.registry import (
        list_backbones,
        list_benchmarks,
        list_datasets,
        list_heads,
        plugins,
    )
    from tpo_core.specs import BackboneSpec, BenchmarkSpec, DatasetSpec, HeadSpec
    from tpo_core.tokens import TaskToken
    from tpo_core.training import train

    __version__: str

_NAMES_OF = {
    "backbone": ("BackboneAdapter",),
    "build": ("attach", "from_pretrained"),
    "errors": (
        "CheckpointError",
        "InputError",
        "MediaError",
        "MissingDependency",
        "PluginError",
        "RecordError",
        "TpoError",
        "UnknownName",
    ),
    "evaluation": ("evaluate", "score_predictions"),
    "head": ("TaskHead",),
    "hookspecs": ("hookimpl",),
    "inference": ("Answer", "Question"),
    "records.source": ("open_dataset",),
    "registry": ("list_backbones", "list_benchmarks", "list_datasets", "list_heads", "plugins"),
    "specs": ("BackboneSpec", "BenchmarkSpec", "DatasetSpec", "HeadSpec"),
    "tokens": ("TaskToken",),
    "training": ("train",),
}
_HOME = {name: f"tpo_core.{module}" for module, names in _NAMES_OF.items() for name in names}

__all__ = [
    "Answer",
    "BackboneAdapter",
    "BackboneSpec",
    "BenchmarkSpec",
    "CheckpointError",
    "DatasetSpec",
    "HeadSpec",
    "InputError",
    "MediaError",
    "MissingDependency",
    "PluginError",
    "Question",
    "RecordError",
    "TaskHead",
    "TaskToken",
    "TpoError",
    "UnknownName",
    "__version__",
    "attach",
    "errors",
    "evaluate",
    "from_pretrained",
    "hookimpl",
    "list_backbones",
    "list_benchmarks",
    "list_datasets",
    "list_heads",
    "open_dataset",
    "plugins",
    "score_predictions",
    "train",
]


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # A module `__getattr__` would make type checkers accept any name.

    def __getattr__(name: str) -> object:
        """Import a public name from its home (PEP 562) and keep it."""
        if name == "errors":
            value = import_module("tpo_core.errors")
        elif name == "__version__":
            from importlib.metadata import version

            value = version("tpo")
        elif name in _HOME:
            value = getattr(import_module(_HOME[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value
