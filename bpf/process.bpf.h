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

#define THREADS_MAX 64

/* What a process used: its dead threads' share and that of each living one. */
__noinline int fill_threads(u64 signal)
{
	struct signal_struct *sig = (struct signal_struct *)signal;
	struct scratch *s = get_scratch();
	u64 head = (u64)__builtin_preserve_access_index(&sig->thread_head);
	struct list_head *node = BPF_CORE_READ(sig, thread_head.next);
	u64 min_flt = BPF_CORE_READ(sig, min_flt);
	u64 maj_flt = BPF_CORE_READ(sig, maj_flt);
	u64 utime = BPF_CORE_READ(sig, utime);
	u64 stime = BPF_CORE_READ(sig, stime);
	u64 gtime = BPF_CORE_READ(sig, gtime);
	struct oomkill_process *to;
	int i;

	if (!s)
		return 0;
	for (i = 0; i < THREADS_MAX; i++) {
		struct task_struct *task;

		if (!node || (u64)node == head)
			break;
		task = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
		min_flt += BPF_CORE_READ(task, min_flt);
		maj_flt += BPF_CORE_READ(task, maj_flt);
		utime += BPF_CORE_READ(task, utime);
		stime += BPF_CORE_READ(task, stime);
		gtime += BPF_CORE_READ(task, gtime);
		node = BPF_CORE_READ(node, next);
	}
	if (i == THREADS_MAX && node && (u64)node != head)
		s->record.flags |= OOMKILL_THREADS_CUT;
	to = &s->record.process;
	to->min_flt = min_flt;
	to->maj_flt = maj_flt;
	to->utime_ns = utime;
	to->stime_ns = stime;
	to->gtime_ns = gtime;
	return 0;
}

static __always_inline void fill_mm(struct oomkill_process *to, struct mm_struct *mm)
{
	s64 rss[RSS_MEMBERS] = {};

	if (!mm)
		return;
	mm_rss(mm, config.cpus, rss);
	to->anon_pages = not_negative(rss[RSS_ANON]);
	to->file_pages = not_negative(rss[RSS_FILE]);
	to->shmem_pages = not_negative(rss[RSS_SHMEM]);
	to->swap_pages = not_negative(rss[RSS_SWAP]);
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

__noinline int came_from_outside(u64 leader)
{
	struct task_struct *task = (struct task_struct *)leader;
	u32 level = BPF_CORE_READ(task, thread_pid, level);
	int i;

	for (i = 0; i < ANCESTORS_MAX && task; i++) {
		struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);

		if (innermost_pid(task) == 1)
			return 0;
		if (BPF_CORE_READ(parent, thread_pid, level) < level)
			return 1;
		task = parent;
	}
	return 0;
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
	fill_mm(to, mm);
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
