"""The processes that share an evaluation: torchrun's or `accelerate launch`'s, or one alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from tpo_core.errors import InputError, TpoError

T = TypeVar("T")

_PATIENCE: Final = timedelta(days=30)
"""How long a process waits for others that are alive; one that ends is noticed at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Processes:
    """This process among those that share the work.

    Args:
        rank: Its number; 0 is the main one.
        size: How many there are.
        group: A process group over TCP, in which waiting costs nothing; None for one process.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that reads and writes results."""
        return self.rank == 0

    def from_main(self, work: Callable[[], T]) -> T:
        """Do something in the main process and return there what all get.

        Raises:
            InputError: In the others, if it raised an error of ours in the main one.
            TpoError: If the main process has ended.
        """
        if self.size == 1:
            return work()
        import torch.distributed as dist

        told: list[Any] = [None]
        failure: TpoError | None = None
        if self.is_main:
            try:
                told = [(work(), None)]
            except TpoError as error:
                failure, told = error, [(None, str(error))]
        with _ended_processes():
            dist.broadcast_object_list(told, src=0, group=self.group)
        if failure is not None:
            raise failure
        value, reason = told[0]
        if reason is not None:
            raise InputError(f"the main process: {reason}")
        found: T = value
        return found

    def to_main(self, value: T) -> list[T]:
        """Return every process's value in the main process, nothing in the others.

        Raises:
            TpoError: If another process has ended.
        """
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] | None = [None] * self.size if self.is_main else None
        with _ended_processes():
            dist.gather_object(value, values, dst=0, group=self.group)
        return values or []


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that were launched together; without any, this one is alone.

    Every one of them must come here. If one leaves by an error, the others do not wait for it.
    """
    rank, size = start_processes()
    if size == 1:
        yield Processes()
        return
    import torch.distributed as dist

    group = dist.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield Processes(rank=rank, size=size, group=group)
    finally:
        # Its connections close, which ends the waiting of others if this process fails.
        dist.destroy_process_group(group)


@contextmanager
def launched() -> Iterator[bool]:
    """Meet the processes that were launched together, and leave them at the end of a program.

    Yields:
        Whether this is the main one.
    """
    rank, size = start_processes()
    try:
        yield rank == 0
    finally:
        if size > 1:
            from accelerate import PartialState

            PartialState().destroy_process_group()


def start_processes() -> tuple[int, int]:
    """Meet the processes that were launched together, each with a device of its own.

    Returns:
        The number of this process and how many there are; 0 and 1 without a launcher.
    """
    if not _launched():
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes


def _launched() -> bool:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return True
    torch = sys.modules.get("torch")
    dist = torch.distributed if torch is not None else None
    return bool(
        dist and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    )


@contextmanager
def _ended_processes() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TpoError(
            "another process that shares this evaluation has ended, see its error; what was "
            "answered is kept if there is an output folder: go on with resume (--resume)"
        ) from error
