# SPDX-License-Identifier: Apache-2.0
"""Takes a path's names, gives where in it which form counts: whose they were to choose.

A service with ``Delegate=``, a user below the own service manager and a container's root make any
cgroup they like. They cannot make one above them: what systemd and the runtimes put there tells.
"""

from __future__ import annotations

from .patterns import ENGINE, ROOT, UNIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .patterns import CgroupPattern

UNITS = (".service", ".scope", ".mount", ".socket", ".swap")
# Where a service manager of a user's, or of a capsule's, is: what is below it is theirs.
_MANAGERS = {
    "user.slice": (3, "user@"),  # /user.slice/user-1000.slice/user@1000.service
    "capsule.slice": (2, "capsule@"),  # /capsule.slice/capsule@build.service
}
# Units of runtimes, by a part of their names: their containers' cgroups may be below them, with
# cgroup v1 and where a runtime was given a path relative to its own.
_ENGINES = (
    *("docker", "containerd", "crio", "cri-o", "kube", "k3s", "rke2", "k0s", "microk8s"),
    *("microshift", "podman", "nerdctl", "buildkit", "moby", "balena", "ecs", "garden"),
    *("concourse", "runit"),
)
# Between a container's cgroup and the root of what runs in it: crun's, LXC's, nspawn's.
_INNER_ROOTS = ("container", "ns", "payload")


def users_area(names: list[str]) -> tuple[bool, int]:
    """Return whether a path is a user's to fill, and where the user's service manager is, or 0."""
    if len(names) < 2 or names[0] or names[1] not in _MANAGERS:
        return False, 0
    at, prefix = _MANAGERS[names[1]]
    is_manager = len(names) > at and names[at].startswith(prefix) and names[at].endswith(".service")
    return True, at if is_manager else 0


class Place:
    """What is above a name; goes down a path name by name, so that its time is the path's length.

    A tree starts at the path's root, and anew at each container and at a user's service manager.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._whole = not names[0]  # the root is not missing
        self.users, manager = users_area(names)
        self._start(manager)

    def _start(self, at: int) -> None:
        self._root = at
        self._top = at + 1
        if at and self._names[at + 1 : at + 2] and self._names[at + 1] in _INNER_ROOTS:
            self._top += 1
        self._no_slice = self._no_engine = len(self._names)

    def enter(self, index: int) -> None:
        """The container at ``index`` is a tree of its own."""
        self.users, self._whole = False, True
        self._start(index)

    def go_on(self, index: int) -> None:
        """Take what is right above ``index``."""
        at = index - 1
        if at < self._top:
            return
        name = self._names[at]
        if not name.endswith(".slice"):
            self._no_slice = min(self._no_slice, at)
        if name.endswith(UNITS) and not any(word in name for word in _ENGINES):
            self._no_engine = min(self._no_engine, at)

    def below_slices(self, index: int) -> bool:
        """Tell whether there are only slices above: systemd made it, if it is a unit."""
        return index <= self._no_slice

    def below_engine(self, index: int) -> bool:
        """Tell whether no unit is above ``index``, or a runtime's own."""
        return index <= self._no_engine

    def fits(self, form: CgroupPattern, index: int) -> bool:
        """Tell whether a form counts at ``index``, by what is around it."""
        if self.users and not form.users:
            return False
        names, first = self._names, index - len(form.under)
        if form.below and form.below not in names[self._top : min(index, self._top + 1)]:
            return False
        if form.above and form.above not in names[index + 1 : index + 2]:
            return False
        if form.under and (
            first <= self._root or not all(map(_like, form.under, names[first:index]))
        ):
            return False
        if form.place == UNIT:
            return self.below_slices(first)
        if form.place == ROOT:
            return first == self._top and self._whole
        return form.place != ENGINE or self.users or self.below_engine(first)


def _like(want: str, have: str) -> bool:
    """``want``: a name, with ``*`` before or behind it for any other text, or alone."""
    if want.startswith("*"):
        return have.endswith(want[1:])
    return have.startswith(want[:-1]) if want.endswith("*") else want == have
