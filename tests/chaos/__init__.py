# SPDX-License-Identifier: Apache-2.0
"""What may go wrong, made to: restarts, storms, faults. `make chaos` prints the numbers."""
