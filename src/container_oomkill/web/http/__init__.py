# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server that knows nothing of OOM kills.

One thread and an event loop, not a thread per connection: idle clients cost a socket each, up to a
bound, and one that reads slowly holds one piece of an answer.

By hand, because http.server, asyncio, cheroot and uvicorn each cost more memory than this with TLS,
by what they import (docs/benchmarks.md, "What stays by hand"; `make bench` writes the figures), and
waitress, which is small, has no TLS. tests/web/http/test_fuzz.py holds the parser against h11's.
"""
