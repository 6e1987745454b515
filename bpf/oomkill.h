/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire format: what the kernel side writes into the ring buffer and the
 * reader takes out. One definition, read by clang for the BPF program, by the C
 * compiler for the extension, and by cffi.
 *
 * Fixed-width fields, widest first, no implicit padding. Memory is counted in
 * pages of the running kernel where the kernel counts pages; a name says so.
 * A number the kernel did not give is OOMKILL_UNKNOWN (or the _S64, _U32 and
 * _S32 forms for those widths), never 0.
 */
#ifndef OOMKILL_H
#define OOMKILL_H

/* Raised whenever a struct below changes: readers refuse what they do not know. */
#define OOMKILL_LAYOUT 5

#define OOMKILL_UNKNOWN 0xffffffffffffffff
#define OOMKILL_UNKNOWN_S64 (-0x7fffffffffffffff - 1)
#define OOMKILL_UNKNOWN_U32 0xffffffff
#define OOMKILL_UNKNOWN_S32 (-0x7fffffff - 1)

#define OOMKILL_COMM_LEN 16
#define OOMKILL_MESSAGE_LEN 64

/*
 * Longest path kept of one cgroup, in bytes and in names; of a longer one, the
 * names at both of its ends. Then the strings of a record: three paths, the names
 * of the domain's children, a command line.
 */
#define OOMKILL_PATH_LEN 4096
#define OOMKILL_PATH_DEPTH 48
#define OOMKILL_STRINGS_LEN 17664

/* Longest command line kept, in bytes; it comes after the paths. */
#define OOMKILL_CMDLINE_LEN 1024

/* Of the processes in a candidate scan, how many are kept. */
#define OOMKILL_CANDIDATES 12

/* Of the cgroups right below the domain, how many are kept, the largest. */
#define OOMKILL_CHILDREN 16

/* Of the calls that led to the kill, how many are kept, the innermost; at least 16. */
#define OOMKILL_STACK_DEPTH 48

/* Room for the name of one of the kernel's functions, and for those of a stack. */
#define OOMKILL_SYMBOL_LEN 40
#define OOMKILL_SYMBOLS_LEN 1920

/* Of the trigger's own functions; and bytes of a build id, as the kernel has them. */
#define OOMKILL_USER_STACK_DEPTH 32
#define OOMKILL_BUILD_ID_LEN 20

/*
 * Flight recorder: samples in each series of a cgroup, a power of two, and how many
 * ticks go into one sample of the coarser two: of a tick a second, a minute and half
 * an hour. Then how many changes of its limit are kept.
 */
#define OOMKILL_SAMPLES 64
#define OOMKILL_MEDIUM_TICKS 60
#define OOMKILL_COARSE_TICKS 1800
#define OOMKILL_LIMITS 8

/*
 * At its limit is who is this close to it: a 64th of it, but no less than what thrash in
 * a small cgroup holds back, which does not depend on the limit: it was within 2 MiB 99 %
 * of the time with 16 to 128 MiB (reclaim frees some MiB at once, for readahead and large
 * folios). Of tiny limits an eighth at most.
 */
#define OOMKILL_FULL_SHIFT 6
#define OOMKILL_FULL_LEAST_BYTES 2097152
#define OOMKILL_FULL_MOST_SHIFT 3

/* Without a pass of reclaim for so long, one episode of it is over. */
#define OOMKILL_LULL_NS 10000000000

/*
 * Where the node ran out: memory nodes, zones of each, how many cgroups are kept, the
 * largest, and the bytes of their paths.
 */
#define OOMKILL_NODES 8
#define OOMKILL_ZONES 6
#define OOMKILL_SHARES 32
#define OOMKILL_ZONE_NAME_LEN 16

/* In the map "kills_seen": a count from before the program's time, as the loader read it. */
#define OOMKILL_ENTERED 0x8000000000000000

