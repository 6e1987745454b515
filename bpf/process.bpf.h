/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The victim: its ids, its memory, what its threads used, its command line. */
#ifndef PROCESS_BPF_H
#define PROCESS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"

#define THREADS_AT_A_TIME 8
#define THREADS_LAPS 8

/* What one thread used; returns the next. */
__noinline u64 add_thread(u64 thread_node, u64 head)
{
	u64 address = thread_node - bpf_core_field_offset(struct task_struct, thread_node);
	struct task_struct *task = (struct task_struct *)address;
	struct scratch *s = get_scratch();
	struct oomkill_process *to;

	if (!s)
		return 0;
	to = &s->record.process;
	to->min_flt += BPF_CORE_READ(task, min_flt);
	to->maj_flt += BPF_CORE_READ(task, maj_flt);
	to->utime_ns += BPF_CORE_READ(task, utime);
	to->stime_ns += BPF_CORE_READ(task, stime);
	to->gtime_ns += BPF_CORE_READ(task, gtime);
	return list_next(thread_node, head);
}

__noinline u64 add_threads(u64 thread_node, u64 head)
{
	u64 node = thread_node;
	int i;

	for (i = 0; i < THREADS_AT_A_TIME && node; i++)
		node = add_thread(node, head);
	return node;
}

/* What a process used: its dead threads' share and that of each living one. */
__noinline int fill_threads(u64 signal)
{
	struct signal_struct *sig = (struct signal_struct *)signal;
	u64 head = (u64)__builtin_preserve_access_index(&sig->thread_head);
	struct scratch *s = get_scratch();
	struct oomkill_process *to;
	u64 node;
	int i;

	if (!s)
		return 0;
	to = &s->record.process;
	to->min_flt = BPF_CORE_READ(sig, min_flt);
	to->maj_flt = BPF_CORE_READ(sig, maj_flt);
	to->utime_ns = BPF_CORE_READ(sig, utime);
	to->stime_ns = BPF_CORE_READ(sig, stime);
	to->gtime_ns = BPF_CORE_READ(sig, gtime);
	node = list_next(head, head);
	for (i = 0; i < THREADS_LAPS && node; i++)
		node = add_threads(node, head);
	if (node)
		s->record.flags |= OOMKILL_THREADS_CUT;
	return 0;
}

/*
 * Adds a CPU's share of what an address space has, as percpu_counter_sum() does. An
 * older verifier looks through this even where nobody calls it.
 */
__noinline int add_rss_share(u64 cpu)
{
	struct scratch *s = get_scratch();
	u64 offset;
	s32 share;
	int i;

	if (bpf_core_type_exists(struct mm_rss_stat) || !s || !percpu_offset(cpu, &offset))
		return 0;
	for (i = 0; i < RSS_MEMBERS; i++)
		if (!bpf_probe_read_kernel(&share, sizeof(share),
					   (void *)(s->rss_shares[i] + offset)))
			s->rss[i] += share;
	return 0;
}

static __always_inline void sum_rss(struct scratch *s, struct mm_struct *mm)
{
	u32 cpu;

	mm_counters(mm, false, s->rss);
	if (!mm_counter_shares(mm, s->rss_shares))
		return;
	for (cpu = 0; cpu < OOMKILL_CPUS_MAX && cpu < config.cpus; cpu++)
		add_rss_share(cpu);
}

__noinline int fill_mm(u64 address)
{
	struct mm_struct *mm = (struct mm_struct *)address;
	struct scratch *s = get_scratch();
	struct oomkill_process *to;

	if (!s || !mm)
		return 0;
	to = &s->record.process;
	sum_rss(s, mm);
	to->anon_pages = not_negative(s->rss[RSS_ANON]);
	to->file_pages = not_negative(s->rss[RSS_FILE]);
	to->shmem_pages = not_negative(s->rss[RSS_SHMEM]);
	to->swap_pages = not_negative(s->rss[RSS_SWAP]);
	to->pgtables_bytes = BPF_CORE_READ(mm, pgtables_bytes.counter);
	to->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	to->data_vm_pages = BPF_CORE_READ(mm, data_vm);
	to->exec_vm_pages = BPF_CORE_READ(mm, exec_vm);
	to->stack_vm_pages = BPF_CORE_READ(mm, stack_vm);
	to->locked_vm_pages = BPF_CORE_READ(mm, locked_vm);
	to->pinned_vm_pages = BPF_CORE_READ(mm, pinned_vm.counter);
	to->hiwater_rss_pages = BPF_CORE_READ(mm, hiwater_rss);
	to->hiwater_vm_pages = BPF_CORE_READ(mm, hiwater_vm);
	to->task_size_bytes = BPF_CORE_READ(mm, task_size);
	return 0;
}

