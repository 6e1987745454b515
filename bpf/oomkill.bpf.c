// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What runs at the moment of the kill.
 *
 * The kernel's way through mm/oom_kill.c, and where this program listens:
 *
 *	out_of_memory()				0. nobody looked at yet
 *	  oom_evaluate_task(task, oc)		0. each process it looks at
 *	  oom_kill_process(oc, message)		1. what ran out, and who asked
 *	    __oom_kill_process(victim)		2. SIGKILL is really sent
 *	      mark_oom_victim()
 *	        tracepoint mark_victim		3. the victim; its record is sent
 *	  (oom_kill_process returns)		4. no more victims
 *
 * With memory.oom.group, 2 and 3 come again for each further victim. A task
 * that was already exiting comes to 3 without 2: a mark, not a kill.
 *
 * 0, 1, 2 and 4 are fentry programs or, where the kernel has no trampolines,
 * kprobes. Where it has neither, 3 stands alone and infers what it can.
 *
 * The kernel holds oom_lock all along, so one scratch element is enough; the
 * tid in it guards against the assumption ever becoming wrong.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"

#define NAME_SIZE 256 /* NAME_MAX and its NUL */
#define THREADS_MAX 64
#define ZOMBIE_THREADS_MAX 8
#define PF_KTHREAD 0x00200000
#define NS_PER_MS 1000000ULL

/* Raw tracepoint alone: further victims of a group come within this time. */
#define GROUP_GAP_NS (500 * NS_PER_MS)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Whose registers the kprobes look for their arguments in, in the numbers of
 * elf.h: a mere symbol, for the loader to refuse another machine's object by.
 */
#if defined(__TARGET_ARCH_x86)
asm(".globl oomkill_machine\n.set oomkill_machine, 62"); /* EM_X86_64 */
#elif defined(__TARGET_ARCH_arm64)
asm(".globl oomkill_machine\n.set oomkill_machine, 183"); /* EM_AARCH64 */
#endif

const volatile struct oomkill_config config = {};

#include "memcg_stat.bpf.h" /* reads config */

struct scratch {
	struct mem_cgroup *domain; /* whose memory.stat is still to be read, else NULL */
	struct oom_control *scan; /* what the candidates are looked at for, else NULL */
	struct task_struct *killed; /* between 2 and 3, else NULL */
	u64 group_id; /* raw tracepoint alone: the group this incident kills */
	u64 last_ns; /* raw tracepoint alone: when the last victim was marked */
	u32 owner; /* thread in the middle of an incident, 0 for none */
	u32 used; /* of record.strings */
	u32 used_by_incident; /* of it, what all victims share */
	u32 threads; /* of the victim, before SIGKILL made some of them leave */
	u32 kept; /* of record.candidates */
	u32 least; /* the smallest of them, once there is no room for more */
	u32 pad;
	u64 least_pages; /* how large it is; 0 before */
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

static __always_inline u32 current_tid(void)
{
	return (u32)bpf_get_current_pid_tgid();
}

/* --- memory cgroups ------------------------------------------------------ */

/* mem_cgroup_from_task(); its css is its first member. */
static __always_inline struct mem_cgroup *task_memcg(const struct task_struct *task)
{
	struct css_set *cset = BPF_CORE_READ(task, cgroups);
	u64 slot = (u64)__builtin_preserve_access_index(&cset->subsys);
	struct mem_cgroup *memcg = NULL;

	slot += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *);
	bpf_probe_read_kernel(&memcg, sizeof(memcg), (void *)slot);
	return memcg;
}

static __always_inline struct mem_cgroup *parent_memcg(const struct mem_cgroup *memcg)
{
	return (struct mem_cgroup *)BPF_CORE_READ(memcg, css.parent);
}

static __always_inline bool memcg_is_v1(const struct mem_cgroup *memcg)
{
	/* The one default hierarchy, cgroup v2, is number 0. */
	return BPF_CORE_READ(memcg, css.cgroup, root, hierarchy_id) != 0;
}

static __always_inline u64 memcg_id(const struct mem_cgroup *memcg)
{
	return BPF_CORE_READ(memcg, css.cgroup, kn, id);
}

