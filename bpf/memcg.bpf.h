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

/* A pointer the verifier knows the type of, as a function with numbers for arguments takes it. */
static __always_inline u64 address_of(const void *pointer)
{
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
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

/* How often something happened to this very cgroup, of memory.events.local. */
static __always_inline u64 memcg_event(struct mem_cgroup *memcg, u64 which)
{
	u64 event = (u64)__builtin_preserve_access_index(&memcg->memory_events_local);
	u64 count = 0;

	bpf_probe_read_kernel(&count, sizeof(count), (void *)(event + which * sizeof(u64)));
	return count;
}

/* SIGKILLs the OOM killer sent into it; mark_victim comes after. */
static __always_inline u64 memcg_oom_kills(struct mem_cgroup *memcg)
{
	return memcg_event(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL));
}

/*
 * The cgroup a task is in, by which it is named. On cgroup v2 that need not be a
 * memory cgroup: the controller may be off, or not handed on so far down; then
 * the task is charged to one above it. On v1 the memory hierarchy is of its own.
 */
static __always_inline struct cgroup *naming_cgroup(struct task_struct *task,
						    struct mem_cgroup *memcg)
{
	if (memcg && memcg_is_v1(memcg) && !config.memcg_disabled)
		return BPF_CORE_READ(memcg, css.cgroup);
	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

/*
 * The loops below are functions of their own, with numbers only for arguments:
 * the verifier looks through such a one once, and not once more for every way
 * that leads to its call. What is done each time around is one again: the verifier
 * goes around as often as the loop may. That is most of the time it takes to attach.
 * So a long loop is two, one around the other: eight times eight costs sixteen.
 */
#define LEVELS_AT_A_TIME 8
#define PATH_LAPS (OOMKILL_PATH_DEPTH / LEVELS_AT_A_TIME)

/* Keeps a cgroup if it is a group, and returns its parent; 0: that is not in the domain. */
__noinline u64 note_group(u64 memcg_address, u64 domain)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	struct scratch *s = get_scratch();

	if (s && BPF_CORE_READ(memcg, oom_group))
		s->group_memcg = memcg_address;
	return memcg_address == domain ? 0 : (u64)parent_memcg(memcg);
}

__noinline u64 note_groups(u64 memcg, u64 domain)
{
	int level;

	for (level = 0; level < LEVELS_AT_A_TIME && memcg; level++)
		memcg = note_group(memcg, domain);
	return memcg;
}

/*
 * memory.oom.group, as mem_cgroup_get_oom_group() finds it: the highest cgroup
 * from the victim's up to the domain that has it set. 0: none.
 */
__noinline u64 oom_group_id(u64 victim_memcg, u64 domain)
{
	struct scratch *s = get_scratch();
	u64 memcg = victim_memcg;
	int lap;

	if (!s)
		return 0;
	s->group_memcg = 0;
	for (lap = 0; lap < PATH_LAPS && memcg; lap++)
		memcg = note_groups(memcg, domain);
	return s->group_memcg ? memcg_id((struct mem_cgroup *)s->group_memcg) : 0;
}

/* What a cgroup may still take; v1 can limit memory and swap together as well. */
__noinline s64 memcg_room(u64 memcg_address)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	s64 room = BPF_CORE_READ(memcg, memory.max) - BPF_CORE_READ(memcg, memory.usage.counter);
	s64 both = BPF_CORE_READ(memcg, swap.max) - BPF_CORE_READ(memcg, swap.usage.counter);

	return both < room && memcg_is_v1(memcg) ? both : room;
}

/*
 * Raw tracepoint alone: which of the cgroups from the victim's upward is nearest to
 * its limit; of two as near, the lower, which is charged first. 0: none is close.
 * With TOO_DEEP, there were more of them than were looked at.
 * Close is within pages_slack, or a sixteenth of the limit: what was charged may
 * have been given back since.
 */
#define CLOSE_SHIFT 4
#define TOO_DEEP 1ULL

