# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill doctor`: shows what this kernel, container and user allow."""

from __future__ import annotations

import sys

from ..system.settings import Settings
from .metadata_providers import ProviderSettings, StateSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..doctor.report import Report


class DoctorSettings(Settings):
    """As the options have them."""

    object_file: str | None = None  # None: the one in the package
    btf: str | None = None
    output: str = "text"
    state: StateSettings = StateSettings()
    providers: ProviderSettings = ProviderSettings()

    @classmethod
    def from_args(cls, args: Namespace) -> DoctorSettings:
        return cls(
            object_file=args.object,
            btf=args.btf,
            output=args.output,
            state=StateSettings.from_args(args),
            providers=ProviderSettings.from_args(args),
        )


def command(args: Namespace) -> int:
    """Say what is there and what is missing; 3 when no probe can attach."""
    from ..doctor.report import print_json, print_text

    settings = DoctorSettings.from_args(args)
    report = examine_all(settings)
    (print_json if settings.output == "json" else print_text)(report, sys.stdout)
    return 0 if report.can_attach else 3


def examine_all(settings: DoctorSettings) -> Report:
    """Look at everything that the options name."""
    from ..doctor.checks import examine, examine_socket

    report = examine(
        object_path=settings.object_file, btf=settings.btf, sources=settings.state.sources()
    )
    asked = settings.providers
    if asked.docker_socket:
        examine_socket(report, asked.docker_socket)
    if asked.kubernetes:
        from ..kubernetes.survey import survey

        finding = survey(asked.kubernetes_node, asked.kubeconfig)
        report.add("runtimes", "kubernetes", finding)
    return report
