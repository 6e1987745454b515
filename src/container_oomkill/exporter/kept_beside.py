# SPDX-License-Identifier: Apache-2.0
"""Keeps what is no incident in a file of its own beside the history, with a queue of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import Error, UsageError
from ..system import log

if TYPE_CHECKING:
    from ..history.file import HistoryFile
    from ..history.form import Form
    from ..sinks.buffered import BufferedSink
    from .settings import ExporterSettings


def keep_beside(
    path: str,
    settings: ExporterSettings,
    form: Form,
    *,
    show: Callable[[Any], None],
    lost: Callable[[], None],
    opened: Callable[[HistoryFile], None] = lambda _: None,
) -> BufferedSink[Any] | None:
    """``show`` what there is of earlier runs beside ``path``; return the sink that adds to it.

    Raises `UsageError` for an unusable file. On a full or broken disk there is no history.
    """
    from ..history.fair import whose
    from ..history.file import HistoryFile
    from ..sinks.buffered import BufferedSink

    try:
        file = HistoryFile(
            os.path.realpath(path) + form.suffix,
            max_incidents=settings.history_max_incidents,
            max_bytes=settings.history_max_bytes,
            on_lost=lost,
            form=form,
        )
    except UsageError:
        raise
    except Error as error:
        log.warn(f"{error}: continuing without history of {form.what}")
        return None
    opened(file)
    for each in file.load():
        show(each)
    return BufferedSink(
        file,
        lost,
        name=f"history of {form.what}",
        size=settings.log_queue_size,
        at_end=file.close,
        number=_no_number,
        whose=whose(form.key),
    )


def _no_number(_: Any) -> int:
    """It holds nothing back in the ring of incidents."""
    return 0
