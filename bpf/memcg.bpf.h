/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A task's memory cgroup: its id, path, limits and memory, as a record has them. */
#ifndef MEMCG_BPF_H
#define MEMCG_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg_stat.bpf.h"

#define NAME_SIZE 256 /* NAME_MAX and its NUL */

/* mem_cgroup_from_task(); its css is its first member. */
static __always_inline struct mem_cgroup *task_memcg(struct task_struct *task)
{
	struct css_set *cset = BPF_CORE_READ(task, cgroups);
	u64 slot = (u64)__builtin_preserve_access_index(&cset->subsys);
	struct mem_cgroup *memcg = NULL;

	slot += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *);
	bpf_probe_read_kernel(&memcg, sizeof(memcg), (void *)slot);
	return memcg;
}

static __always_inline struct mem_cgroup *parent_memcg(struct mem_cgroup *memcg)
{
	return (struct mem_cgroup *)BPF_CORE_READ(memcg, css.parent);
}

static __always_inline bool memcg_is_v1(struct mem_cgroup *memcg)
{
	/* The one default hierarchy, cgroup v2, is number 0. */
	return BPF_CORE_READ(memcg, css.cgroup, root, hierarchy_id) != 0;
}

static __always_inline u64 memcg_id(struct mem_cgroup *memcg)
{
	return BPF_CORE_READ(memcg, css.cgroup, kn, id);
}

/* SIGKILLs the OOM killer sent into this very cgroup; mark_victim comes after. */
static __always_inline u64 memcg_oom_kills(struct mem_cgroup *memcg)
{
	u64 event = (u64)__builtin_preserve_access_index(&memcg->memory_events_local);
	u64 count = 0;

	event += bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL) * sizeof(u64);
	bpf_probe_read_kernel(&count, sizeof(count), (void *)event);
	return count;
}

/*
 * The loops below are functions of their own, with numbers only for arguments:
 * the verifier looks through such a one once, and not once more for every way
 * that leads to its call. That is most of the time it takes to attach.
 */

/*
 * memory.oom.group, as mem_cgroup_get_oom_group() finds it: the highest cgroup
 * from the victim's up to the domain that has it set. 0: none.
 */
__noinline u64 oom_group_id(u64 victim_memcg, u64 domain)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)victim_memcg;
	u64 group = 0, is_group;
	int level;

	for (level = 0; level < OOMKILL_PATH_DEPTH && memcg; level++) {
		is_group = -(u64)BPF_CORE_READ(memcg, oom_group);
		barrier_var(is_group); /* no branch, which the verifier would follow each time */
		group = (group & ~is_group) | ((u64)memcg & is_group);
		if ((u64)memcg == domain)
			break;
		memcg = parent_memcg(memcg);
	}
	return group ? memcg_id((struct mem_cgroup *)group) : 0;
}

/* What a cgroup may still take; v1 can limit memory and swap together as well. */
static __always_inline s64 memcg_room(struct mem_cgroup *memcg)
{
	s64 room = BPF_CORE_READ(memcg, memory.max) - BPF_CORE_READ(memcg, memory.usage.counter);
	s64 both = BPF_CORE_READ(memcg, swap.max) - BPF_CORE_READ(memcg, swap.usage.counter);
	u64 less = (both - room) >> 63;

	less &= -(u64)memcg_is_v1(memcg);
	barrier_var(less);
	return (room & ~less) | (both & less);
}

/*
 * Raw tracepoint alone: the domain is, of the cgroups from the victim's upward
 * that are within pages_slack of their limit, the one nearest to it; of two as
 * near, the lower, which is charged first. None is: the node's memory, or a
 * cpuset's, ran out. Without branches, which the verifier would follow each time.
 */
__noinline u64 full_memcg(u64 victim_memcg)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)victim_memcg;
	s64 least = (s64)config.pages_slack + 1;
	u64 fullest = 0;
	int level;

	for (level = 0; level < OOMKILL_PATH_DEPTH && memcg; level++) {
		s64 room = memcg_room(memcg);
		u64 nearer = (room - least) >> 63;

		barrier_var(nearer);
		least = (least & ~nearer) | (room & nearer);
		fullest = (fullest & ~nearer) | ((u64)memcg & nearer);
		memcg = parent_memcg(memcg);
	}
	return fullest;
}

/*
 * Writes a path behind the strings there are, and returns its size in bytes,
 * PATH_WHOLE added if it reached the root.
 */
#define PATH_WHOLE (1ULL << 32)

