/* SPDX-License-Identifier: Apache-2.0 */
/* What privileges.c has, for cffi. */

int privileges_keep(uint64_t capabilities);
int privileges_no_new(void);
int privileges_deny_system_calls(int clients);