/* Compares one with the fullest so far, and returns its parent. */
__noinline u64 compare_memcg(u64 memcg_address)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	s64 room = memcg_room(memcg_address);
	s64 close = BPF_CORE_READ(memcg, memory.max) >> CLOSE_SHIFT;
	struct scratch *s = get_scratch();

	if (s && room < s->least_room && (room <= (s64)config.pages_slack || room <= close)) {
		s->least_room = room;
		s->fullest = memcg_address;
	}
	return (u64)parent_memcg(memcg);
}

__noinline u64 compare_memcgs(u64 memcg)
{
	int level;

	for (level = 0; level < LEVELS_AT_A_TIME && memcg; level++)
		memcg = compare_memcg(memcg);
	return memcg;
}

__noinline u64 fullest_memcg(u64 victim_memcg)
{
	struct scratch *s = get_scratch();
	u64 memcg = victim_memcg;
	int lap;

	if (!s)
		return 0;
	s->least_room = 1LL << 62;
	s->fullest = 0;
	for (lap = 0; lap < PATH_LAPS && memcg; lap++)
		memcg = compare_memcgs(memcg);
	/* Aligned, a memcg's address has room for one more fact: some were not looked at. */
	return s->fullest | !!memcg;
}

/*
 * Writes a name behind the strings there are; NULL: an empty one. Returns its size
 * in bytes, the NUL included; 0: no room.
 */
__noinline u64 write_name(u64 kernfs_node)
{
	struct kernfs_node *kn = (struct kernfs_node *)kernfs_node;
	struct scratch *s = get_scratch();
	long size;
	u64 at;

	if (!s)
		return 0;
	at = s->used;
	barrier_var(at); /* for the verifier: this very register is checked */
	if (at > OOMKILL_STRINGS_LEN - NAME_SIZE)
		return 0;
	size = bpf_probe_read_kernel_str(&s->record.strings[at], NAME_SIZE,
					 BPF_CORE_READ(kn, name));
	if (size <= 0)
		return 0;
	size &= 2 * NAME_SIZE - 1;
	s->used = at + size;
	return size;
}

#define PATH_CLIMB 256
#define CLIMB_AT_A_TIME 16

/* One level of a path upward, from the one given: the next node, 0 at the root. */
__noinline u64 climb_level(u64 kernfs_node)
{
	struct kernfs_node *kn = (struct kernfs_node *)kernfs_node, *parent = kernfs_parent(kn);
	struct scratch *s = get_scratch();

	if (!s || !parent)
		return 0;
	s->climbed[s->climbs % PATH_ENDS] = kn;
	s->climbs++;
	return (u64)parent;
}

__noinline u64 climb_some(u64 kernfs_node)
{
	u64 kn = kernfs_node;
	int i;

	for (i = 0; i < CLIMB_AT_A_TIME && kn; i++)
		kn = climb_level(kn);
	return kn;
}

/*
 * Climbs to the root and keeps the names nearest to it. Returns how many levels
 * that were, PATH_CLIMB for too many.
 */
__noinline u32 climb(u64 kernfs_node)
{
	struct scratch *s = get_scratch();
	u64 kn = kernfs_node;
	int i;

	if (!s)
		return PATH_CLIMB;
	s->climbs = 0;
	for (i = 0; i < PATH_CLIMB / CLIMB_AT_A_TIME && kn; i++)
		kn = climb_some(kn);
	return kn ? PATH_CLIMB : s->climbs;
}

#define PATH_WHOLE (1ULL << 32)

/*
 * The ends of a path that is too long: up to LEAF_BYTES nearest the cgroup, and
 * PATH_ENDS names nearest the root, which say whose it is. Between them one
 * empty name. levels: as climb() returned them, which keeps those names. Returns
 * PATH_WHOLE if no name is missing after all.
 */
#define LEAF_BYTES (OOMKILL_PATH_LEN - PATH_ENDS * NAME_SIZE - NAME_SIZE)

