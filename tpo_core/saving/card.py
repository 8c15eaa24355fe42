"""The README of a saved model: what it is, how to load it, how well it does."""

from __future__ import annotations

from collections.abc import Mapping

from tpo_core.resources import looks_like_hub_id
from tpo_core.saving.config import SavedConfig


def model_card(
    config: SavedConfig, *, tasks: Mapping[str, str], figures: Mapping[str, float]
) -> str:
    """Return the README of a saved model.

    Args:
        config: The model's config.
        tasks: For each head, the tasks it serves.
        figures: Measured figures by name; left out if there are none.
    """
    backbone = config.backbone
    place = "in this folder" if backbone.included else f"loaded from `{backbone.source}`"
    lines = ["---", "library_name: tpo", "pipeline_tag: video-text-to-text"]
    if looks_like_hub_id(backbone.source):
        lines.append(f"base_model: {backbone.source}")
    lines += [
        "tags: [task-preference-optimization, grounding]",
        "---",
        "",
        "# A multimodal LLM with task heads",
        "",
        "Trained with [Task Preference Optimization](https://arxiv.org/abs/2412.19326): the LLM",
        "emits task tokens; their hidden states feed heads that answer with boxes, moments and",
        "masks.",
        "",
        "```python",
        "import tpo_core as tpo",
        "",
        'model = tpo.from_pretrained("path/or/hub-id")',
        'answer = model.predict("clip.mp4", "When does the red circle appear?")',
        "print(answer.text, answer.boxes, answer.spans, answer.masks)",
        "```",
        "",
        "| part | what |",
        "|---|---|",
        f"| backbone | `{backbone.source}`, {backbone.dtype}, {place} |",
        f"| LoRA | {_lora(config)} |",
        f"| trained of the backbone itself | {', '.join(config.trained_groups) or 'nothing'} |",
        f"| frames of a video | {config.num_frames} |",
        *(f"| head `{name}` | {served} |" for name, served in tasks.items()),
        "",
    ]
    if figures:
        lines += ["| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value:.4g} |" for name, value in figures.items()]
        lines.append("")
    versions = ", ".join(f"{name} {version}" for name, version in config.versions.items())
    return "\n".join([*lines, f"Written with {versions}.", ""])


def _lora(config: SavedConfig) -> str:
    if config.lora is None:
        return "none, task tokens' rows alone"
    merged = ", merged into the backbone" if config.merged else ""
    return f"rank {config.lora['rank']}, alpha {config.lora['alpha']:g}{merged}"
