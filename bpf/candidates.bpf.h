/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The candidate scan: the processes among which the kernel chooses a victim, 0 in
 * oomkill.bpf.c.
 *
 * Called for every process of the domain, so what is done for most of them is
 * little: read how large it is, and compare it with the smallest one kept.
 */
#ifndef CANDIDATES_BPF_H
#define CANDIDATES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "children.bpf.h"

#define ZOMBIE_THREADS_MAX 8
#define PF_KTHREAD 0x00200000

/* Keeps a process, in the place of the smallest if there is no room. */
__noinline int keep_candidate(u64 task_address, u64 size, u64 rss)
{
	struct task_struct *task = (struct task_struct *)task_address;
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_candidate *to;
	struct oom_control *oc;
	u32 at, i;

	if (!s || !c)
		return 0;
	oc = s->scan;
	if (!s->kept)
		c->scans++;
	at = s->kept < OOMKILL_CANDIDATES ? s->kept++ : s->least;
	barrier_var(at); /* for the verifier: this very register is checked */
	if (at >= OOMKILL_CANDIDATES)
		return 0;
	to = &s->record.candidates[at];
	to->rss_pages = rss;
	to->size_pages = size;
	to->child_id = child_id((u64)task_memcg(task), (u64)BPF_CORE_READ(oc, memcg));
	to->pid = BPF_CORE_READ(task, tgid);
	to->oom_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	/* As oom_badness() has it, which may not kill one of OOM_SCORE_ADJ_MIN. */
	to->points = to->oom_score_adj * (s64)(BPF_CORE_READ(oc, totalpages) / 1000);
	to->points += size;
	if (to->oom_score_adj == -1000)
		to->points = OOMKILL_UNKNOWN_S64;
	BPF_CORE_READ_STR_INTO(&to->comm, task, comm);
	if (s->kept < OOMKILL_CANDIDATES)
		return 0;
	s->least_pages = OOMKILL_UNKNOWN;
	for (i = 0; i < OOMKILL_CANDIDATES; i++) {
		if (s->record.candidates[i].size_pages < s->least_pages) {
			s->least_pages = s->record.candidates[i].size_pages;
			s->least = i;
		}
	}
	return 0;
}

/* The address space of a process whose leader has none left, as find_lock_task_mm() finds it. */
__noinline u64 threads_mm(u64 leader)
{
	struct task_struct *task = (struct task_struct *)leader;
	struct signal_struct *sig = BPF_CORE_READ(task, signal);
	u64 head = (u64)__builtin_preserve_access_index(&sig->thread_head);
	struct list_head *node = BPF_CORE_READ(sig, thread_head.next);
	int i;

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	for (i = 0; i < ZOMBIE_THREADS_MAX; i++) {
		u64 mm;

		if (!node || (u64)node == head)
			break;
		task = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
		mm = (u64)BPF_CORE_READ(task, mm);
		if (mm)
			return mm;
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

static __always_inline void weigh(struct scratch *s, struct task_struct *task, struct mm_struct *mm,
				  bool direct)
{
	s64 pages[RSS_MEMBERS] = {};
	u64 rss, size;

	mm_counters(mm, direct, pages);
	rss = not_negative(pages[RSS_FILE]) + not_negative(pages[RSS_ANON]) +
	      not_negative(pages[RSS_SHMEM]);
	size = rss + not_negative(pages[RSS_SWAP]);
	size += (u64)FIELD(direct, mm, pgtables_bytes.counter) / config.page_size;
	if (size > s->least_pages)
		keep_candidate(address_of(task), size, rss);
}

static __always_inline int on_out_of_memory(struct oom_control *oc)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	s->scan = oc;
	s->kept = 0;
	s->least_pages = 0;
	return 0;
}

static __always_inline int on_oom_evaluate_task(struct task_struct *task, struct oom_control *oc,
						bool direct)
{
	struct scratch *s = get_scratch();
	struct mm_struct *mm;

	if (!s || s->scan != oc) /* one that began before this program came */
		return 0;
	mm = FIELD(direct, task, mm);
	if (mm) {
		weigh(s, task, mm, direct);
		return 0;
	}
	mm = (struct mm_struct *)threads_mm(address_of(task));
	if (mm)
		weigh(s, task, mm, false);
	return 0;
}

#endif /* CANDIDATES_BPF_H */
