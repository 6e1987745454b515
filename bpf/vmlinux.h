/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, as far as this program reads them.
 *
 * Each struct lists only the fields used. preserve_access_index makes libbpf
 * replace every offset, at load time, by the one of the running kernel (CO-RE),
 * so neither the order nor the gaps here mean anything. A layout that differs
 * between kernels has its older or newer flavour in core_fixes.bpf.h.
 *
 * A pointer to one of them is never to const: BPF_CORE_READ() declares a variable
 * of the field's type and fills it later, const with the rest, and clang 21 and
 * newer warn of that (-Wdefault-const-init-var-unsafe).
 */
#ifndef __VMLINUX_H__ /* the name that libbpf's bpf_tracing.h looks for */
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;

typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;

/* Wanted by bpf_helper_defs.h, not used here. */
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum { false = 0, true = 1 };
typedef _Bool bool;

#define NULL ((void *)0)

/* include/uapi/linux/bpf.h; part of the kernel's ABI, hence not relocated */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0, /* of bpf_ringbuf_query() */
	BPF_RB_RING_SIZE = 1,
	BPF_RB_CONS_POS = 2,
	BPF_RB_PROD_POS = 3,
	BPF_F_MMAPABLE = 1 << 10,
};

/* v5.15 and newer know it by this name; to older ones it is 16 bytes. */
struct bpf_timer {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Registers a kprobe finds its arguments in. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};
struct pt_regs;
#endif

/* Counters and lists */

typedef struct {
	s64 counter;
} atomic_long_t;

typedef struct {
	s64 counter;
} atomic64_t;

struct list_head {
	struct list_head *next;
};

struct percpu_counter {
	s64 count;
	s32 *counters;
};

struct page_counter {
	atomic_long_t usage;
	unsigned long watermark;
	unsigned long min;
	unsigned long low;
	unsigned long high;
	unsigned long max;
	struct page_counter *parent;
};

/* Control groups */

struct kernfs_node {
	const char *name;
	u64 id;
};

struct cgroup_root;
struct cgroup_subsys_state;

struct cgroup {
	struct list_head cset_links;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[14];
	struct cgroup_root *root;
};

struct cgroup_root {
	struct cgroup cgrp;
	int hierarchy_id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct list_head sibling;
	struct list_head children;
	unsigned int flags;
	u64 serial_nr;
	struct cgroup_subsys_state *parent;
};

/* The kernel's numbers are taken from its BTF with bpf_core_enum_value(). */
enum cgroup_subsys_id {
	memory_cgrp_id = 4,
};

enum memcg_memory_event {
	MEMCG_HIGH = 1,
	MEMCG_MAX = 2,
	MEMCG_OOM = 3,
	MEMCG_OOM_KILL = 4,
};

struct css_set {
	struct cgroup_subsys_state *subsys[14];
	struct cgroup *dfl_cgrp;
	struct list_head tasks;
};

struct cgrp_cset_link {
	struct css_set *cset;
	struct list_head cset_link;
};

struct pglist_data;

struct lruvec {
	struct pglist_data *pgdat;
};

struct mem_cgroup_per_node {
	struct lruvec lruvec;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter swap;
	atomic_long_t memory_events[9];
	atomic_long_t memory_events_local[9];
	bool oom_group;
	struct mem_cgroup_per_node *nodeinfo[0];
};

/* Memory nodes and their zones */

typedef struct {
	unsigned long bits[1];
} nodemask_t;

struct free_area {
	unsigned long nr_free;
};

struct zone {
	unsigned long _watermark[3]; /* min, low, high */
	unsigned long watermark_boost;
	unsigned long nr_reserved_highatomic;
	long lowmem_reserve[5];
	struct pglist_data *zone_pgdat;
	atomic_long_t managed_pages;
	const char *name;
	struct free_area free_area[11];
	atomic_long_t vm_stat[12];
};

struct zoneref {
	struct zone *zone;
	int zone_idx;
};

struct zonelist {
	struct zoneref _zonerefs[1];
};

struct per_cpu_nodestat {
	s8 vm_node_stat_diff[1];
};

struct pglist_data {
	struct zonelist node_zonelists[1];
	int node_id;
	struct per_cpu_nodestat *per_cpu_nodestats;
	atomic_long_t vm_stat[1];
};

/* Tasks */

struct ns_common {
	unsigned int inum;
};

struct task_struct;

struct pid_namespace {
	struct task_struct *child_reaper;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	unsigned int val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct mm_struct {
	unsigned long task_size;
	unsigned long hiwater_rss;
	unsigned long hiwater_vm;
	unsigned long total_vm;
	unsigned long locked_vm;
	atomic64_t pinned_vm;
	unsigned long data_vm;
	unsigned long exec_vm;
	unsigned long stack_vm;
	atomic_long_t pgtables_bytes;
	unsigned long arg_start;
	unsigned long arg_end;
};

struct signal_struct {
	int nr_threads;
	struct list_head thread_head;
	u64 utime;
	u64 stime;
	u64 gtime;
	unsigned long min_flt;
	unsigned long maj_flt;
	short oom_score_adj;
	struct mm_struct *oom_mm;
};

struct task_struct {
	unsigned int flags;
	int prio;
	int static_prio;
	struct mm_struct *mm;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	u64 utime;
	u64 stime;
	u64 gtime;
	u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	struct cred *real_cred;
	char comm[16];
	struct css_set *cgroups;
	struct list_head cg_list;
	nodemask_t mems_allowed;
	struct signal_struct *signal;
};

struct kernel_siginfo {
	int si_code;
};

/* The OOM killer */

enum oom_constraint {
	CONSTRAINT_NONE,
	CONSTRAINT_CPUSET,
	CONSTRAINT_MEMORY_POLICY,
	CONSTRAINT_MEMCG,
};

struct oom_control {
	struct zonelist *zonelist;
	nodemask_t *nodemask;
	struct mem_cgroup *memcg;
	unsigned int gfp_mask;
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	long chosen_points;
	enum oom_constraint constraint;
};

#pragma clang attribute pop

#endif /* __VMLINUX_H__ */
