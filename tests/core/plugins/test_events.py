"""Event hooks: who is told, in which order, and how a veto reads."""

from __future__ import annotations

import pytest

import tpo_core.registry as facade
from tpo_core import hookimpl
from tpo_core.errors import PluginError
from tpo_core.registry import Provider, Registry


class Watcher:
    """Notes what it is told; `@hookimpl` on methods works as on functions."""

    def __init__(self) -> None:
        self.told = []

    @hookimpl
    def tpo_before_attach(self, backbone, heads):
        self.told.append((backbone, heads))

    @hookimpl
    def tpo_after_attach(self, model):
        model.append("watched")


class NeedsOneParameter:
    @hookimpl
    def tpo_before_attach(self, heads):
        if "mask" in heads:
            raise ValueError("no masks here")


class RefusesModels:
    @hookimpl(tryfirst=True)
    def tpo_after_attach(self, model):
        raise RuntimeError("too big\nfor us")


@pytest.fixture
def registry(monkeypatch):
    registry = Registry()
    monkeypatch.setattr(facade, "registry", lambda: registry)
    return registry


def test_tpo_before_attach_gets_the_backbone_and_the_options_of_each_head(registry):
    watcher = Watcher()
    registry.add(watcher, provider=Provider(name="watcher"))
    facade.before_attach("tiny", heads={"region": {"l1_weight": 1.0}})
    assert watcher.told == [("tiny", {"region": {"l1_weight": 1.0}})]


def test_tpo_before_attach_vetoes_by_raising_and_the_plugin_is_named(registry):
    registry.add(
        NeedsOneParameter(), provider=Provider(name="prude", dist="prude-dist", version="3")
    )
    facade.before_attach("tiny", heads={"region": {}})
    with pytest.raises(PluginError) as caught:
        facade.before_attach("tiny", heads={"mask": {}})
    assert str(caught.value) == (
        "plugin 'prude' (prude-dist 3) vetoed in tpo_before_attach: ValueError: no masks here"
    )
    assert isinstance(caught.value.__cause__, ValueError)


def test_tpo_after_attach_may_change_the_model_in_place(registry):
    registry.add(Watcher(), provider=Provider(name="watcher"))
    model = []
    facade.after_attach(model)
    assert model == ["watched"]


def test_tpo_after_attach_vetoes_before_later_plugins_are_told(registry):
    registry.add(RefusesModels(), provider=Provider(name="strict"))
    registry.add(Watcher(), provider=Provider(name="watcher"))
    model = []
    with pytest.raises(
        PluginError, match=r"^plugin 'strict' vetoed .*RuntimeError: too big for us"
    ):
        facade.after_attach(model)
    assert model == []
