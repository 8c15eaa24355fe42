"""Records that cannot be used: counted, named, and too many of them stop the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tpo_core.errors import InputError, RecordError


@dataclass(frozen=True, kw_only=True, slots=True)
class BadSample:
    """What a dataset gives in place of a record that cannot be used.

    Args:
        path: The JSONL file.
        line: Its 1-based line.
        reason: What is wrong, in one sentence.
        field: The field inside the record, dotted; empty if the line as a whole or the media.
    """

    path: str
    line: int
    reason: str
    field: str = ""

    @classmethod
    def of(cls, error: RecordError) -> BadSample:
        """Return the bad sample that an error of a record file describes."""
        return cls(
            path=error.path or "",
            line=error.line or 0,
            reason=error.reason,
            field=error.field or "",
        )

    def __str__(self) -> str:
        return ": ".join(
            part for part in (f"{self.path}:{self.line}", self.field, self.reason) if part
        )


@dataclass(kw_only=True)
class Quarantine:
    """Counts records and holds the bad ones; it lives where batches are consumed, not in workers.

    Args:
        limit: The share of records that may be bad, in [0, 1].
        minimum: How many records must have been seen before the share is judged.
    """

    limit: float = 0.01
    minimum: int = 100
    seen: int = 0
    bad: int = 0
    clipped: int = 0
    entries: dict[tuple[str, int], BadSample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.limit <= 1:
            raise InputError(f"the quarantine's limit is {self.limit}; expected a share in [0, 1]")

    @property
    def share(self) -> float:
        """The share of the records seen that were bad."""
        return self.bad / self.seen if self.seen else 0.0

    def good(self, count: int = 1, *, clipped: int = 0) -> None:
        """Count records that can be used, and how many of their labels were clipped."""
        self.seen += count
        self.clipped += clipped

    def add(self, sample: BadSample) -> None:
        """Count and hold a bad record.

        Raises:
            InputError: If the share of bad records is now above the limit.
        """
        self.seen += 1
        self.bad += 1
        self.entries[sample.path, sample.line] = sample
        self.check()

    def check(self, *, final: bool = False) -> None:
        """Judge the share of bad records.

        Args:
            final: Judge it even if fewer than `minimum` were seen, as after the last record.

        Raises:
            InputError: If the share is above the limit.
        """
        if self.share > self.limit and (final or self.seen >= self.minimum):
            last = next(reversed(self.entries.values()))
            raise InputError(
                f"{self.bad} of {self.seen} records ({self.share:.1%}) cannot be used, more than "
                f"the {self.limit:.1%} allowed, the last one {last}; run `tpo inspect` on the "
                "data, then mend it or raise the limit"
            )

    def state(self) -> dict[str, Any]:
        """Return everything counted so far as plain JSON values."""
        return {
            "seen": self.seen,
            "bad": self.bad,
            "clipped": self.clipped,
            "entries": [asdict(sample) for sample in self.entries.values()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned, in place of what was counted."""
        self.seen, self.bad, self.clipped = state["seen"], state["bad"], state["clipped"]
        samples = [BadSample(**entry) for entry in state["entries"]]
        self.entries = {(sample.path, sample.line): sample for sample in samples}

    def reasons(self) -> dict[str, int]:
        """Count bad records by reason, the most frequent first."""
        counted = Counter(sample.reason for sample in self.entries.values())
        return dict(counted.most_common())

    def report(self, *, most: int = 20) -> str:
        """Say what was seen and name up to `most` bad records."""
        lines = [f"{self.seen} records seen, {self.bad} bad, {self.clipped} labels clipped"]
        lines += [str(sample) for sample in list(self.entries.values())[:most]]
        if len(self.entries) > most:
            lines.append(f"and {len(self.entries) - most} more")
        return "\n".join(lines)

    def write(self, path: str | Path) -> None:
        """Write the bad records as JSONL, one `{path, line, reason, field}` a line.

        Raises:
            InputError: If the file cannot be written.
        """
        text = "".join(json.dumps(asdict(sample)) + "\n" for sample in self.entries.values())
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; check the folder and free space"
            ) from error
