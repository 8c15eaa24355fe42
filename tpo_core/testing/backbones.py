"""The conformance kit for backbones: subclass it, give one fixture, get every contract test."""

from __future__ import annotations

from tpo_core.testing.backbone_decoding import DecodingTests
from tpo_core.testing.backbone_forward import ForwardTests
from tpo_core.testing.backbone_rendering import RenderingTests
from tpo_core.testing.backbone_training import TrainingTests


class BackboneConformance(RenderingTests, ForwardTests, DecodingTests, TrainingTests):
    """Subclass, define a class-scoped fixture `backbone` that loads an adapter, run pytest.

    ```python
    class TestMine(BackboneConformance):
        @pytest.fixture(scope="class")
        def backbone(self) -> BackboneAdapter:
            return MyAdapter.load("a/tiny/checkpoint")
    ```

    Use a small model in fp32 on the CPU with a few hundred tokens of context. The class attributes
    of `BackboneCase` say what the backbone takes.
    """