enum oomkill_kind {
	OOMKILL_VICTIM = 1, /* struct oomkill_victim: one process was killed */
	OOMKILL_END = 2, /* struct oomkill_header: the incident has no more victims */
	OOMKILL_BEFORE = 3, /* struct oomkill_before: memory before the kill; precedes the victim */
	OOMKILL_SHORTAGE = 4, /* struct oomkill_shortage: the same of what it was short of */
	OOMKILL_STACK = 10, /* struct oomkill_stack: what the trigger did; precedes the victim */
	OOMKILL_USER_STACK = 11, /* struct oomkill_user_stack: the same of its own program */
	OOMKILL_STACK_NAMES = 13, /* struct oomkill_stack_names: in place of OOMKILL_STACK */
	OOMKILL_STUCK = 12, /* struct oomkill_stuck: in a ring of its own */
	OOMKILL_NODE = 5, /* struct oomkill_node: the node's memory; precedes the victim */
};

enum oomkill_hook {
	OOMKILL_HOOK_FENTRY = 1,
	OOMKILL_HOOK_KPROBE = 2,
	OOMKILL_HOOK_RAW_TRACEPOINT = 3,
};

enum oomkill_flags {
	OOMKILL_GROUP = 1, /* memory.oom.group applies: more victims may follow */
	OOMKILL_INFERRED = 2, /* the domain was found by its usage, not told by the kernel */
	OOMKILL_NODE_WIDE = 4, /* no cgroup's limit was the cause */
	OOMKILL_KILL_UNSURE = 8, /* a mark that may have been no kill */
	OOMKILL_THREADS_CUT = 16, /* more threads than are summed up */
	OOMKILL_CMDLINE_CUT = 32, /* the command line is longer than is kept */
	OOMKILL_FROM_OUTSIDE = 64, /* the victim came into its PID namespace from outside */
	OOMKILL_CHILDREN_CUT = 128, /* the domain has more children than were looked at */
	OOMKILL_UNTOLD = 256, /* a cgroup was close to its limit, and need not be the cause */
};

enum oomkill_memcg_flags {
	OOMKILL_MEMCG_V1 = 1, /* cgroup v1: the swap counter counts memory and swap */
	OOMKILL_MEMCG_PATH_CUT = 2, /* names are missing from the path */
	OOMKILL_MEMCG_NO_CONTROLLER = 4, /* its memory is charged to one above it */
	OOMKILL_MEMCG_POPULATED = 8, /* processes are in this very cgroup */
};

/* What every record starts with. */
struct oomkill_header {
	__u64 sequence; /* of records since loading, lost ones included; from 1 */
	__u64 incident; /* of incidents since loading; from 1 */
	__u64 boot_ns; /* CLOCK_BOOTTIME */
	__u32 size; /* of the whole record, bytes */
	__u16 layout; /* OOMKILL_LAYOUT */
	__u8 kind; /* enum oomkill_kind */
	__u8 hook; /* enum oomkill_hook */
};

/*
 * A memory cgroup, or a process's cgroup that is none: then id and path alone.
 * The path lies in the strings, the name of the cgroup itself first and each
 * parent's after it, each ended by a NUL. An empty name stands for those that are
 * missing between the two ends; with none and PATH_CUT, the root's end is missing.
 */
struct oomkill_memcg {
	__u64 id; /* kernfs id: inode of the cgroup's folder */
	__u64 usage_pages;
	__u64 limit_pages;
	__u64 low_pages;
	__u64 peak_pages;
	__u64 swap_usage_pages;
	__u64 swap_limit_pages;
	__s32 swappiness;
	__u16 path_offset; /* into strings */
	__u16 path_size; /* bytes, the NULs included */
	__u32 flags; /* enum oomkill_memcg_flags */
	__u32 pad;
};

enum oomkill_stat_flags {
	OOMKILL_STAT_APPROXIMATE = 1, /* more was charged than could be added up */
};

/*
 * Where a memory cgroup's memory is, as in its memory.stat; the cgroups below it
 * included. In the units the kernel counts each in.
 */
