/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf's log, kept for the errors: its callback has a va_list, which cffi
 * does not know.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

/* The newest lines: what went wrong stands at the end of a verifier's log. */
static char log_text[65536];
static size_t log_size;
static bool log_debug;

static int append_log(enum libbpf_print_level level, const char *format, va_list args)
{
	const size_t room = sizeof(log_text);
	int size;

	if (level == LIBBPF_DEBUG && !log_debug)
		return 0;
	if (log_size > room / 2) {
		log_size -= room / 4;
		memmove(log_text, log_text + room / 4, log_size);
	}
	size = vsnprintf(log_text + log_size, room - log_size, format, args);
	if (size > 0)
		log_size += (size_t)size < room - log_size ? (size_t)size : room - log_size - 1;
	return size;
}

static void oomkill_log_capture(bool debug)
{
	log_debug = debug;
	log_size = 0;
	libbpf_set_print(append_log);
}

/* Moves the log to a buffer, its start cut off where it does not fit. */
static size_t oomkill_log_take(char *to, size_t size)
{
	size_t taken = log_size < size ? log_size : size;

	memcpy(to, log_text + log_size - taken, taken);
	log_size = 0;
	return taken;
}
