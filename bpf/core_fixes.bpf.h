/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One accessor per thing that differs between kernels, each with the commit and
 * the version that changed it. The choice is always made by what the running
 * kernel's BTF has, never by its version: distributions backport.
 */
#ifndef CORE_FIXES_BPF_H
#define CORE_FIXES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"

#define CORE_FLAVOUR __attribute__((preserve_access_index))

/*
 * kernfs_node.parent became __parent, an RCU pointer, in
 * 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent."), v6.15.
 */
struct kernfs_node___v515 {
	struct kernfs_node *parent;
} CORE_FLAVOUR;

struct kernfs_node___v615 {
	struct kernfs_node *__parent;
} CORE_FLAVOUR;

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___v615 *new = (void *)kn;
	struct kernfs_node___v515 *old = (void *)kn;

	if (bpf_core_field_exists(new->__parent))
		return BPF_CORE_READ(new, __parent);
	return BPF_CORE_READ(old, parent);
}

/*
 * The tracepoint mark_victim got the task itself instead of its pid in
 * 72ba14deb40a ("mm: update mark_victim tracepoints fields"), v6.9, which went
 * to the stable trees as well. The uid came with it.
 */
struct trace_event_raw_mark_victim___v69 {
	unsigned int uid;
} CORE_FLAVOUR;

static __always_inline bool mark_victim_has_task(void)
{
	return bpf_core_field_exists(((struct trace_event_raw_mark_victim___v69 *)0)->uid);
}

/*
 * memcg->swappiness and memcg->kmem have a meaning on cgroup v1 only; a kernel
 * built without CONFIG_MEMCG_V1 no longer has the latter, a v7.3 neither.
 */
struct mem_cgroup___v1 {
	bool oom_kill_disable;
	int under_oom;
	int swappiness;
	struct page_counter kmem;
} CORE_FLAVOUR;

static __always_inline u64 memcg_v1_kernel_pages(struct mem_cgroup *memcg)
{
	struct mem_cgroup___v1 *v1 = (void *)memcg;

	if (bpf_core_field_exists(v1->kmem))
		return BPF_CORE_READ(v1, kmem.usage.counter);
	return OOMKILL_UNKNOWN;
}

static __always_inline s32 memcg_v1_swappiness(struct mem_cgroup *memcg)
{
	struct mem_cgroup___v1 *v1 = (void *)memcg;

	if (bpf_core_field_exists(v1->swappiness))
		return BPF_CORE_READ(v1, swappiness);
	return OOMKILL_UNKNOWN_S32;
}

/* The helper came with 7b15523a989b ("bpf: Add a bpf_snprintf helper"), v5.13. */
enum bpf_func_id___snprintf {
	BPF_FUNC_snprintf___v513 = 165,
};

static __always_inline bool kernel_has_snprintf(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id___snprintf, BPF_FUNC_snprintf___v513);
}

/* memory.oom_control: whether its tasks wait where they would be killed, and whether some do. */
static __always_inline bool memcg_oom_disabled(struct mem_cgroup *memcg)
{
	struct mem_cgroup___v1 *v1 = (void *)memcg;

	return bpf_core_field_exists(v1->oom_kill_disable) && BPF_CORE_READ(v1, oom_kill_disable);
}

static __always_inline bool memcg_under_oom(struct mem_cgroup *memcg)
{
	struct mem_cgroup___v1 *v1 = (void *)memcg;

	return bpf_core_field_exists(v1->under_oom) && BPF_CORE_READ(v1, under_oom);
}

/*
 * How many sets of processes are in a cgroup itself is counted in its own css, as
 * in each controller's, on v7.3; before, in the cgroup.
 */
struct cgroup___v515 {
	int nr_populated_csets;
} CORE_FLAVOUR;

struct cgroup_subsys_state___v73 {
	int nr_populated_csets;
} CORE_FLAVOUR;

struct cgroup___v73 {
	struct cgroup_subsys_state___v73 self;
} CORE_FLAVOUR;

static __always_inline bool cgroup_is_populated(struct cgroup *cgroup)
{
	struct cgroup___v515 *old = (void *)cgroup;
	struct cgroup___v73 *new = (void *)cgroup;

	if (bpf_core_field_exists(old->nr_populated_csets))
		return BPF_CORE_READ(old, nr_populated_csets) > 0;
	return BPF_CORE_READ(new, self.nr_populated_csets) > 0;
}

