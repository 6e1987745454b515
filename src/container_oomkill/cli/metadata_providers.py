# SPDX-License-Identifier: Apache-2.0
"""Where container names come from: the runtimes' state, an engine's socket, a cluster's API.

Nothing of it is imported, and no thread is started, unless an option asks for it. The cluster also
takes incidents, as Events on the victims' pods.
"""

from __future__ import annotations

from ..errors import UsageError
from ..system.closeable import Closeable
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from ..identity.discovery import ContainerDiscovery
    from ..identity.resolver import MetadataProvider
    from ..identity.runtimes.state import RuntimeState
    from ..identity.store import Store
    from ..incident.model import Incident
    from ..kubernetes.pod_ends import PodEnds


class StateSettings(Settings):
    """Where the runtimes keep their state; None: in the usual folders below ``host_root``."""

    host_root: str = ""
    docker: Sequence[str] | None = None
    containerd: Sequence[str] | None = None
    crio: Sequence[str] | None = None
    podman: Sequence[str] | None = None

    @classmethod
    def from_args(cls, args: Namespace) -> StateSettings:
        return cls(
            host_root=args.host_root,
            docker=args.state_docker,
            containerd=args.state_containerd,
            crio=args.state_crio,
            podman=args.state_podman,
        )

    def check(self) -> None:
        """Raise `UsageError` for what cannot work, before anything is attached."""
        import os

        if self.host_root and not os.path.isdir(self.host_root):  # noqa: PTH112 - no pathlib yet
            raise UsageError(f"--host-root {self.host_root}: no such directory")

    def sources(self) -> list[RuntimeState]:
        from ..identity.runtimes.sources import default_sources

        return default_sources(
            root=self.host_root,
            docker_folders=self.docker,
            containerd_folders=self.containerd,
            crio_folders=self.crio,
            podman_folders=self.podman,
        )

    def discover(self) -> ContainerDiscovery:
        """Learn the containers' names from now on; only after attaching."""
        from ..identity.discovery import ContainerDiscovery

        return ContainerDiscovery(self.sources())


class ProviderSettings(Settings):
    """Whom to ask in the background."""

    docker_socket: str | None = None
    kubernetes: bool = False
    kubernetes_events: bool = False
    kubernetes_node: str | None = None  # as the cluster calls it
    kubeconfig: str | None = None  # None: as a pod
    external_url: str | None = None  # of the exporter's pages, for links in Events

    @classmethod
    def from_args(cls, args: Namespace) -> ProviderSettings:
        """Return them; a command that writes no Events, or has no pages, has no option for that."""
        return cls(
            docker_socket=args.state_docker_socket,
            kubernetes=args.kubernetes,
            kubernetes_events=getattr(args, "kubernetes_events", False),
            kubernetes_node=args.kubernetes_node,
            kubeconfig=args.kubeconfig,
            external_url=getattr(args, "external_url", None),
        )

    def check(self) -> None:
        """Raise `UsageError` for what cannot work, before anything is attached."""
        if not (self.kubernetes or self.kubernetes_events):
            return
        from ..kubernetes.settings import check, known_node

        if self.kubernetes:
            known_node(self.kubernetes_node)
        check(self.kubeconfig)

    @property
    def ask_others(self) -> bool:
        """Whether anybody is asked at all."""
        return self.kubernetes or self.kubernetes_events or self.docker_socket is not None


class MetadataProviders(Closeable):
    """``asked`` know names, with their ``stores``; ``sinks`` take incidents."""

    def __init__(
        self,
        settings: ProviderSettings,
        on_event_lost: Callable[[int], None],
        *,
        node: str | None = None,
        on_mismatch: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``on_event_lost``: so many incidents had no Event; ``node``: the name in records.

        ``on_mismatch``: Kubernetes' status and the kernel disagree, see `kubernetes/status.py`.

        Raises `UsageError`.
        """
        from contextlib import ExitStack

        self.asked: list[MetadataProvider] = []
        self.stores: list[Store] = []
        self.sinks: list[Callable[[Incident], None]] = []
        self.queues: dict[str, tuple[Callable[[], int], int]] = {}  # what waits, of how many
        self.watch_up: Callable[[], bool | None] = lambda: None
        self.pod_ends: PodEnds | None = None
        self._on_mismatch = on_mismatch
        self._closing = ExitStack()
        try:
            if settings.docker_socket:
                self._ask_engine(settings.docker_socket)
            if settings.kubernetes or settings.kubernetes_events:
                self._ask_cluster(settings, on_event_lost, node)
        except BaseException:
            self.close()
            raise

    def _ask_engine(self, socket: str) -> None:
        from ..identity.runtimes.engine_socket import EngineSocket

        engine = self._closing.enter_context(EngineSocket(socket))
        self.asked.append(engine)
        self.stores.append(engine.store)

    def _ask_cluster(
        self, settings: ProviderSettings, on_event_lost: Callable[[int], None], node: str | None
    ) -> None:
        from ..kubernetes.settings import known_node, open_api

        name = known_node(settings.kubernetes_node) if settings.kubernetes else None
        api = open_api(settings.kubeconfig)
        self._closing.callback(api.close)
        if name is not None:
            from ..kubernetes.pod_ends import PodEnds
            from ..kubernetes.status import StatusCheck
            from ..kubernetes.watch import PodWatch

            check = StatusCheck(self._on_mismatch)
            self.sinks.append(check)
            watch = self._closing.enter_context(PodWatch(api, name, on_status=check.ended))
            self.asked.append(watch)
            self.stores.append(watch.store)
            self.watch_up = watch.is_up
            self.pod_ends = self._closing.enter_context(PodEnds(api))
        if settings.kubernetes_events:
            from ..incident.host import read_boot_id, read_host
            from ..kubernetes.events import Events

            name = settings.kubernetes_node or read_host(node).node
            url = settings.external_url
            events = Events(api, name, read_boot_id(), on_event_lost, external_url=url)
            self.sinks.append(self._closing.enter_context(events))
            self.queues["kubernetes_event"] = events.depth, events.size

    def close(self) -> None:
        self._closing.close()
