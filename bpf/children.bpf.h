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
#define DEEPEST_CHILD 8

/* include/linux/cgroup-defs.h, in an enum without a name; the same on every kernel */
#define CSS_ONLINE (1 << 1)
#define CSS_DYING (1 << 4)

/* Keeps one, in the place of the smallest if there is no room. */
__noinline int keep_child(u64 memcg_address, u64 usage)
{
	struct scratch *s = get_scratch();
	struct oomkill_child *to;
	u32 at, i, least = 0;

	if (!s)
		return 0;
	if (s->record.children_used < OOMKILL_CHILDREN) {
		at = s->record.children_used++;
	} else {
		for (i = 1; i < OOMKILL_CHILDREN; i++)
			if (s->record.children[i].usage_pages <
			    s->record.children[least % OOMKILL_CHILDREN].usage_pages)
				least = i;
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

__noinline int walk_children(u64 domain)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)domain;
	u64 head = (u64)__builtin_preserve_access_index(&memcg->css.children);
	struct list_head *node = BPF_CORE_READ(memcg, css.children.next);
	struct scratch *s = get_scratch();
	int i;

	if (!s)
		return 0;
	for (i = 0; i < CHILDREN_SEEN_MAX; i++) {
		struct mem_cgroup *child;
		u64 usage;

		if (!node || (u64)node == head)
			return 0;
		/* The css is a memcg's first member. */
		child = (void *)node - bpf_core_field_offset(struct cgroup_subsys_state, sibling);
		node = BPF_CORE_READ(node, next);
		if ((BPF_CORE_READ(child, css.flags) & (CSS_ONLINE | CSS_DYING)) != CSS_ONLINE)
			continue; /* removed: it stays in the list as long as memory is charged to
				     it */
		usage = BPF_CORE_READ(child, memory.usage.counter);
		s->record.children_pages += usage;
		keep_child((u64)child, usage);
	}
	s->record.flags |= OOMKILL_CHILDREN_CUT;
	return 0;
}

/* Names and limits of those that were kept. */
__noinline int describe_children(void)
{
	struct scratch *s = get_scratch();
	u32 i;

	if (!s)
		return 0;
	for (i = 0; i < OOMKILL_CHILDREN; i++) {
		struct mem_cgroup *child = (struct mem_cgroup *)s->child[i];
		struct oomkill_child *to = &s->record.children[i];

		if (i >= s->record.children_used)
			break;
		to->id = memcg_id(child);
		to->limit_pages = BPF_CORE_READ(child, memory.max);
		to->name_offset = s->used;
		to->name_size = write_name(s, BPF_CORE_READ(child, css.cgroup, kn));
		to->pad = 0;
	}
	return 0;
}

static __always_inline void fill_children(struct mem_cgroup *domain)
{
	struct scratch *s = get_scratch();

	if (!s)
		return;
	__builtin_memset(s->child, 0, sizeof(s->child));
	s->record.children_used = domain ? 0 : OOMKILL_UNKNOWN_U32;
	s->record.children_pages = domain ? 0 : OOMKILL_UNKNOWN;
	s->record.flags &= ~OOMKILL_CHILDREN_CUT;
	if (!domain)
		return;
	walk_children((u64)domain);
	describe_children();
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
