# SPDX-License-Identifier: Apache-2.0
"""Takes incidents, gives the page for whoever was just paged: looks first, reading second.

    views      Request -> Response: which page, which file, the stream of changes
    layout     what every page has: header, the probe's health, footer
    overview   the latest incidents, filtered, and the last day
    detail     one incident; cards, fact by fact
    docs       what "what to do next" links to
    memory     Incident -> where the memory was; bar draws it
    timeline   incidents -> the last day
    filters    query -> which incidents
    words      one fact -> its text, unknown as unknown
    assets     style sheet and script, by hash

HTML is made by htpy: elements are Python, so mypy reads the templates, MarkupSafe escapes whatever
was not made here, and a page comes out piece by piece. Jinja2, which was tried, brings a compiler,
and OpenSSL through hashlib; docs/benchmarks.md, "What stays by hand", has what both cost (`make
bench` writes the figures). All of it is imported at the first page asked for.

Names that anyone may have chosen go through `words.name`: no character in them reorders, hides or
floods what stands beside it. There is no style and no script within a page: the
Content-Security-Policy forbids both.
"""
