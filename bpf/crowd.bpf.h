/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose kills fill the ring. Nobody has more of it, unread, than CROWD_PARTS times what
 * is free: one alone seven eighths, two less than half each. What is left is for those
 * who have little in it, however long the ring stays full.
 *
 * An owner is whoever can have made up all names below: a user's slice, a pod, a
 * container or a service. It is the first cgroup from the root that is none of those
 * that only hold others'.
 */
#ifndef CROWD_BPF_H
#define CROWD_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"

#define CROWD_PARTS 7
#define OWNERS 128
#define LEVELS 6 /* the root, then five below it: as deep as kubelets nest their pods */
#define HOLDER_SIZE 40 /* longer names are somebody's: a pod's has its UID */

struct crowd_owner {
	u64 unread; /* bytes of its records, when they were counted last */
	u64 consumed; /* the ring's positions then */
	u64 produced;
};

struct crowd_state {
	u64 owner; /* of this incident; 0: nobody's */
	u64 counted; /* the ring's position up to which all is some owner's */
	u64 nearest[LEVELS]; /* struct mem_cgroup, the root first, as far as there are some */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct crowd_state);
} crowd SEC(".maps");

/* By the id of its cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OWNERS);
	__type(key, u64);
	__type(value, struct crowd_owner);
} crowd_owners SEC(".maps");

static __always_inline struct crowd_state *get_crowd(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&crowd, &key);
}

/* A name's first eight bytes as a number, of a little-endian machine. */
#define START(a, b, c, d, e, f, g, h)                                                              \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 |             \
	 (u64)(f) << 40 | (u64)(g) << 48 | (u64)(h) << 56)

/* Whether what is below a cgroup of this name is of several owners. */
__noinline int holds_others(u64 memcg_address)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	char name[HOLDER_SIZE] = {};
	long size;

	size = bpf_probe_read_kernel_str(name, sizeof(name),
					 BPF_CORE_READ(memcg, css.cgroup, kn, name));
	if (size <= 0 || size == sizeof(name))
		return 0;
	switch (*(u64 *)name) {
	case START('k', 'u', 'b', 'e', 'p', 'o', 'd', 's'):
	case START('k', 'u', 'b', 'e', 'l', 'e', 't', '.'):
	case START('k', 'u', 'b', 'e', 'l', 'e', 't', '-'):
	case START('k', 'u', 'b', 'e', 'l', 'e', 't', 0):
	case START('b', 'u', 'r', 's', 't', 'a', 'b', 'l'):
	case START('b', 'e', 's', 't', 'e', 'f', 'f', 'o'):
	case START('u', 's', 'e', 'r', '.', 's', 'l', 'i'):
	case START('s', 'y', 's', 't', 'e', 'm', '.', 's'):
	case START('m', 'a', 'c', 'h', 'i', 'n', 'e', '.'):
	case START('d', 'o', 'c', 'k', 'e', 'r', 0, 0):
	case START('l', 'x', 'c', 0, 0, 0, 0, 0):
		return 1;
	}
	return 0;
}

/* Takes note of a cgroup on the way up, and returns its parent. */
__noinline u64 note_level(u64 memcg_address)
{
	struct crowd_state *state = get_crowd();
	int level;

	if (!state)
		return 0;
	for (level = LEVELS - 1; level > 0; level--)
		state->nearest[level] = state->nearest[level - 1];
	state->nearest[0] = memcg_address;
	return (u64)parent_memcg((struct mem_cgroup *)memcg_address);
}

/* The id of the owner's cgroup. */
__noinline u64 owner_id(u64 memcg)
{
	struct crowd_state *state = get_crowd();
	u64 owner = memcg;
	int level;

	if (!state)
		return 0;
	for (level = 0; level < LEVELS; level++)
		state->nearest[level] = 0;
	for (level = 0; level < OOMKILL_PATH_DEPTH && memcg; level++)
		memcg = note_level(memcg);
	for (level = 1; level < LEVELS; level++) {
		if (!state->nearest[level])
			break;
		owner = state->nearest[level];
		if (!holds_others(owner))
			break;
	}
	return memcg_id((struct mem_cgroup *)owner);
}

/* What of an owner's records is still unread, if they were spread evenly over the ring. */
static __always_inline u64 crowd_unread(const struct crowd_owner *had, u64 consumed)
{
	if (!had || consumed >= had->produced)
		return 0;
	return had->unread * (had->produced - consumed) / (had->produced - had->consumed);
}

/* Whether a kill by this cgroup's limit has to make way; 0: it was no cgroup's. */
__noinline int crowds_out(u64 domain)
{
	u64 size = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
	u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	u64 consumed = bpf_ringbuf_query(&ring, BPF_RB_CONS_POS);
	struct crowd_state *state = get_crowd();
	u64 id;

	if (!state)
		return 0;
	id = domain ? owner_id(domain) : 0;
	state->owner = id;
	if (!id || used > size)
		return 0;
	return crowd_unread(bpf_map_lookup_elem(&crowd_owners, &id), consumed) >
	       CROWD_PARTS * (size - used);
}

/* Counts what was written since the last time as this incident's owner's. */
__noinline int count_crowd(void)
{
	struct crowd_state *state = get_crowd();
	struct crowd_owner now = {};
	u64 id;

	if (!state)
		return 0;
	now.produced = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	if (now.produced == state->counted)
		return 0;
	id = state->owner;
	if (id) {
		now.consumed = bpf_ringbuf_query(&ring, BPF_RB_CONS_POS);
		now.unread = now.produced - state->counted +
			     crowd_unread(bpf_map_lookup_elem(&crowd_owners, &id), now.consumed);
		bpf_map_update_elem(&crowd_owners, &id, &now, BPF_ANY);
	}
	state->counted = now.produced;
	return 0;
}

#endif /* CROWD_BPF_H */