struct oomkill_stat {
	__u64 anon_pages;
	__u64 file_pages;
	__u64 shmem_pages;
	__u64 kernel_stack_kib;
	__u64 pagetables_pages;
	__u64 slab_reclaimable_bytes;
	__u64 slab_unreclaimable_bytes;
	__u64 sock_pages;
	__u64 kernel_pages;
	__u64 zswap_bytes; /* compressed, in kernel_pages */
	__u64 zswapped_pages; /* what is compressed there */
	__u64 hugetlb_pages;
	__u64 vmalloc_pages;
	__u64 percpu_bytes;
	__u64 swapcached_pages;
	__u64 lru_pages; /* on the kernel's lists, of whatever kind, mapped or not */
	__u32 flags; /* enum oomkill_stat_flags */
	__u32 pad;
};

/* The task whose allocation failed. */
struct oomkill_trigger {
	__u32 pid; /* process (thread group) */
	__u32 tid; /* thread */
	char comm[OOMKILL_COMM_LEN];
};

struct oomkill_process {
	__u64 anon_pages;
	__u64 file_pages;
	__u64 shmem_pages;
	__u64 swap_pages;
	__u64 pgtables_bytes;
	__u64 total_vm_pages;
	__u64 data_vm_pages;
	__u64 exec_vm_pages;
	__u64 stack_vm_pages;
	__u64 locked_vm_pages;
	__u64 pinned_vm_pages;
	__u64 hiwater_rss_pages;
	__u64 hiwater_vm_pages;
	__u64 task_size_bytes;
	__u64 min_flt;
	__u64 maj_flt;
	__u64 utime_ns;
	__u64 stime_ns;
	__u64 gtime_ns;
	__u64 start_boottime_ns; /* of the thread group's leader */
	__u32 pid;
	__u32 tid;
	__u32 pid_in_ns; /* in the innermost PID namespace */
	__u32 ppid;
	__u32 uid;
	__u32 threads;
	__u32 task_flags; /* PF_* */
	__s32 prio;
	__s32 static_prio;
	__s32 oom_score_adj;
	char comm[OOMKILL_COMM_LEN];
	char parent_comm[OOMKILL_COMM_LEN];
};

/* A process of the candidate scan. */
struct oomkill_candidate {
	__u64 rss_pages;
	__u64 size_pages; /* resident, swapped out and page tables: what points start from */
	__s64 points; /* unknown: it may not be killed */
	__u64 child_id; /* the cgroup right below the domain that it is in; unknown: none */
	__u32 pid;
	__s32 oom_score_adj;
	char comm[OOMKILL_COMM_LEN];
};

/* A cgroup right below the domain that lives: not removed, though it may be empty. */
struct oomkill_child {
	__u64 id;
	__u64 usage_pages;
	__u64 limit_pages;
	__u16 name_offset; /* into strings */
	__u16 name_size; /* bytes, the NUL included */
	__u32 pad;
};

struct oomkill_victim {
	struct oomkill_header header;
	__u64 total_pages; /* oom_control.totalpages: capacity of the domain */
	__s64 points; /* oom_control.chosen_points */
	__s32 order; /* of the allocation; -1: sysrq */
	__u32 gfp_mask;
	__u32 constraint; /* enum oom_constraint */
	__u32 flags; /* enum oomkill_flags */
	struct oomkill_memcg domain;
	struct oomkill_memcg trigger_memcg; /* path and id only */
	struct oomkill_memcg victim_memcg;
	struct oomkill_stat domain_stat;
	struct oomkill_stat victim_stat; /* where it is not the domain's */
	struct oomkill_trigger trigger;
	struct oomkill_process process;
	char message[OOMKILL_MESSAGE_LEN];
	struct oomkill_candidate candidates[OOMKILL_CANDIDATES]; /* in no order */
	struct oomkill_child children[OOMKILL_CHILDREN]; /* in no order */
	__u64 children_pages; /* usage of all the domain's children */
	__u32 children_used; /* unknown: there is no domain */
	__u32 candidates_used; /* unknown: no candidate scan was seen */
	__u16 cmdline_offset; /* into strings */
	__u16 cmdline_size; /* bytes; each argument ends with a NUL */
	__u32 pad;
	char strings[OOMKILL_STRINGS_LEN]; /* only the used part is sent */
};

/* From this tick on the limit was this one; pages as in a sample, the largest for none. */
struct oomkill_limit {
	__u32 tick;
	__u32 pages;
};

