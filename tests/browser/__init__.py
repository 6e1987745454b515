# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser: headless Chromium, driven by Playwright (`make test-browser`)."""
