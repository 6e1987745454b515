/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little C that cffi cannot say: libbpf's log with its va_list, and a ring
 * buffer reader whose records stay in the ring until they are released.
 *
 * libbpf's own reader gives a record back to the kernel as soon as its callback
 * returns. Here a record leaves only when whoever it is for has taken it, so a
 * killed reader finds it again.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

/* --- libbpf's log --------------------------------------------------------- */

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

static void shim_capture_log(bool debug)
{
	log_debug = debug;
	log_size = 0;
	libbpf_set_print(append_log);
}

/* Moves the log to a buffer, its start cut off where it does not fit. */
static size_t shim_take_log(char *to, size_t size)
{
	size_t taken = log_size < size ? log_size : size;

	memcpy(to, log_text + log_size - taken, taken);
	log_size = 0;
	return taken;
}

/* libbpf frees the kernel's types, 10 MiB as it keeps them; this gives them back for good. */
static void shim_trim_heap(void)
{
	malloc_trim(0);
}

static void shim_free(void *memory)
{
	free(memory);
}

/* --- the ring buffer ------------------------------------------------------ */

/*
 * As laid out in Documentation/bpf/ringbuf.rst: a page with the reader's
 * position, a page with the writer's, then the data mapped twice in a row so
 * that no record ever seems to wrap around. Positions only grow.
 */
struct shim_ring {
	unsigned long *consumer;
	const unsigned long *producer;
	const char *data;
	size_t size; /* bytes, a power of two */
	size_t page;
};

static void shim_ring_close(struct shim_ring *ring)
{
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page + 2 * ring->size);
	ring->consumer = NULL;
	ring->producer = NULL;
}

static int shim_ring_open(struct shim_ring *ring, int map_fd, size_t size)
{
	void *pages;

	memset(ring, 0, sizeof(*ring));
	ring->size = size;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	pages = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (pages == MAP_FAILED)
		return -errno;
	ring->consumer = pages;
	pages = mmap(NULL, ring->page + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)ring->page);
	if (pages == MAP_FAILED) {
		int error = errno;

		shim_ring_close(ring);
		return -error;
	}
	ring->producer = pages;
	ring->data = (const char *)pages + ring->page;
	return 0;
}

static unsigned long shim_ring_start(const struct shim_ring *ring)
{
	return __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

static unsigned long shim_ring_end(const struct shim_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

/*
 * The record at a position, which moves on behind it. 1: there is one. 0: none
 * yet, or the kernel is still writing it.
 */
static int shim_ring_next(const struct shim_ring *ring, unsigned long *position,
			  const void **record, uint32_t *size)
{
	while (*position < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE)) {
		const char *header = ring->data + (*position & (ring->size - 1));
		uint32_t length = __atomic_load_n((const uint32_t *)header, __ATOMIC_ACQUIRE);
		uint32_t bytes =
			length & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (length & BPF_RINGBUF_BUSY_BIT)
			return 0;
		*position += (bytes + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (length & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*record = header + BPF_RINGBUF_HDR_SZ;
		*size = bytes;
		return 1;
	}
	return 0;
}

/* Gives everything before a position back to the kernel. */
static void shim_ring_release(struct shim_ring *ring, unsigned long position)
{
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}
