"""From a spec's target to the object: late, type-checked, with the cure in every error."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

import tpo_core.registry as facade
from tpo_core import BackboneSpec, DatasetSpec, HeadSpec, TaskToken, hookimpl
from tpo_core.errors import MissingDependency, PluginError, UnknownName
from tpo_core.registry import Provider, Registry

TOKEN = TaskToken(task="point", trigger="<p>", slot="<q>")

MODULE = """
from tpo_core import TaskHead, TaskToken

TOKEN = TaskToken(task="point", trigger="<p>", slot="<q>")

class Concrete(TaskHead):
    tokens = (TOKEN,)
    loss_weights = {}
    def forward(self, states, context): ...
    def loss(self, outputs, targets): ...
    def decode(self, outputs, context): ...

class Abstract(TaskHead):
    def forward(self, states, context): ...

def read(folder):
    return folder

number = 3
"""


def returning(specs):
    @hookimpl
    def hook():
        return specs

    return hook


@pytest.fixture
def register(monkeypatch):
    """Return a function that makes specs the only registered ones."""

    def install(*specs):
        plugin = ModuleType("plugin")
        kinds = {"tpo_heads": HeadSpec, "tpo_backbones": BackboneSpec, "tpo_datasets": DatasetSpec}
        for hook, kind in kinds.items():
            setattr(plugin, hook, returning([spec for spec in specs if type(spec) is kind]))
        registry = Registry()
        registry.add(plugin, provider=Provider(name="mine", dist="mine-dist", version="1.2"))
        assert [row.error for row in registry.statuses()] == [""]
        monkeypatch.setattr(facade, "registry", lambda: registry)

    return install


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"targets_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    importlib.invalidate_caches()
    return name


def head(target, **more):
    return HeadSpec(name="point", target=target, tokens=(TOKEN,), **more)


def test_a_head_is_imported_and_returned(register, module):
    register(head(f"{module}:Concrete"))
    assert facade.load_head("point").__name__ == "Concrete"


def test_a_dataset_is_any_callable(register, module):
    register(DatasetSpec(name="files", target=f"{module}:read"))
    assert facade.load_dataset("files")("here") == "here"


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Concret", "module {module} has no attribute 'Concret'; did you mean 'Concrete'?"),
        ("read", "is an object of type function, expected a subclass of tpo_core.head.TaskHead"),
        ("TOKEN", "is an object of type TaskToken, expected a subclass of tpo_core.head.TaskHead"),
        ("TaskToken", "is class tpo_core.tokens.TaskToken, expected a subclass of"),
        ("Abstract", "class Abstract lacks decode, loss, loss_weights; implement them"),
    ],
)
def test_a_wrong_target_is_the_plugins_error(register, module, attribute, message):
    register(head(f"{module}:{attribute}"))
    with pytest.raises(PluginError) as caught:
        facade.load_head("point")
    assert str(caught.value).startswith("head 'point' of plugin 'mine' (mine-dist 1.2): ")
    assert message.format(module=module) in str(caught.value)


def test_a_dataset_that_cannot_be_called_is_the_plugins_error(register, module):
    register(DatasetSpec(name="files", target=f"{module}:number"))
    with pytest.raises(PluginError, match="is an object of type int, expected a callable"):
        facade.load_dataset("files")


def test_a_module_that_does_not_exist_is_the_plugins_error(register):
    register(head("tpo_core.nowhere:Head"))
    with pytest.raises(PluginError, match=r"names a module that does not exist \(tpo_core.nowhere"):
        facade.load_head("point")


def test_a_module_that_raises_is_the_plugins_error(register, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "raises_on_import.py").write_text("1 / 0")
    register(head("raises_on_import:Head"))
    with pytest.raises(PluginError, match="failed with ZeroDivisionError: division by zero"):
        facade.load_head("point")


def test_a_required_package_that_is_absent_is_named_with_its_hint(register, module):
    hint = "pip install surely-not"
    spec = head(f"{module}:Concrete", requires=("json", "surely_not.sub"), install_hint=hint)
    register(spec)
    with pytest.raises(MissingDependency) as caught:
        facade.load_head("point")
    assert str(caught.value) == (
        "head 'point' of plugin 'mine' (mine-dist 1.2) needs surely_not.sub; "
        "install with: pip install surely-not"
    )


def test_an_import_missing_inside_the_module_is_a_missing_dependency(
    register, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "imports_absent.py").write_text("import surely_not_installed")
    register(head("imports_absent:Head", install_hint="pip install it"))
    with pytest.raises(MissingDependency, match="needs surely_not_installed; install with: pip"):
        facade.load_head("point")


def test_a_class_whose_tokens_differ_from_its_spec_is_the_plugins_error(register, module):
    other = TaskToken(task="point", trigger="<x>", slot="<y>")
    register(HeadSpec(name="point", target=f"{module}:Concrete", tokens=(other,)))
    with pytest.raises(PluginError, match="class Concrete and its spec declare different tokens"):
        facade.load_head("point")


def test_an_unknown_name_gets_a_suggestion(register, module):
    register(head(f"{module}:Concrete"))
    with pytest.raises(UnknownName, match=r"unknown head 'pont'; did you mean 'point'\? \(known:"):
        facade.load_head("pont")


def backbone(name, *model_types):
    return BackboneSpec(name=name, target="a.b:C", model_types=model_types)


def test_a_model_type_finds_the_backbone_that_names_it_before_the_generic_one(register):
    register(backbone("rest", "*"), backbone("llava", "llava", "llava_next"), backbone("tiny"))
    assert facade.backbone_for_model_type("llava_next").name == "llava"
    assert facade.backbone_for_model_type("brand_new").name == "rest"


def test_a_model_type_that_two_backbones_name_is_an_error(register):
    register(backbone("one", "llava"), backbone("two", "llava"))
    with pytest.raises(PluginError, match=r"backbone 'one' of plugin 'mine'.* and backbone 'two'"):
        facade.backbone_for_model_type("llava")


def test_a_model_type_that_nobody_serves_is_unknown(register):
    register(backbone("one", "llava"))
    with pytest.raises(UnknownName, match="unknown model type 'lava'; did you mean 'llava'"):
        facade.backbone_for_model_type("lava")