enum oomkill_recording_flags {
	OOMKILL_RECORDING_WHOLE = 1, /* it was made while the recorder ran: this is all its life */
	OOMKILL_RECORDING_TORN = 2, /* it was written while it was copied: nothing in it is sure */
};

/*
 * Flight recorder: a memory cgroup's usage over time, in pages, the largest u32 for
 * unknown. A tick is a number of periods (config.tick_ns) since boot; the sample of
 * tick t is fine[t % OOMKILL_SAMPLES]. Of the coarser series a sample is the largest
 * of its ticks, and the current one is beside them. The oldest sample of a full series
 * may be the newest one already: it is written while this is copied.
 */
struct oomkill_recording {
	__u64 id; /* kernfs id of the cgroup; 0: it has not been recorded */
	__u32 last; /* tick of the newest sample */
	__u32 first; /* tick of the first one ever */
	__u32 medium_now;
	__u32 coarse_now;
	__u32 full_since; /* at its limit in every tick from this one on; unknown: it is not */
	__u32 limit_now;
	__u32 limits_seen; /* how many limits were entered, ever */
	__u32 flags; /* enum oomkill_recording_flags */
	__u32 fine[OOMKILL_SAMPLES];
	__u32 medium[OOMKILL_SAMPLES];
	__u32 coarse[OOMKILL_SAMPLES];
	struct oomkill_limit limits[OOMKILL_LIMITS];
};

/* What memory did before a kill: sent ahead of an incident's first victim. */
struct oomkill_before {
	struct oomkill_header header;
	__u64 tick_ns; /* period */
	struct oomkill_recording domain;
	struct oomkill_recording victim; /* its cgroup, where that is not the domain */
};

/*
 * How the kernel reclaimed memory of a cgroup: passes of tasks that wanted memory and
 * had to free some first. Of the latest episode: that with no pause of OOMKILL_LULL_NS.
 */
struct oomkill_reclaim {
	__u64 first_ns; /* CLOCK_BOOTTIME: when its first pass began; 0: there was none */
	__u64 last_ns; /* when its latest began or ended */
	__u64 passes;
	__u64 stalled_ns; /* spent in those that ended, by all the tasks together */
};

/* Pages that were read or swapped in again soon after they had been reclaimed, ever. */
struct oomkill_refaults {
	__u64 anon_pages;
	__u64 file_pages;
};

/* How short of memory it was before a kill: sent ahead of an incident's first victim. */
struct oomkill_shortage {
	struct oomkill_header header;
	struct oomkill_reclaim domain;
	struct oomkill_reclaim victim; /* its cgroup, where that is not the domain */
	struct oomkill_refaults domain_refaults;
	struct oomkill_refaults victim_refaults;
};

/* What the trigger was doing in the kernel: sent ahead of an incident's first victim. */
struct oomkill_stack {
	struct oomkill_header header;
	__u32 used; /* of frames */
	__u32 pad;
	__u64 frames[OOMKILL_STACK_DEPTH]; /* addresses to return to, innermost first */
};

/* The same by name, where the reader may not see addresses: with config.names. */
struct oomkill_stack_names {
	struct oomkill_header header;
	__u32 used; /* of names */
	__u32 pad;
	char names[OOMKILL_SYMBOLS_LEN]; /* each in OOMKILL_SYMBOL_LEN bytes, ended by a NUL */
};

enum oomkill_user_frame_status {
	OOMKILL_FRAME_BUILD_ID = 1, /* else there is an address where the offset would be */
};

/* The kernel's struct bpf_stack_build_id. */
struct oomkill_user_frame {
	__s32 status; /* enum oomkill_user_frame_status */
	char build_id[OOMKILL_BUILD_ID_LEN];
	__u64 offset; /* into the file, bytes */
};

/* What the trigger was doing in its own program, with config.stacks: likewise. */
struct oomkill_user_stack {
	struct oomkill_header header;
	__u32 used; /* of frames */
	__u32 pad;
	struct oomkill_user_frame frames[OOMKILL_USER_STACK_DEPTH]; /* innermost first */
};

