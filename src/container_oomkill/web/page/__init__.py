# SPDX-License-Identifier: Apache-2.0
"""The web pages for whoever was just paged: understood at a glance, details further down.

    views      Request -> Response: which page, which file, the stream of changes
    layout     what every page has: header, the probe's health, footer
    overview   the containers that were killed, filtered, and the last day
    detail     one incident: headline and cards, fact by fact
    kills      incidents -> those of each container, and how often
    commands   an incident -> what to type to look further
    children   who below the limit held how much
    docs       what "what to do next" links to
    bar        draws where the memory was (diagnosis/breakdown.py)
    timeline   incidents -> the last day
    filters    query -> which incidents; the form
    words      one fact -> its text, unknown as unknown
    assets     style sheet and script, by hash

htpy makes the HTML: elements are Python, so mypy checks the templates, MarkupSafe escapes whatever
was not made here, and a page comes out piece by piece. Jinja2, which we tried, brings a compiler,
and OpenSSL through hashlib; docs/benchmarks.md, "What stays by hand", has what both cost (`make
bench` writes the figures). All of it is imported when the first page is requested.

Names that anyone may have chosen go through `words.name`: no character in them can reorder, hide or
flood the text beside it. Pages contain no inline style and no inline script: the
Content-Security-Policy forbids both.
"""
