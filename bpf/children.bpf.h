/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The cgroups right below the domain: what each holds, and what none of them does. */
#ifndef CHILDREN_BPF_H
#define CHILDREN_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"

#define CHILDREN_SEEN_MAX 256
#define CHILDREN_AT_A_TIME 16
#define DEEPEST_CHILD 8

/* include/linux/cgroup-defs.h, in an enum without a name; the same on every kernel */
#define CSS_ONLINE (1 << 1)
#define CSS_DYING (1 << 4)

/* Which of two that are kept uses less. */
__noinline u64 smaller_child(u64 one, u64 other)
{
	struct scratch *s = get_scratch();

	if (s && s->record.children[other % OOMKILL_CHILDREN].usage_pages <
			 s->record.children[one % OOMKILL_CHILDREN].usage_pages)
		return other;
	return one;
}

/* Keeps one, in the place of the smallest if there is no room. */
__noinline int keep_child(u64 memcg_address, u64 usage)
{
	struct scratch *s = get_scratch();
	struct oomkill_child *to;
	u64 at, i, least = 0;

	if (!s)
		return 0;
	if (s->record.children_used < OOMKILL_CHILDREN) {
		at = s->record.children_used++;
	} else {
		for (i = 1; i < OOMKILL_CHILDREN; i++)
			least = smaller_child(least, i);
		at = least;
	}
	barrier_var(at); /* for the verifier: this very register is checked */
	if (at >= OOMKILL_CHILDREN)
		return 0;
	to = &s->record.children[at];
	if (s->child[at] && to->usage_pages >= usage)
		return 0;
	s->child[at] = memcg_address;
	to->usage_pages = usage;
	return 0;
}

/* Counts one child of the domain, and returns the next. */
__noinline u64 see_child(u64 sibling, u64 head)
{
	/* The css is a memcg's first member. */
	struct mem_cgroup *child =
		(struct mem_cgroup *)(sibling -
				      bpf_core_field_offset(struct cgroup_subsys_state, sibling));
	u32 flags = BPF_CORE_READ(child, css.flags) & (CSS_ONLINE | CSS_DYING);
	struct scratch *s = get_scratch();
	u64 usage;

	/* A removed one stays in the list as long as memory is charged to it. */
	if (s && flags == CSS_ONLINE) {
		usage = BPF_CORE_READ(child, memory.usage.counter);
		s->record.children_pages += usage;
		keep_child((u64)child, usage);
	}
	return list_next(sibling, head);
}

/* Counts some, and returns the next. */
__noinline u64 see_children(u64 sibling, u64 head)
{
	int i;

	for (i = 0; i < CHILDREN_AT_A_TIME && sibling; i++)
		sibling = see_child(sibling, head);
	return sibling;
}

__noinline int walk_children(u64 domain)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)domain;
	u64 head = (u64)__builtin_preserve_access_index(&memcg->css.children);
	struct scratch *s = get_scratch();
	u64 sibling = list_next(head, head);
	int i;

	for (i = 0; i < CHILDREN_SEEN_MAX / CHILDREN_AT_A_TIME && sibling; i++)
		sibling = see_children(sibling, head);
	if (s && sibling)
		s->record.flags |= OOMKILL_CHILDREN_CUT;
	return 0;
}

/* Name and limit of one that was kept. */
__noinline int describe_child(u64 i)
{
	struct scratch *s = get_scratch();
	struct oomkill_child *to;
	struct mem_cgroup *child;

	if (!s || i >= OOMKILL_CHILDREN)
		return 0;
	child = (struct mem_cgroup *)s->child[i];
	to = &s->record.children[i];
	to->id = memcg_id(child);
	to->limit_pages = BPF_CORE_READ(child, memory.max);
	to->name_offset = s->used;
	to->name_size = write_name((u64)BPF_CORE_READ(child, css.cgroup, kn));
	to->pad = 0;
	return 0;
}

static __always_inline void fill_children(struct mem_cgroup *domain)
{
	struct scratch *s = get_scratch();
	u32 i;

	if (!s)
		return;
	__builtin_memset(s->child, 0, sizeof(s->child));
	s->record.children_used = domain ? 0 : OOMKILL_UNKNOWN_U32;
	s->record.children_pages = domain ? 0 : OOMKILL_UNKNOWN;
	s->record.flags &= ~OOMKILL_CHILDREN_CUT;
	if (!domain)
		return;
	walk_children((u64)domain);
	for (i = 0; i < OOMKILL_CHILDREN && i < s->record.children_used; i++)
		describe_child(i);
}

/* The child of the domain that a memory cgroup is or lies in; unknown: none is. */
__noinline u64 child_id(u64 memcg_address, u64 domain)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	int level;

	for (level = 0; level < DEEPEST_CHILD && memcg && domain; level++) {
		struct mem_cgroup *parent = parent_memcg(memcg);

		if ((u64)parent == domain)
			return memcg_id(memcg);
		memcg = parent;
	}
	return OOMKILL_UNKNOWN;
}

#endif /* CHILDREN_BPF_H */