/* A zone of a memory node; struct zone. */
struct oomkill_zone {
	__u64 managed_pages;
	__u64 free_pages;
	__u64 free_pcp_pages; /* on the lists of the CPUs, not in free_pages */
	__u64 free_fitting_pages; /* in pieces as large as the one asked for */
	__u64 free_cma_pages; /* of the free ones, for movable memory only */
	__u64 highatomic_pages; /* reserved for allocations that cannot wait */
	__u64 min_pages; /* watermarks, boost included */
	__u64 low_pages;
	__u64 high_pages;
	__u64 zsmalloc_pages;
	__u64 pagetables_pages; /* counted for zones until 5.11 */
	__u64 reserve_pages; /* lowmem_reserve: what such an allocation must leave there */
	__u32 number; /* enum zone_type */
	__u32 allowed; /* 1: such an allocation may take memory there */
	char name[OOMKILL_ZONE_NAME_LEN];
};

/* A memory node; pglist_data. In the units that the kernel counts each in. */
struct oomkill_numa_node {
	__u64 anon_pages; /* mapped */
	__u64 file_pages; /* page cache; shmem and the swap cache are in it */
	__u64 shmem_pages;
	__u64 swapcached_pages;
	__u64 lru_pages; /* on the kernel's lists, of whatever kind, isolated ones included */
	__u64 slab_reclaimable_pages;
	__u64 slab_unreclaimable_pages;
	__u64 misc_reclaimable_pages; /* of drivers that can give it back */
	__u64 kernel_stack_kib;
	__u64 pagetables_pages;
	__u64 secondary_pagetables_pages; /* KVM, IOMMU */
	__u64 vmalloc_pages; /* v7.3 */
	__u64 balloon_pages; /* v7.3: taken back by the hypervisor */
	__u64 gpu_pages; /* v7.3 */
	__u32 id;
	__u32 zones_used;
	struct oomkill_zone zones[OOMKILL_ZONES];
};

/* A memory cgroup's share of the node. */
struct oomkill_share {
	__u64 id;
	__u64 usage_pages; /* the cgroups below it included */
	__u64 own_pages; /* what none of those is charged with */
	__u64 limit_pages;
	__u64 low_pages;
	__u64 min_pages;
	__u64 minute_ago_pages; /* usage then; 0: it was not there yet; unknown: not recorded */
	__u64 hour_ago_pages;
	__u16 path_offset; /* into strings, as in struct oomkill_memcg */
	__u16 path_size;
	__u32 flags; /* enum oomkill_memcg_flags */
	__s32 oom_score_adj; /* of the process that came into it first */
	__u32 pad;
};

enum oomkill_node_flags {
	OOMKILL_NODE_WALK_CUT = 1, /* more cgroups than were looked at */
	OOMKILL_NODE_CPUS_UNREAD = 2, /* what the CPUs keep to themselves is not in the numbers */
	OOMKILL_NODE_NODES_CUT = 4, /* more memory nodes than were looked at */
};

/*
 * Where no cgroup's limit was the cause: whose the node's memory was. Each page that is
 * charged is in the own_pages of one cgroup: those of the shares, others and gone are
 * what is charged at all.
 */
struct oomkill_node {
	struct oomkill_header header;
	__u64 allowed_nodes; /* a bit for each node that who asks may take memory from */
	__u64 charged_pages; /* to all cgroups, as the root counts it */
	__u64 charged_kernel_pages; /* of that, the kernel's; as last added up */
	__u64 others_pages; /* own_pages of the cgroups that are not kept */
	__u64 gone_pages; /* of removed cgroups that memory is still charged to */
	__u64 took_ns; /* to read all of this */
	__u32 others; /* how many cgroups are not kept, those without memory included */
	__u32 gone;
	__u32 nodes_used;
	__u32 shares_used;
	__u32 flags; /* enum oomkill_node_flags */
	__u32 pad;
	struct oomkill_numa_node nodes[OOMKILL_NODES];
	struct oomkill_share shares[OOMKILL_SHARES]; /* in no order */
	char strings[OOMKILL_STRINGS_LEN]; /* only the used part is sent */
};