__noinline u64 write_path(u64 kernfs_node)
{
	struct kernfs_node *kn = (struct kernfs_node *)kernfs_node;
	struct scratch *s = get_scratch();
	u64 start, at, whole = 0;
	int depth;

	if (!s)
		return 0;
	start = at = s->used;
	for (depth = 0; depth < OOMKILL_PATH_DEPTH; depth++) {
		struct kernfs_node *parent = kernfs_parent(kn);
		long size;

		if (!parent) {
			whole = PATH_WHOLE;
			break;
		}
		if (at - start > OOMKILL_PATH_LEN - NAME_SIZE)
			break;
		barrier_var(at); /* for the verifier: this very register is checked */
		if (at > OOMKILL_STRINGS_LEN - NAME_SIZE)
			break;
		size = bpf_probe_read_kernel_str(&s->record.strings[at], NAME_SIZE,
						 BPF_CORE_READ(kn, name));
		if (size <= 0)
			break;
		at += size & (2 * NAME_SIZE - 1);
		kn = parent;
	}
	s->used = at;
	return (at - start) | whole;
}

static __always_inline void fill_path(struct scratch *s, struct oomkill_memcg *to,
				      struct kernfs_node *kn)
{
	u64 written;

	to->path_offset = s->used;
	written = write_path((u64)kn);
	to->path_size = written;
	if (!(written & PATH_WHOLE))
		to->flags |= OOMKILL_MEMCG_PATH_CUT;
}

static __always_inline void no_memcg(struct oomkill_memcg *to)
{
	__builtin_memset(to, 0xff, sizeof(*to));
	to->swappiness = OOMKILL_UNKNOWN_S32;
	to->path_offset = 0;
	to->path_size = 0;
	to->flags = 0;
	to->pad = 0;
}

static __always_inline void fill_memcg_name(struct scratch *s, struct oomkill_memcg *to,
					    struct mem_cgroup *memcg)
{
	no_memcg(to);
	if (!memcg)
		return;
	to->id = memcg_id(memcg);
	if (memcg_is_v1(memcg))
		to->flags |= OOMKILL_MEMCG_V1;
	fill_path(s, to, BPF_CORE_READ(memcg, css.cgroup, kn));
}

static __always_inline void no_stat(struct oomkill_stat *to)
{
	__builtin_memset(to, 0xff, sizeof(*to));
	to->flags = 0;
	to->pad = 0;
}

/* Of the domain or of the victim's cgroup: which is 0 or 1. */
__noinline int fill_stat(u64 memcg, u64 which)
{
	struct stat_sums *sums = get_stat_sums();
	struct scratch *s = get_scratch();
	struct oomkill_stat *to;
	u64 *values;
	int i;

	if (!s || !sums)
		return 0;
	to = which ? &s->record.victim_stat : &s->record.domain_stat;
	no_stat(to);
	if (!memcg || !sum_stat(memcg))
		return 0;
	values = &to->anon_pages;
	for (i = 0; i < STAT_ITEMS; i++)
		if (sums->slots[i] != NO_SLOT)
			values[i] = not_negative(sums->sums[i]);
	if (sums->slots[STAT_KERNEL] == NO_SLOT && memcg_is_v1((struct mem_cgroup *)memcg))
		to->kernel_pages = memcg_v1_kernel_pages((struct mem_cgroup *)memcg);
	if (sums->approximate)
		to->flags |= OOMKILL_STAT_APPROXIMATE;
	return 0;
}

/* At the moment of the kill, the domain's once per incident. */
static __always_inline void fill_stats(struct scratch *s, struct task_struct *victim)
{
	u64 memcg = (u64)task_memcg(victim);

	if (s->domain)
		fill_stat((u64)s->domain, 0);
	s->domain = NULL;
	fill_stat(memcg_id((void *)memcg) == s->record.domain.id ? 0 : memcg, 1);
}

static __always_inline void fill_memcg(struct scratch *s, struct oomkill_memcg *to,
				       struct mem_cgroup *memcg)
{
	fill_memcg_name(s, to, memcg);
	if (!memcg)
		return;
	to->usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
	to->limit_pages = BPF_CORE_READ(memcg, memory.max);
	to->low_pages = BPF_CORE_READ(memcg, memory.low);
	to->peak_pages = BPF_CORE_READ(memcg, memory.watermark);
	to->swap_usage_pages = BPF_CORE_READ(memcg, swap.usage.counter);
	to->swap_limit_pages = BPF_CORE_READ(memcg, swap.max);
	/* cgroup v2 has only the node's */
	if (to->flags & OOMKILL_MEMCG_V1)
		to->swappiness = memcg_v1_swappiness(memcg);
}

#endif /* MEMCG_BPF_H */
