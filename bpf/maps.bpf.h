/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps: what is kept from one hook to the next, and what the loader and the reader share. */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"

const volatile struct oomkill_config config = {};

#define PATH_ENDS 8 /* a power of two */

struct scratch {
	struct mem_cgroup *domain; /* whose memory.stat is still to be read, else NULL */
	u64 domain_memcg; /* the same, until the incident ends; 0: none */
	struct oom_control *scan; /* whose candidate scan is going on, else NULL */
	struct task_struct *killed; /* from its SIGKILL to its mark_victim, else NULL */
	u64 group_id; /* raw tracepoint alone: the group this incident kills */
	u64 last_ns; /* raw tracepoint alone: when the last victim was marked */
	struct task_struct *signalled; /* likewise: whom the OOM killer sent SIGKILL last */
	u32 signalled_by; /* the thread that did */
	u32 pad;
	u32 owner; /* thread in the middle of an incident, 0 for none */
	u32 used; /* of record.strings */
	u32 used_by_incident; /* of it, what all victims share */
	u32 threads; /* of the victim, before SIGKILL made some of them leave */
	u32 kept; /* of record.candidates */
	u32 least; /* the smallest of them, once there is no room for more */
	u32 climbs; /* levels climbed of a long path */
	u32 before_sent; /* of this incident: what came before it */
	struct oomkill_refaults refaults[2]; /* of the domain, of the victim's cgroup */
	u64 least_pages; /* how large it is; 0 before */
	u64 child[OOMKILL_CHILDREN]; /* struct mem_cgroup of record.children, 0: none yet */
	u64 group_memcg; /* the highest so far with memory.oom.group */
	u64 path_whole; /* PATH_WHOLE once the root has been reached, else 0 */
	u64 leaf_parent; /* kernfs node up to which a path's names are in LEAF_BYTES */
	u64 leaf_end; /* of record.strings, where they end */
	s64 least_room; /* of the cgroups compared so far, and whose it is */
	u64 fullest;
	s64 rss[RSS_MEMBERS]; /* of the victim, and where the CPUs' shares of it are */
	u64 rss_shares[RSS_MEMBERS];
	u64 stack[OOMKILL_STACK_DEPTH]; /* of who asks, kernel side */
	u32 stack_used; /* of it; 0: there is none, or it was sent */
	u32 stack_taken; /* of this incident */
	u32 user_stack_used; /* of user_stack, likewise */
	struct oomkill_stack_names names;
	struct oomkill_user_frame user_stack[OOMKILL_USER_STACK_DEPTH];
	struct oom_control *stack_of; /* kprobe: whose, until the incident begins */
	struct kernfs_node *climbed[PATH_ENDS]; /* of a long path, the names nearest the root */
	struct oomkill_victim record;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* Mapped by the reader: it needs no right to call bpf() once it runs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomkill_counters);
} counters SEC(".maps");

/* The loader may set another size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

/*
 * Raw tracepoint alone: OOM kills counted by each memory cgroup when last seen,
 * by kernfs id. The loader enters those above 0 from before its time, and with
 * them OOMKILL_ENTERED.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, u64);
} kills_seen SEC(".maps");

/*
 * Raw tracepoint alone: how often each memory cgroup had run out when last seen, by
 * kernfs id. The loader enters those above 0 from before its time, where the kernel
 * tells them: on cgroup v2.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, u64);
} ooms_seen SEC(".maps");

/*
 * Flight recorder: what each memory cgroup used, by the serial number of its css, which
 * no other ever has. The loader may set another number of them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct oomkill_recording);
} recordings SEC(".maps");

/* What the recorder counts of its work; mapped by the reader, as the counters are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomkill_recorder);
} recorder SEC(".maps");

/*
 * How the kernel reclaimed memory of each cgroup, by the same number; those that have
 * not for longest make room. The loader may set another number of them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct oomkill_reclaim);
} reclaims SEC(".maps");

/* Raw tracepoint alone: written by the loader when it has read them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomkill_functions);
} functions SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&scratch, &key);
}

static __always_inline struct oomkill_counters *get_counters(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&counters, &key);
}

static __always_inline struct oomkill_recorder *get_recorder(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&recorder, &key);
}

static __always_inline u32 current_tid(void)
{
	return (u32)bpf_get_current_pid_tgid();
}

/* The next of a list of the kernel's, 0 at its end: head is where it begins and ends. */
__noinline u64 list_next(u64 node, u64 head)
{
	u64 next = (u64)BPF_CORE_READ((struct list_head *)node, next);

	return next == head ? 0 : next;
}

#endif /* MAPS_BPF_H */
