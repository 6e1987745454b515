# SPDX-License-Identifier: Apache-2.0
"""What `make release` makes, installed from where people will have it from."""
