"""Models on the Hugging Face hub."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tpo_core.errors import CheckpointError
from tpo_core.resources import looks_like_hub_id
from tpo_core.saving.config import OWNED

if TYPE_CHECKING:
    from tpo_core.model import TpoModel


def fetch(source: str | Path) -> Path:
    """Return the folder of a saved model, downloaded if `source` is a hub id.

    Raises:
        CheckpointError: If there is no such folder or repository.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or not looks_like_hub_id(str(source)):
        what = "is no folder" if folder.exists() else "does not exist"
        raise CheckpointError(f"the model {source} {what}; give a saved model's folder or a hub id")
    patterns = [pattern for name in OWNED for pattern in (name, f"{name}/*")]
    try:
        return Path(snapshot_download(str(source), allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"no model at {source!r}: neither a folder here nor on the hub ({reason})"
        ) from error


def push(
    model: TpoModel,
    repo: str,
    *,
    private: bool = False,
    token: str | None = None,
    message: str = "Upload model",
    include_backbone: bool | None = None,
    figures: Mapping[str, float] | None = None,
) -> str:
    """Upload what `save` writes.

    Args:
        model: The model.
        repo: `"owner/name"`; made if need be.
        private: Whether a new repository is private.
        token: A hub token; the one of `hf auth login` if None.
        message: Of the commit.
        include_backbone: See `save`; a backbone that came from a folder is always included unless
            this is False.
        figures: See `save`.

    Returns:
        The repository's address.

    Raises:
        CheckpointError: If the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    from tpo_core.saving.write import describe, save

    if include_backbone is None and Path(describe(model).backbone.source).is_absolute():
        include_backbone = True  # nobody else has that folder
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        save(model, folder, include_backbone=include_backbone, figures=figures)
        try:
            address = api.create_repo(repo, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=message,
                delete_patterns=[f"{name}/*" for name in sorted(OWNED)],
            )
        except Exception as error:  # whatever the HTTP client of the day raises
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(
                f"cannot upload to {repo!r}: {reason}; log in with `hf auth login`, check the name"
            ) from error
    return str(address)
