"""The weights of the SAM2 that a mask head's option names, by its configuration alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from tpo_core.errors import InputError
from tpo_core.resources import resolve


def sam2_shapes(source: str) -> list[Sequence[int]]:
    """Return the shape of every tensor; nothing is downloaded, and no memory is taken.

    Args:
        source: What `tpo_heads.mask.sam2_source.load_sam2` takes.

    Raises:
        InputError: If there is no such SAM2, or it has no configuration.
    """
    from accelerate import init_empty_weights

    from tpo_heads.mask.sam2_source import build_sam2, read_config

    config = read_config(_config_text(source), source=source)
    # Its buffers are computed, which the meta device cannot do.
    with init_empty_weights(include_buffers=False):
        model = build_sam2(config)
    return [value.shape for value in model.state_dict().values()]


def _config_text(source: str) -> str:
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    from tpo_heads.mask.sam2_source import CONFIG_FILE

    brought: dict[str, str] = {
        name: config for name, (config, _) in HF_MODEL_ID_TO_FILENAMES.items()
    }
    brought |= {weights: config for config, weights in HF_MODEL_ID_TO_FILENAMES.values()}
    named = source if source in brought else Path(source).name
    if named in brought and not Path(source).is_dir():
        return (files("sam2") / brought[named]).read_text(encoding="utf-8")
    path = Path(resolve(source)) / CONFIG_FILE
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"SAM2 {source!r} has no {CONFIG_FILE}: {error.strerror}") from error
