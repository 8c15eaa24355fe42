"""What was odd in a dataset's files and was dealt with: counted by name, told by the commands.

A quirk is a known oddity of a release that its reader mends or leaves out by a rule, such as a span
that ends after its video. A row that cannot be read at all is no quirk but a `RecordError`.
"""

from __future__ import annotations

from collections import Counter

Quirks = Counter[str]
"""How often each quirk was met, by a short phrase that says what it is and what was done."""


def counter(quirks: Quirks | None) -> Quirks:
    """Return the counter to fill: the caller's, or a fresh one that nobody reads."""
    return Counter() if quirks is None else quirks
