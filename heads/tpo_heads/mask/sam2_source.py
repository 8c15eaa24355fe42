"""Where a frozen SAM2 comes from: an installed package, a folder, a released file, or the hub.

Only the `sam2` package's own classes are built, and a configuration may name nothing else: hydra
would import and call any `_target_` it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

from tpo_core.errors import CheckpointError, InputError, MissingDependency

PACKAGE_PREFIX = "package:"
CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "model.safetensors"


def load_sam2(source: str) -> Any:
    """Build a frozen SAM2 in float32 on the CPU, in evaluation mode.

    Args:
        source: One of
            `"package:tpo_plugins/tiny/sam2"`: files inside an installed package, found without
            importing anything below its top;
            a folder with `config.yaml` (`model:` as in sam2's own configurations) and
            `model.safetensors` (or a released `.pt` file);
            a path to a file named as Meta releases them (`sam2_hiera_large.pt`), whose
            configuration sam2 brings;
            a hub id that sam2 knows (`facebook/sam2-hiera-large`).

    Returns:
        A `sam2.modeling.sam2_base.SAM2Base`; no parameter requires a gradient.

    Raises:
        InputError: If the source is none of these, or its configuration names other classes.
        CheckpointError: If the weights are absent or do not fit.
        MissingDependency: If the `sam2` package is not installed.
    """
    if find_spec("sam2") is None:
        raise MissingDependency(
            "the mask head needs the sam2 package, which is not installed; "
            "run: pip install 'sam2>=1.1,<1.2'"
        )
    with torch.device("cpu"):
        if source.startswith(PACKAGE_PREFIX):
            sam = _from_package(source)
        elif Path(source).is_dir():
            sam = _from_folder(Path(source), source)
        elif Path(source).is_file():
            sam = _from_released_file(Path(source))
        else:
            sam = _from_hub(source)
    return sam.float().eval().requires_grad_(False)


def build_sam2(config: Mapping[str, Any]) -> Any:
    """Build a SAM2 with fresh weights from a configuration.

    Args:
        config: The mapping below `model:` in sam2's configurations; every `_target_` must lie in
            the sam2 package.

    Raises:
        InputError: If a `_target_` is outside sam2.
    """
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    for target in _targets(config):
        if not target.startswith("sam2."):
            raise InputError(
                f"SAM2 configuration names the class {target!r}; only classes of the sam2 package "
                "are built, so correct the `_target_`"
            )
    return instantiate(OmegaConf.create(dict(config)), _recursive_=True)


def read_config(text: str, *, source: str) -> dict[str, Any]:
    """Parse the text of a `config.yaml` and return what stands below `model:`.

    Raises:
        InputError: If it is not YAML or has no such mapping.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        # Not yaml's own loader, for which sam2's `1e-6` is a text.
        parsed = OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"SAM2 configuration of {source!r} is not YAML: {error}") from error
    model = parsed.get("model") if isinstance(parsed, dict) else None
    if not isinstance(model, dict) or "_target_" not in model:
        raise InputError(
            f"SAM2 configuration of {source!r} has no mapping `model` with a `_target_`; "
            "write it as sam2's own configs/*.yaml are"
        )
    return model


def _targets(config: Any) -> Iterator[str]:
    """Yield every hydra `_target_` in nested mappings and lists."""
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield str(config["_target_"])
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _targets(value)


def _from_package(source: str) -> nn.Module:
    package, _, inside = source.removeprefix(PACKAGE_PREFIX).partition("/")
    if not package or find_spec(package) is None:
        raise InputError(
            f"SAM2 source {source!r} names the package {package!r}, which is not installed; "
            "install it or give a folder or a hub id"
        )
    with ExitStack() as stack:
        folder = stack.enter_context(resources.as_file(resources.files(package) / inside))
        if not folder.is_dir():
            raise InputError(f"SAM2 source {source!r} is no folder of the package {package!r}")
        return _from_folder(folder, source)


def _from_folder(folder: Path, source: str) -> nn.Module:
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise InputError(f"SAM2 folder {source!r} has no {CONFIG_FILE}; expected it and weights")
    sam: nn.Module = build_sam2(read_config(config.read_text(encoding="utf-8"), source=source))
    _load_weights(sam, _read_folder_weights(folder, source), source)
    return sam


def _read_folder_weights(folder: Path, source: str) -> dict[str, Tensor]:
    if (folder / WEIGHTS_FILE).is_file():
        return load_file(folder / WEIGHTS_FILE)
    released = sorted(folder.glob("*.pt"))
    if len(released) != 1:
        raise CheckpointError(
            f"SAM2 folder {source!r} has no {WEIGHTS_FILE} and {len(released)} .pt files; "
            "expected one or the other"
        )
    return _read_released(released[0])


def _read_released(path: Path) -> dict[str, Tensor]:
    """Read a `.pt` file as Meta releases them, without unpickling anything but tensors."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)["model"]
    except Exception as error:
        raise CheckpointError(
            f"SAM2 weights {str(path)!r} cannot be read ({error}); download the file again"
        ) from error
    return dict(weights)


def _load_weights(sam: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    try:
        sam.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"weights of SAM2 {source!r} do not fit its configuration: {error}"
        ) from error


def _from_released_file(path: Path) -> nn.Module:
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES, build_sam2_video_predictor

    configs = {weights: config for config, weights in HF_MODEL_ID_TO_FILENAMES.values()}
    if path.name not in configs:
        raise InputError(
            f"SAM2 file {str(path)!r} is not named like a released one ({', '.join(configs)}); "
            f"put it in a folder with a {CONFIG_FILE}"
        )
    sam: nn.Module = build_sam2_video_predictor(configs[path.name], device="cpu")
    _load_weights(sam, _read_released(path), str(path))
    return sam


def _from_hub(source: str) -> nn.Module:
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES, build_sam2_video_predictor_hf

    if source not in HF_MODEL_ID_TO_FILENAMES:
        raise InputError(
            f"SAM2 source {source!r} is no folder, no file and no hub id that sam2 knows; expected "
            f"'package:...', a path, or one of {', '.join(HF_MODEL_ID_TO_FILENAMES)}"
        )
    try:
        sam: nn.Module = build_sam2_video_predictor_hf(source, device="cpu")
    except OSError as error:  # huggingface_hub's errors and requests' are OSErrors
        raise CheckpointError(
            f"SAM2 {source!r} cannot be downloaded ({error}); check the network or give a folder"
        ) from error
    return sam
