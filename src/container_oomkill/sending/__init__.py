# SPDX-License-Identifier: Apache-2.0
"""Sends incidents to a server: what OTLP and webhooks have in common.

    tls       certificates from files, read again when they change
    headers   what goes with each request, from a file
    client    one POST over a connection that is kept, bounded in size and time
    outcome   what an answer means: sent, retry, split, refused
    waiting   the queue in memory
    backlog   the queue in the history file, which outlives an outage and a restart
    counts    sent, retried, dropped: for the metrics

Takes an `Incident`, on the record's path, and keeps it; a thread of its own does the rest.

The client is `http.client`. urllib3, which kubernetes/ has, would take 6.5 MiB with TLS where this
takes 3.7, measured as `python -m bench.libraries` does; what it adds is a pool and redirects, which
nothing here wants.
"""