/* What the flight recorder counts by itself; one element of the map "recorder". */
struct oomkill_recorder {
	__u64 goes; /* times it ran: at least one for each walk */
	__u64 walks; /* walks through all the cgroups, finished */
	__u64 missed_ticks; /* without a walk: the one before went on, or the machine slept */
	__u64 cut_walks; /* ended before all the cgroups were seen */
	__u64 cgroups; /* seen in the last walk */
	__u64 recorded; /* of them, those that there is room for */
	__u64 busy_ns; /* time spent, in all */
	__u64 longest_ns; /* in one go */
};

/* What the kernel side counts by itself; one element of the map "counters". */
struct oomkill_counters {
	__u64 records; /* sequence numbers given out */
	__u64 incidents;
	__u64 kills; /* __oom_kill_process() calls; a few may find the victim gone */
	__u64 marks; /* mark_victim without a kill: already exiting */
	__u64 scans; /* oom_evaluate_task() seen going through the processes */
	__u64 lost_ring_full;
	__u64 lost_no_context; /* a kill outside of any incident this program saw begin */
};

/* Longest path kept of a cgroup that is stuck, in bytes. */
#define OOMKILL_STUCK_PATH_LEN 2048
#define OOMKILL_STUCK_CAUSES 8 /* more than there are */

enum oomkill_stuck_cause {
	OOMKILL_STUCK_NO_KILL = 1, /* it ran out again and again, and nothing was killed */
	OOMKILL_STUCK_DISABLED = 2, /* cgroup v1: memory.oom_control has its tasks wait */
	OOMKILL_STUCK_THROTTLED = 3, /* above memory.high */
	OOMKILL_STUCK_HUGE_PAGE = 4, /* no room for one below a limit: SIGBUS */
};

enum oomkill_stuck_state {
	OOMKILL_STUCK_BEGAN = 1, /* it has gone on for long enough */
	OOMKILL_STUCK_ENDED = 2,
};

/*
 * Out of memory without a kill, one episode of a cgroup: sent when it is known to be
 * one, each minute from then on, and when it is over, into a ring of its own.
 */
struct oomkill_stuck {
	__u64 boot_ns; /* CLOCK_BOOTTIME, as all here */
	__u64 began_ns;
	__u64 last_ns; /* of the latest event so far */
	__u64 events; /* so far */
	__u64 id; /* kernfs id of the cgroup */
	__u64 usage_pages; /* unknown, as the two below: the cgroup is gone */
	__u64 limit_pages;
	__u64 high_pages; /* memory.high */
	__u32 size; /* of the whole record, bytes */
	__u16 layout; /* OOMKILL_LAYOUT */
	__u8 kind; /* OOMKILL_STUCK */
	__u8 state; /* enum oomkill_stuck_state */
	__u32 cause; /* enum oomkill_stuck_cause */
	__u16 path_size; /* bytes, the NULs included; 0: the cgroup is gone */
	__u16 flags; /* enum oomkill_memcg_flags */
	char path[OOMKILL_STUCK_PATH_LEN]; /* as in struct oomkill_memcg */
};

/* Where the kernel's functions are: the map "functions", filled in by the loader; 0: unknown. */
struct oomkill_functions {
	__u64 moom_callback; /* what sysrq-f has a worker call */
	__u64 moom_callback_end;
};

/* Set by the loader before the kernel sees the object. */
struct oomkill_config {
	__u64 tick_ns; /* flight recorder: its period; 0: there is none */
	__u32 hook; /* enum oomkill_hook */
	__u32 cpus; /* possible CPUs, at most OOMKILL_CPUS_MAX */
	__u32 pages_slack; /* raw tracepoint: distance from the limit that still counts as full */
	__u32 page_size; /* bytes */
	__u32 cmdline; /* whether to read it: it may hold secrets */
	__u32 memcg_disabled; /* cgroup_disable=memory: no cgroup has memory of its own */
	__u32 stacks; /* whether to take the trigger's own stack as well */
	__u32 names; /* whether to name the kernel's functions here */
};

#define OOMKILL_CPUS_MAX 1024

#endif /* OOMKILL_H */