/*
 * mm->rss_stat was a struct of four atomics until f1a7941243c1 ("mm: convert
 * mm's rss stats into percpu_counter"), v6.2. Since then the counter itself is
 * behind by what each CPU has not yet handed over, up to 2 * CPUs or 32 pages
 * per CPU, so the CPUs' shares are added here, as percpu_counter_sum() does.
 */
struct mm_rss_stat {
	atomic_long_t count[4];
} CORE_FLAVOUR;

struct mm_struct___v510 {
	struct mm_rss_stat rss_stat;
} CORE_FLAVOUR;

struct mm_struct___v62 {
	struct percpu_counter rss_stat[4];
} CORE_FLAVOUR;

/* include/linux/mm_types_task.h; the same on every kernel, in no enum with BTF use */
enum rss_member {
	RSS_FILE,
	RSS_ANON,
	RSS_SWAP,
	RSS_SHMEM,
	RSS_MEMBERS,
};

/*
 * The distance from the first CPU's copy of a per-CPU variable to this CPU's.
 * The kernel keeps it in a symbol that a BPF program cannot read everywhere, so
 * it is measured on a per-CPU map of our own: where its element lies for this
 * CPU, less the address that the map itself has for it. The helper is as old as
 * v5.19, older than any kernel that needs it (v6.2).
 */
struct bpf_array___percpu {
	void *pptrs[1];
} CORE_FLAVOUR;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} percpu_anchor SEC(".maps");

static __always_inline bool percpu_offset(u32 cpu, u64 *offset)
{
	u64 here = 0, array = 0, base = 0;
	void *map = &percpu_anchor;
	u32 key = 0;
	void *element;

	element = bpf_map_lookup_percpu_elem(&percpu_anchor, &key, cpu);
	if (!element)
		return false;
	/* Through memory: the verifier allows no arithmetic on these pointers. */
	bpf_probe_read_kernel(&here, sizeof(here), &element);
	bpf_probe_read_kernel(&array, sizeof(array), &map);
	array += bpf_core_field_offset(struct bpf_array___percpu, pptrs);
	bpf_probe_read_kernel(&base, sizeof(base), (void *)array);
	*offset = here - base;
	return true;
}

static __always_inline u64 not_negative(s64 count)
{
	return count > 0 ? count : 0;
}

/*
 * A field, read directly where the verifier knows the pointer's type (fentry),
 * else through the helper.
 */
#define FIELD(direct, pointer, field) ((direct) ? (pointer)->field : BPF_CORE_READ(pointer, field))

/* The counters themselves, which is what oom_badness() adds up until v6.18. */
static __always_inline void mm_counters(struct mm_struct *mm, bool direct, s64 pages[RSS_MEMBERS])
{
	struct mm_struct___v510 *old = (void *)mm;
	struct mm_struct___v62 *new = (void *)mm;
	const void *counter;
	int i;

	if (bpf_core_type_exists(struct mm_rss_stat)) {
		/* v5.10 allows no direct read: it does not see through the array's typedef. */
		counter = (void *)mm + bpf_core_field_offset(old->rss_stat);
		bpf_probe_read_kernel(pages, RSS_MEMBERS * sizeof(*pages), counter);
		return;
	}
	/* An index that is no constant to clang is not relocated: step by step, then. */
	counter = (void *)mm + bpf_core_field_offset(new->rss_stat);
	counter += bpf_core_field_offset(struct percpu_counter, count);
	for (i = 0; i < RSS_MEMBERS; i++) {
		if (direct)
			pages[i] = *(const s64 *)counter;
		else
			bpf_probe_read_kernel(&pages[i], sizeof(pages[i]), counter);
		counter += bpf_core_type_size(struct percpu_counter);
	}
}

/* Where the CPUs' shares of each counter are; false where they have none. */
static __always_inline bool mm_counter_shares(struct mm_struct *mm, u64 shares[RSS_MEMBERS])
{
	struct mm_struct___v62 *new = (void *)mm;
	u64 counter;
	int i;

	if (bpf_core_type_exists(struct mm_rss_stat))
		return false;
	counter = (u64)mm + bpf_core_field_offset(new->rss_stat);
	for (i = 0; i < RSS_MEMBERS; i++) {
		shares[i] = (u64)BPF_CORE_READ((struct percpu_counter *)counter, counters);
		counter += bpf_core_type_size(struct percpu_counter);
	}
	return true;
}

#endif /* CORE_FIXES_BPF_H */