/* SIGKILLs the OOM killer sent into this very cgroup; mark_victim comes after. */
static __always_inline u64 memcg_oom_kills(const struct mem_cgroup *memcg)
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
static __always_inline s64 memcg_room(const struct mem_cgroup *memcg)
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
					    const struct mem_cgroup *memcg)
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
static __always_inline void fill_stats(struct scratch *s, const struct task_struct *victim)
{
	u64 memcg = (u64)task_memcg(victim);

	if (s->domain)
		fill_stat((u64)s->domain, 0);
	s->domain = NULL;
	fill_stat(memcg_id((void *)memcg) == s->record.domain.id ? 0 : memcg, 1);
}

static __always_inline void fill_memcg(struct scratch *s, struct oomkill_memcg *to,
				       const struct mem_cgroup *memcg)
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

/* --- the victim ---------------------------------------------------------- */

/* What a process used: its dead threads' share and that of each living one. */
__noinline int fill_threads(u64 signal)
{
	const struct signal_struct *sig = (const struct signal_struct *)signal;
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
		const struct task_struct *task;

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

static __always_inline void fill_mm(struct oomkill_process *to, const struct mm_struct *mm)
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

static __always_inline u32 innermost_pid(const struct task_struct *task)
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
static __always_inline void fill_process(struct oomkill_victim *record,
					 const struct task_struct *task)
{
	const struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	const struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	const struct signal_struct *sig = BPF_CORE_READ(task, signal);
	const struct mm_struct *mm = BPF_CORE_READ(task, mm);
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

/* --- records ------------------------------------------------------------- */

static __always_inline void fill_header(struct oomkill_header *to, struct oomkill_counters *c,
					u8 kind, u32 size)
{
	to->sequence = ++c->records;
	to->incident = c->incidents;
	to->boot_ns = bpf_ktime_get_boot_ns();
	to->size = size;
	to->layout = OOMKILL_LAYOUT;
	to->kind = kind;
	to->hook = config.hook;
}

/*
 * Every record wakes the reader: it may keep unread records of an unfinished
 * incident, and the default wakes it only when it has read everything.
 */
static __always_inline void send(struct oomkill_counters *c, void *record, u64 size)
{
	if (bpf_ringbuf_output(&ring, record, size, BPF_RB_FORCE_WAKEUP))
		c->lost_ring_full++;
}

static __always_inline void send_victim(struct scratch *s, struct oomkill_counters *c)
{
	u64 size = s->used;

	if (size > OOMKILL_STRINGS_LEN)
		return;
	size += sizeof(s->record) - OOMKILL_STRINGS_LEN;
	fill_header(&s->record.header, c, OOMKILL_VICTIM, size);
	send(c, &s->record, size);
}

/* --- 0: whom the kernel looks at ----------------------------------------- */

/*
 * Called for every process of the domain, so what is done for most of them is
 * little: read how large it is, and compare it with the smallest one kept.
 */

/* Keeps a process, in the place of the smallest if there is no room. */
__noinline int keep_candidate(u64 task_address, u64 size, u64 rss)
{
	const struct task_struct *task = (const struct task_struct *)task_address;
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
	const struct task_struct *task = (const struct task_struct *)leader;
	const struct signal_struct *sig = BPF_CORE_READ(task, signal);
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

/* A pointer the verifier knows the type of, as a function with numbers for arguments takes it. */
static __always_inline u64 address_of(const void *pointer)
{
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
}

static __always_inline void weigh(struct scratch *s, const struct task_struct *task,
				  const struct mm_struct *mm, bool direct)
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

static __always_inline int on_look(struct task_struct *task, struct oom_control *oc, bool direct)
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

/* --- 1: what ran out, and who asked -------------------------------------- */

static __always_inline void begin_incident(struct scratch *s, struct oomkill_counters *c)
{
	struct oomkill_victim *record = &s->record;

	c->incidents++;
	s->owner = current_tid();
	s->killed = NULL;
	s->threads = OOMKILL_UNKNOWN_U32;
	s->used = 0;
	record->total_pages = OOMKILL_UNKNOWN;
	record->points = OOMKILL_UNKNOWN_S64;
	record->order = OOMKILL_UNKNOWN_S32;
	record->gfp_mask = OOMKILL_UNKNOWN_U32;
	record->constraint = OOMKILL_UNKNOWN_U32;
	record->flags = 0;
	record->message[0] = 0;
	record->candidates_used = OOMKILL_UNKNOWN_U32;
	no_stat(&record->domain_stat);
}

static __always_inline u64 task_group_id(const struct task_struct *task,
					 const struct mem_cgroup *domain)
{
	struct mem_cgroup *memcg = task_memcg(task);

	if (!memcg || memcg_is_v1(memcg))
		return 0;
	return oom_group_id((u64)memcg, (u64)domain);
}

static __always_inline void fill_incident(struct scratch *s, struct mem_cgroup *domain,
					  const struct task_struct *victim)
{
	struct oomkill_victim *record = &s->record;

	s->domain = domain;
	fill_memcg(s, &record->domain, domain);
	fill_memcg_name(s, &record->trigger_memcg, task_memcg((void *)bpf_get_current_task()));
	s->used_by_incident = s->used;
	s->group_id = victim ? task_group_id(victim, domain) : 0;
	if (s->group_id)
		record->flags |= OOMKILL_GROUP;
	record->trigger.pid = bpf_get_current_pid_tgid() >> 32;
	record->trigger.tid = current_tid();
	bpf_get_current_comm(&record->trigger.comm, sizeof(record->trigger.comm));
}

static __always_inline int on_oom_kill_process(struct oom_control *oc, const char *message)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_victim *record;

	if (!s || !c)
		return 0;
	record = &s->record;
	begin_incident(s, c);
	record->total_pages = BPF_CORE_READ(oc, totalpages);
	record->points = BPF_CORE_READ(oc, chosen_points);
	record->order = BPF_CORE_READ(oc, order);
	record->gfp_mask = BPF_CORE_READ(oc, gfp_mask);
	record->constraint = BPF_CORE_READ(oc, constraint);
	bpf_probe_read_kernel_str(record->message, sizeof(record->message), message);
	if (!memcg)
		record->flags |= OOMKILL_NODE_WIDE;
	if (s->scan == oc && s->kept) /* none: it killed who asked, looking at nobody */
		record->candidates_used = s->kept;
	s->scan = NULL;
	fill_incident(s, memcg, BPF_CORE_READ(oc, chosen));
	return 0;
}

/* --- 2: SIGKILL is really sent ------------------------------------------- */

static __always_inline int on_kill(struct task_struct *victim)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (!s || !c)
		return 0;
	c->kills++;
	if (s->owner != current_tid()) {
		c->lost_no_context++;
		return 0;
	}
	s->killed = victim;
	s->threads = BPF_CORE_READ(victim, signal, nr_threads);
	fill_stats(s, victim);
	return 0;
}

/* --- 3: the victim ------------------------------------------------------- */

/* The victim of this mark if the OOM killer has just killed it, else NULL. */
static __always_inline struct task_struct *killed_task(struct scratch *s, u64 arg)
{
	struct task_struct *killed = s->killed;

	if (s->owner != current_tid() || !killed)
		return NULL;
	s->killed = NULL;
	if (!mark_victim_has_task())
		return killed; /* arg is the pid of one of its threads */
	if (BPF_CORE_READ(killed, tgid) != BPF_CORE_READ((struct task_struct *)arg, tgid))
		return NULL;
	return (struct task_struct *)arg;
}

static __always_inline void send_kill(struct scratch *s, struct oomkill_counters *c,
				      const struct task_struct *task, u32 tid)
{
	s->used = s->used_by_incident;
	no_process(&s->record.process);
	fill_memcg(s, &s->record.victim_memcg, task_memcg(task));
	fill_process(&s->record, task);
	s->record.process.tid = tid;
	s->record.process.threads = s->threads;
	s->record.cmdline_size = 0;
	s->record.flags &= ~OOMKILL_CMDLINE_CUT;
	if (config.cmdline && s->record.process.pid == s->record.trigger.pid)
		write_cmdline((u64)BPF_CORE_READ(task, mm));
	send_victim(s, c);
}

static __always_inline u32 marked_tid(u64 arg)
{
	if (mark_victim_has_task())
		return BPF_CORE_READ((struct task_struct *)arg, pid);
	return (u32)arg;
}

static __always_inline void on_mark_in_incident(struct scratch *s, struct oomkill_counters *c,
						u64 arg)
{
	struct task_struct *task = killed_task(s, arg);

	if (!task) {
		c->marks++;
		return;
	}
	send_kill(s, c, task, marked_tid(arg));
}

/* Raw tracepoint alone, and the kernel told only the pid of another process. */
static __always_inline void send_pid_only(struct scratch *s, struct oomkill_counters *c, u32 pid)
{
	begin_incident(s, c);
	s->record.flags |= OOMKILL_INFERRED | OOMKILL_KILL_UNSURE;
	fill_incident(s, NULL, NULL);
	no_process(&s->record.process);
	no_memcg(&s->record.victim_memcg);
	no_stat(&s->record.victim_stat);
	s->record.cmdline_size = 0;
	s->record.process.tid = pid;
	send_victim(s, c);
	s->owner = 0;
}

static __always_inline void on_mark_alone(struct scratch *s, struct oomkill_counters *c, u64 arg)
{
	struct task_struct *task = (struct task_struct *)arg;
	struct mem_cgroup *memcg, *domain;
	u64 id, kills, *seen, before, now, group;
	bool unsure = true;

	if (!mark_victim_has_task()) {
		if ((u32)arg != current_tid()) {
			send_pid_only(s, c, (u32)arg);
			return;
		}
		task = (struct task_struct *)bpf_get_current_task();
	}
	memcg = task_memcg(task);
	if (memcg) { /* NULL: cgroup_disable=memory, and no count to go by */
		id = memcg_id(memcg);
		kills = memcg_oom_kills(memcg);
		seen = bpf_map_lookup_elem(&kills_seen, &id);
		before = seen ? *seen : 0;
		/* Read by the loader between the kernel's counting and this mark, perhaps. */
		unsure = kills == (before & ~OOMKILL_ENTERED);
		if (kills == before) {
			c->marks++;
			return;
		}
		bpf_map_update_elem(&kills_seen, &id, &kills, BPF_ANY);
	}
	c->kills++;

	now = bpf_ktime_get_boot_ns();
	domain = (struct mem_cgroup *)full_memcg((u64)memcg);
	group = task_group_id(task, domain);
	if (!group || group != s->group_id || s->owner != current_tid() ||
	    now - s->last_ns > GROUP_GAP_NS) {
		begin_incident(s, c);
		s->record.flags |= OOMKILL_INFERRED;
		if (!domain)
			s->record.flags |= OOMKILL_NODE_WIDE;
		fill_incident(s, domain, task);
	}
	s->record.flags &= ~OOMKILL_KILL_UNSURE;
	if (unsure)
		s->record.flags |= OOMKILL_KILL_UNSURE;
	s->last_ns = now;
	fill_stats(s, task);
	send_kill(s, c, task, marked_tid(arg));
}

SEC("raw_tp/mark_victim")
int mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (!s || !c)
		return 0;
	if (config.hook == OOMKILL_HOOK_RAW_TRACEPOINT)
		on_mark_alone(s, c, ctx->args[0]);
	else
		on_mark_in_incident(s, c, ctx->args[0]);
	return 0;
}