__noinline u64 write_ends(u64 levels, u64 leaf_end)
{
	struct scratch *s = get_scratch();
	u32 level = levels;
	u64 at = leaf_end;
	u32 i;

	if (!s || level >= PATH_CLIMB || at >= OOMKILL_STRINGS_LEN)
		return 0;
	s->used = at;
	if (level > PATH_ENDS) {
		s->record.strings[at] = 0;
		s->used = at + 1;
	}
	for (i = 0; i < PATH_ENDS; i++) {
		/* The oldest that is kept comes next; before the first lap, the first. */
		u32 next = level < PATH_ENDS ? i : level + i;

		if (i < level && !write_name((u64)s->climbed[next % PATH_ENDS]))
			return 0;
	}
	return level > PATH_ENDS ? 0 : PATH_WHOLE;
}

/* Writes one name of a path, and returns the next node; 0 at the root, or without room. */
__noinline u64 write_level(u64 kernfs_node, u64 start)
{
	u64 parent = (u64)kernfs_parent((struct kernfs_node *)kernfs_node);
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (!parent) {
		s->path_whole = PATH_WHOLE;
		return 0;
	}
	if (s->used - start > OOMKILL_PATH_LEN - NAME_SIZE || !write_name(kernfs_node))
		return 0;
	if (s->used - start <= LEAF_BYTES) {
		s->leaf_end = s->used;
		s->leaf_parent = parent;
	}
	return parent;
}

__noinline u64 write_levels(u64 kernfs_node, u64 start)
{
	u64 kn = kernfs_node;
	int depth;

	for (depth = 0; depth < LEVELS_AT_A_TIME && kn; depth++)
		kn = write_level(kn, start);
	return kn;
}

/*
 * Writes a path behind the strings there are, and returns its size in bytes,
 * PATH_WHOLE added if no name is missing.
 */
