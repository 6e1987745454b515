/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire format of the kills that were not the OOM killer's: what killers.bpf.h
 * writes into a ring of its own. Behind oomkill.h, whose rules hold here too.
 */
#ifndef KILLERS_H
#define KILLERS_H

/* In the header's place for enum oomkill_kind. */
#define OOMKILL_KILL 16

/* Longest path kept of one cgroup here, in bytes and in names; two of them lie in a record. */
#define OOMKILL_KILL_PATH_LEN 2048
#define OOMKILL_KILL_PATH_DEPTH 32
#define OOMKILL_KILL_STRINGS_LEN 4096

/*
 * So many records of one cgroup in so many nanoseconds; the end of a PID namespace has
 * an allowance of its own, which what its processes do to each other cannot use up.
 */
#define OOMKILL_KILL_BURST 16
#define OOMKILL_KILL_BURST_NS 10000000000

enum oomkill_kill_flags {
	OOMKILL_KILL_INIT = 1, /* the target was PID 1 of its namespace: the container's end */
	OOMKILL_KILL_BY_CGROUP = 2, /* one of all in a cgroup: cgroup.kill was written */
	OOMKILL_KILL_NAMESPACE_END = 4, /* PID 1 of its namespace ended: it is the sender */
	OOMKILL_KILL_SHARED_MEMORY = 8, /* the OOM killer's, for it shared its victim's memory */
	OOMKILL_KILL_SENDER_EXITING = 16, /* the sender's end was the cause */
	OOMKILL_KILL_INSIDE = 32, /* the sender is in the target's PID namespace, or below it */
	OOMKILL_KILL_ABOVE = 64, /* the sender is in a PID namespace above the target's */
	OOMKILL_KILL_CAME_IN = 128, /* the sender came into its namespace from outside: by exec */
};

/* A process of two: who was killed, and who sent it. */
struct oomkill_party {
	__u64 cgroup_id;
	__u64 start_boottime_ns;
	__u32 pid;
	__u32 tid;
	__u32 pid_in_ns; /* in the innermost PID namespace */
	__u32 ppid;
	__u32 uid;
	__s32 oom_score_adj;
	__u16 path_offset; /* into strings, as in struct oomkill_memcg */
	__u16 path_size;
	__u32 cgroup_flags; /* enum oomkill_memcg_flags */
	char comm[16];
	char parent_comm[16];
};

struct oomkill_kill {
	__u64 boot_ns; /* CLOCK_BOOTTIME */
	__u64 stop_ns; /* when it was asked to stop before; unknown: it was not */
	__u32 size; /* of the whole record, bytes */
	__u16 layout; /* OOMKILL_LAYOUT */
	__u8 kind; /* OOMKILL_KILL */
	__u8 pad;
	__u32 flags; /* enum oomkill_kill_flags */
	__s32 si_code; /* of the signal; unknown: the kernel gave no info */
	__u32 stop_signal;
	__u32 stop_pid; /* of whoever asked */
	__u32 exit_code; /* of the sender where its end was the cause, as wait(2) has it */
	__u32 pad2;
	struct oomkill_party target;
	struct oomkill_party sender;
	char stop_comm[16];
	char strings[OOMKILL_KILL_STRINGS_LEN]; /* only the used part is sent */
};

/* Counted since the start; one element of the map "killers". */
struct oomkill_killers {
	__u64 kills; /* SIGKILL that took effect, whoever sent it */
	__u64 by_oom_killer; /* of them: these have records of their own */
	__u64 with_others; /* of them: in a record of their PID 1's or their cgroup's end */
	__u64 records;
	__u64 lost_rate_limit;
	__u64 lost_ring_full;
};

#endif /* KILLERS_H */