/* --- 4: no more victims -------------------------------------------------- */

static __always_inline int on_oom_kill_process_return(void)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_header end = {};

	if (!s || !c || s->owner != current_tid())
		return 0;
	s->owner = 0;
	if (s->group_id) {
		fill_header(&end, c, OOMKILL_END, sizeof(end));
		send(c, &end, sizeof(end));
	}
	return 0;
}

/* --- the hooks of the first two rungs ------------------------------------ */

SEC("fentry/out_of_memory")
int BPF_PROG(fentry_out_of_memory, struct oom_control *oc)
{
	return on_out_of_memory(oc);
}

SEC("fentry/oom_evaluate_task")
int BPF_PROG(fentry_look, struct task_struct *task, struct oom_control *oc)
{
	return on_look(task, oc, true);
}

SEC("fentry/oom_kill_process")
int BPF_PROG(fentry_oom_kill_process, struct oom_control *oc, const char *message)
{
	return on_oom_kill_process(oc, message);
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(fentry_kill, struct task_struct *victim)
{
	return on_kill(victim);
}

SEC("fexit/oom_kill_process")
int BPF_PROG(fexit_oom_kill_process)
{
	return on_oom_kill_process_return();
}

SEC("kprobe/out_of_memory")
int BPF_KPROBE(kprobe_out_of_memory, struct oom_control *oc)
{
	return on_out_of_memory(oc);
}

SEC("kprobe/oom_evaluate_task")
int BPF_KPROBE(kprobe_look, struct task_struct *task, struct oom_control *oc)
{
	return on_look(task, oc, false);
}

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(kprobe_oom_kill_process, struct oom_control *oc, const char *message)
{
	return on_oom_kill_process(oc, message);
}

SEC("kprobe/__oom_kill_process")
int BPF_KPROBE(kprobe_kill, struct task_struct *victim)
{
	return on_kill(victim);
}

SEC("kretprobe/oom_kill_process")
int BPF_KRETPROBE(kretprobe_oom_kill_process)
{
	return on_oom_kill_process_return();
}
