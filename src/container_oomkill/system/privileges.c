/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up rights, for the calling thread and the threads it starts from then
 * on. Raw system calls: Python has none of them, and no library for them is
 * kept up.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN_ABI 0x40000000u /* x32: the same machine, other numbers */
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN_ABI 0xffffffffu
#endif

/* Keeps of the capabilities held only these, none of them through an execve(). */
static int privileges_keep(uint64_t capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(capabilities >> (32 * i));
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int privileges_no_new(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

/*
 * What the loader needed and what only an intruder would: each fails with
 * EPERM from now on. Newer calls than these headers know are not in the list;
 * nor can they do more than the capabilities left.
 */
static const int denied[] = {
	SYS_bpf,
	SYS_perf_event_open, /* the loader's */
	SYS_execve,
	SYS_execveat, /* other programs */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev, /* other processes */
	SYS_kcmp,
	SYS_pidfd_getfd,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_fsopen, /* other views */
	SYS_fsmount,
	SYS_move_mount,
	SYS_open_tree,
	SYS_setns,
	SYS_unshare,
	SYS_open_by_handle_at,
	SYS_fanotify_init,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load, /* the kernel's */
	SYS_kexec_file_load,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_syslog,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
	SYS_clock_adjtime,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_userfaultfd,
	SYS_io_uring_setup, /* most often seen in exploits */
};

#define DENIED (sizeof(denied) / sizeof(denied[0]))

/*
 * clone() starts threads, and would start a process with every capability in a
 * user namespace of its own. Of clone3() a filter does not see the flags: the C
 * library takes ENOSYS for an older kernel, and goes back to clone().
 */
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define LAST (DENIED + 10)

static int privileges_deny_system_calls(void)
{
#ifdef NATIVE
	struct sock_filter code[LAST + 1];
	struct sock_fprog program = { .filter = code };
	size_t at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, arch));
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, LAST - 2);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr));
	code[at++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_ABI, LAST - 4, 0);
	for (size_t i = 0; i < DENIED; i++)
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i],
							  LAST - 5 - i, 0);
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2);
	/* The flags are its first argument, whose lower half comes first. */
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, args));
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 1, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	program.len = at;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
#else
	return -ENOSYS;
#endif
}
