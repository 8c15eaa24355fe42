"""Tell what a question of the tiny world asks, from its words: records do not say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tpo_plugins.world.attributes import COLOURS
from tpo_plugins.world.language import RELATIONS

_RELATED = re.compile(rf"\b({'|'.join(RELATIONS)})\b")
_COLOUR = re.compile(rf"({'|'.join(COLOURS)})\?$")

# The first pattern that a question holds names its kind; the generator's own names are used.
_CHAT = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("count", r"^How many "),
        ("exists", r"^Is there an? |^Does the (picture|video) show "),
        ("becomes", r"^What colour .*( become\?| at first\?| at the end\?)$"),
        ("pair", r"(^What|^Tell me what) (colours|shapes) "),
        ("colour", r"^(What|Which|Tell me what) colour "),
        ("shape", r"^(What|Which|Tell me what) shape "),
        ("texture", r"(^What|^Tell me what) texture | solid, striped or dotted\?$"),
        ("size", r"(^What|^Tell me what) size | small or large\?$"),
        ("direction", r"^In which direction | move\?$"),
        ("end", r" visible at the end\?$"),
        ("order", r"^Which appears first, "),
        ("along", r"(^How|^Tell me how) (far to the left or right|high or low) "),
        (
            "part",
            r"^(In which part of|Tell me where|Roughly where|Say where to find) "
            r"|^Locate .* in words\.$",
        ),
        ("side", r" (on|at) the (left or on the right|top or at the bottom)\?$"),
        ("relation", _RELATED.pattern),
    )
)


def kind_of(question: str, *, tasks: Sequence[str], prompted: bool) -> str:
    """Name what a question asks.

    Args:
        question: The user's turn.
        tasks: The tasks of its targets, in order; empty for chat.
        prompted: Whether it gives a box.

    Returns:
        `<task>/<kind>`, such as `temporal/appear` or `chat/count`.
    """
    task = tasks[0] if tasks else "chat"
    if task == "mask":
        return "mask/track" if prompted else "mask/segment"
    if task == "region":
        if len(tasks) > 1:
            return "region/pair"
        return "region/relation" if _RELATED.search(question) else "region/attributes"
    if task == "temporal":
        return f"temporal/{_moment(question)}"
    if task == "chat":
        return f"chat/{_chat(question)}"
    return f"{task}/other"


def _moment(question: str) -> str:
    if re.search(r" (move|moving)\?$", question):
        return "move"
    return "coloured" if _COLOUR.search(question) else "appear"


def _chat(question: str) -> str:
    if re.match(r"^Does .* move\?$", question):
        return "moves"
    return next((kind for kind, pattern in _CHAT if pattern.search(question)), "other")
