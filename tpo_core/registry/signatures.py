"""Whether a plugin's hookimpls fit the hooks; finds what pluggy accepts in silence."""

from __future__ import annotations

from difflib import get_close_matches

import pluggy

from tpo_core import hookspecs

KNOWN = frozenset(name for name in vars(hookspecs) if name.startswith(hookspecs.PREFIX))
"""Every hook's name."""


def hooks_of(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Return the hooks a registered plugin implements, sorted, misspelt ones included."""
    return tuple(sorted(caller.name for caller in manager.get_hookcallers(plugin) or ()))


def signature_violations(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """Return what is wrong with a registered plugin's hookimpls, one phrase a violation.

    Parameters that a hook does not have are found by pluggy itself when the plugin is registered.
    Here: unknown hooks (pluggy's `check_pending` names only the first, of any plugin), functions
    without the decorator, wrappers, and parameters with defaults, which pluggy never passes.

    Args:
        manager: Knows the hookspecs and the plugin.
        plugin: A registered module or object.
    """
    callers = manager.get_hookcallers(plugin) or []
    found = [
        f"{name} lacks the @hookimpl decorator"
        for name in sorted(KNOWN - {caller.name for caller in callers})
        if callable(getattr(plugin, name, None))
    ]
    for caller in callers:
        for impl in caller.get_hookimpls():
            if impl.plugin is plugin:
                found += _violations_of(impl, hook=caller.name, known=caller.has_spec())
    if not callers and not found:
        found.append(f"it implements no hook; expected one of {', '.join(sorted(KNOWN))}")
    return found


def _violations_of(impl: pluggy.HookImpl, *, hook: str, known: bool) -> list[str]:
    found = []
    if not known and not impl.optionalhook:
        near = get_close_matches(hook, KNOWN, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        found.append(f"unknown hook {hook!r}{hint}")
    if impl.wrapper or impl.hookwrapper:
        found.append(
            f"{hook} is a wrapper, which tpo's hooks do not take; make it a plain function"
        )
    if impl.kwargnames:
        names = ", ".join(impl.kwargnames)
        found.append(
            f"{hook} gives a default to {names}, which keeps pluggy from passing it; "
            f"remove the default"
        )
    return found