static __always_inline u32 innermost_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	u64 upid = (u64)pid + bpf_core_field_offset(pid->numbers);
	u32 nr = 0;

	if (!pid)
		return OOMKILL_UNKNOWN_U32;
	upid += level * bpf_core_type_size(struct upid);
	upid += bpf_core_field_offset(struct upid, nr);
	if (bpf_probe_read_kernel(&nr, sizeof(nr), (void *)upid))
		return OOMKILL_UNKNOWN_U32;
	return nr;
}

/*
 * Whether a process came into its PID namespace from outside, as what `kubectl exec`
 * or an exec probe starts: of it and its ancestors the first whose parent is not in
 * the namespace is not the namespace's own first process.
 */
#define ANCESTORS_MAX 16
#define OUTSIDE 1ULL

/* The parent where that says nothing yet; 0: it did not come from outside. */
__noinline u64 parent_or_outside(u64 leader, u64 level)
{
	struct task_struct *task = (struct task_struct *)leader;
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);

	if (innermost_pid(task) == 1)
		return 0;
	if (BPF_CORE_READ(parent, thread_pid, level) < level)
		return OUTSIDE;
	return (u64)parent;
}

__noinline int came_from_outside(u64 leader)
{
	u64 level = BPF_CORE_READ((struct task_struct *)leader, thread_pid, level);
	u64 task = leader;
	int i;

	for (i = 0; i < ANCESTORS_MAX && task > OUTSIDE; i++)
		task = parent_or_outside(task, level);
	return task == OUTSIDE;
}

static __always_inline void no_process(struct oomkill_process *to)
{
	__builtin_memset(to, 0xff, sizeof(*to));
	to->prio = OOMKILL_UNKNOWN_S32;
	to->static_prio = OOMKILL_UNKNOWN_S32;
	to->oom_score_adj = OOMKILL_UNKNOWN_S32;
	to->comm[0] = 0;
	to->parent_comm[0] = 0;
}

/* task: the marked thread; its leader may be long dead, without memory. */
static __always_inline void fill_process(struct oomkill_victim *record, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	struct signal_struct *sig = BPF_CORE_READ(task, signal);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct oomkill_process *to = &record->process;

	if (!mm) /* set by mark_oom_victim(), just before */
		mm = BPF_CORE_READ(sig, oom_mm);
	fill_mm((u64)mm);
	fill_threads((u64)sig);
	to->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
	to->pid = BPF_CORE_READ(task, tgid);
	to->pid_in_ns = innermost_pid(leader);
	to->ppid = BPF_CORE_READ(parent, tgid);
	to->uid = BPF_CORE_READ(task, real_cred, uid.val);
	to->task_flags = BPF_CORE_READ(task, flags);
	to->prio = BPF_CORE_READ(task, prio);
	to->static_prio = BPF_CORE_READ(task, static_prio);
	to->oom_score_adj = BPF_CORE_READ(sig, oom_score_adj);
	BPF_CORE_READ_STR_INTO(&to->comm, task, comm);
	BPF_CORE_READ_STR_INTO(&to->parent_comm, parent, comm);
}

/* The trigger's own, whose address space this is: the only one that can be read here. */
__noinline int write_cmdline(u64 mm)
{
	u64 start = BPF_CORE_READ((struct mm_struct *)mm, arg_start);
	u64 size = BPF_CORE_READ((struct mm_struct *)mm, arg_end) - start;
	struct scratch *s = get_scratch();
	u32 at;

	if (!s)
		return 0;
	at = s->used;
	if (size > OOMKILL_CMDLINE_LEN) {
		size = OOMKILL_CMDLINE_LEN;
		s->record.flags |= OOMKILL_CMDLINE_CUT;
	}
	barrier_var(size); /* for the verifier: these very registers are checked */
	barrier_var(at);
	if (size > OOMKILL_CMDLINE_LEN || at > OOMKILL_STRINGS_LEN - OOMKILL_CMDLINE_LEN)
		return 0;
	if (bpf_probe_read_user(&s->record.strings[at], size, (void *)start))
		return 0;
	s->record.cmdline_offset = at;
	s->record.cmdline_size = size;
	s->used = at + size;
	return 0;
}

#endif /* PROCESS_BPF_H */
