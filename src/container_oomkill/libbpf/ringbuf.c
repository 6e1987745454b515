/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of a BPF ring buffer whose records stay in the ring until they are
 * released.
 *
 * libbpf's own reader gives a record back to the kernel as soon as its callback
 * returns. Here a record leaves only when whoever it is for has taken it, so a
 * killed reader finds it again.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bpf.h>

/*
 * As laid out in Documentation/bpf/ringbuf.rst: a page with the reader's
 * position, a page with the writer's, then the data mapped twice in a row so
 * that no record ever seems to wrap around. Positions only grow.
 */
struct oomkill_ring {
	unsigned long *consumer;
	const unsigned long *producer;
	const char *data;
	size_t size; /* bytes, a power of two */
	size_t page;
};

static void oomkill_ring_close(struct oomkill_ring *ring)
{
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page + 2 * ring->size);
	ring->consumer = NULL;
	ring->producer = NULL;
}

static int oomkill_ring_open(struct oomkill_ring *ring, int map_fd, size_t size)
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

		oomkill_ring_close(ring);
		return -error;
	}
	ring->producer = pages;
	ring->data = (const char *)pages + ring->page;
	return 0;
}

static unsigned long oomkill_ring_start(const struct oomkill_ring *ring)
{
	return __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

static unsigned long oomkill_ring_end(const struct oomkill_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

/*
 * The record at a position, which moves on behind it. 1: there is one. 0: none
 * yet, or the kernel is still writing it.
 */
static int oomkill_ring_next(const struct oomkill_ring *ring, unsigned long *position,
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
static void oomkill_ring_release(struct oomkill_ring *ring, unsigned long position)
{
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}