__noinline u64 write_path(u64 kernfs_node)
{
	struct scratch *s = get_scratch();
	u64 start, kn = kernfs_node;
	int lap;

	if (!s)
		return 0;
	start = s->leaf_end = s->used;
	s->leaf_parent = kernfs_node;
	s->path_whole = 0;
	for (lap = 0; lap < PATH_LAPS && kn; lap++)
		kn = write_levels(kn, start);
	if (!s->path_whole)
		s->path_whole = write_ends(climb(s->leaf_parent), s->leaf_end);
	return (s->used - start) | s->path_whole;
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

/* In the order of the record, which has them side by side. */
enum which_memcg {
	DOMAIN,
	TRIGGER,
	VICTIM,
};

/* One of the record's cgroups; memcg: where its numbers are, 0 for none. */
__noinline int fill_memcg(u64 cgroup_address, u64 memcg_address, u64 which)
{
	struct cgroup *cgroup = (struct cgroup *)cgroup_address;
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	struct scratch *s = get_scratch();
	struct oomkill_memcg *to;
	u64 written;

	if (!s || which > VICTIM)
		return 0;
	to = &s->record.domain + which;
	no_memcg(to);
	if (!cgroup)
		return 0;
	to->id = BPF_CORE_READ(cgroup, kn, id);
	if (BPF_CORE_READ(cgroup, root, hierarchy_id))
		to->flags |= OOMKILL_MEMCG_V1;
	if (cgroup_is_populated(cgroup))
		to->flags |= OOMKILL_MEMCG_POPULATED;
	to->path_offset = s->used;
	written = write_path((u64)BPF_CORE_READ(cgroup, kn));
	to->path_size = written;
	if (!(written & PATH_WHOLE))
		to->flags |= OOMKILL_MEMCG_PATH_CUT;
	if (!memcg) {
		to->flags |= OOMKILL_MEMCG_NO_CONTROLLER;
		return 0;
	}
	to->usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
	to->limit_pages = BPF_CORE_READ(memcg, memory.max);
	to->low_pages = BPF_CORE_READ(memcg, memory.low);
	to->peak_pages = BPF_CORE_READ(memcg, memory.watermark);
	to->swap_usage_pages = BPF_CORE_READ(memcg, swap.usage.counter);
	to->swap_limit_pages = BPF_CORE_READ(memcg, swap.max);
	/* cgroup v2 has only the node's */
	if (to->flags & OOMKILL_MEMCG_V1)
		to->swappiness = memcg_v1_swappiness(memcg);
	return 0;
}

static __always_inline void fill_domain(struct mem_cgroup *domain)
{
	fill_memcg(domain ? (u64)BPF_CORE_READ(domain, css.cgroup) : 0, (u64)domain, DOMAIN);
}

/* Its memory cgroup, where that is the cgroup it is in; 0: its memory is charged elsewhere. */
static __always_inline u64 own_memcg(struct task_struct *task)
{
	struct mem_cgroup *memcg = task_memcg(task);

	if (config.memcg_disabled || !memcg ||
	    naming_cgroup(task, memcg) != BPF_CORE_READ(memcg, css.cgroup))
		return 0;
	return (u64)memcg;
}

/* A task's cgroup, with numbers where it is one that memory is charged to. */
static __always_inline void fill_task_cgroup(struct task_struct *task, enum which_memcg which)
{
	u64 cgroup = (u64)naming_cgroup(task, task_memcg(task));

	fill_memcg(cgroup, own_memcg(task), which);
}

static __always_inline void no_stat(struct oomkill_stat *to)
{
	__builtin_memset(to, 0xff, sizeof(*to));
	to->flags = 0;
	to->pad = 0;
}

/* An item in the record's units; unknown where the kernel does not count it. */
__noinline u64 stat_value(u64 item)
{
	struct stat_sums *sums = get_stat_sums();

	if (!sums || item >= STAT_ITEMS || sums->slots[item] == NO_SLOT)
		return OOMKILL_UNKNOWN;
	return not_negative(sums->sums[item]);
}

/* Of the domain or of the victim's cgroup: which is 0 or 1. */
__noinline int fill_stat(u64 memcg, u64 which)
{
	struct stat_sums *sums = get_stat_sums();
	struct scratch *s = get_scratch();
	struct oomkill_refaults *refaults;
	struct oomkill_stat *to;
	u64 *values;
	int i;

	if (!s || !sums || which > 1)
		return 0;
	to = &s->record.domain_stat + which; /* the victim's is behind it */
	no_stat(to);
	refaults = &s->refaults[which];
	refaults->anon_pages = refaults->file_pages = OOMKILL_UNKNOWN;
	if (!memcg || !sum_stat(memcg))
		return 0;
	values = &to->anon_pages;
	for (i = STAT_LRU + 1; i <= STAT_LRU_UNEVICTABLE; i++)
		sums->sums[STAT_LRU] += sums->sums[i];
	for (i = 0; i <= STAT_LRU; i++)
		values[i] = stat_value(i);
	refaults->anon_pages = stat_value(STAT_REFAULT_ANON);
	refaults->file_pages = stat_value(STAT_REFAULT_FILE);
	if (sums->slots[STAT_KERNEL] == NO_SLOT && memcg_is_v1((struct mem_cgroup *)memcg))
		to->kernel_pages = memcg_v1_kernel_pages((struct mem_cgroup *)memcg);
	if (sums->approximate)
		to->flags |= OOMKILL_STAT_APPROXIMATE;
	return 0;
}

/* At the moment of the kill, the domain's once per incident. */
__noinline int fill_stats(u64 victim)
{
	u64 memcg = own_memcg((struct task_struct *)victim);
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	if (s->domain)
		fill_stat((u64)s->domain, 0);
	s->domain = NULL;
	if (memcg && memcg_id((void *)memcg) == s->record.domain.id)
		memcg = 0;
	fill_stat(memcg, 1);
	return 0;
}

#endif /* MEMCG_BPF_H */
