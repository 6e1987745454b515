/* SPDX-License-Identifier: Apache-2.0 */
/* What confine.c has, for cffi. */

int confine_keep(uint64_t capabilities);
int confine_no_new_privileges(void);
int confine_system_calls(void);
