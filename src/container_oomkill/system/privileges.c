/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropping privileges. Capabilities are the calling thread's and those of the
 * threads it starts from then on: raw system calls, as Python has none of them.
 * System calls are denied to every thread, by libseccomp.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/sched.h>
#include <seccomp.h>

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
 * EPERM from now on. Newer calls than libseccomp knows are not in the list; nor
 * can they do more than the capabilities left.
 */
static const int denied[] = {
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), /* the loader's */
	SCMP_SYS(execve),
	SCMP_SYS(execveat), /* other programs */
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), /* other processes */
	SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(fsopen), /* other views */
	SCMP_SYS(fsmount),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), /* the kernel's */
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(syslog),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), /* most often seen in exploits */
};

/*
 * clone() starts threads, and would start a process with every capability in a
 * user namespace of its own. Of clone3() a filter does not see the flags: the C
 * library takes ENOSYS for an older kernel, and goes back to clone().
 */
static const unsigned int namespaces[] = {
	CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
	CLONE_NEWUSER, CLONE_NEWPID,	CLONE_NEWNET,
};

/*
 * Whoever asks nobody has no reason to connect to anybody, as root's sockets
 * are open to uid 0 whatever it may do otherwise. What listens is there already;
 * the service manager gets datagrams, through a unix socket.
 */
static int deny_clients(scmp_filter_ctx filter)
{
	int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(connect), 0);

	/* The family is its first argument. */
	if (!failed)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
					  SCMP_A0(SCMP_CMP_NE, AF_UNIX));
	return failed;
}

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int add_rules(scmp_filter_ctx filter)
{
	int failed = 0;

	for (size_t i = 0; i < LENGTH(denied) && !failed; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	/* The flags are its first argument. */
	for (size_t i = 0; i < LENGTH(namespaces) && !failed; i++)
		failed =
			seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					 SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	if (!failed)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return failed;
}

#define API_SECCOMP_CALL 2 /* seccomp_api_get(3): seccomp(2), with threads in step */

/*
 * clients: it is to connect to others later on.
 * Returns 0, -ENOSYS for a kernel without seccomp, or another negative error, the kernel's
 * own.
 */
static int privileges_deny_system_calls(int clients)
{
	scmp_filter_ctx filter;
	int failed;

	if (seccomp_api_get() < API_SECCOMP_CALL)
		return -ENOSYS;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	/* i386 and x32 calls have other numbers: none of them is ours. */
	failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	if (!failed)
		failed = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!failed)
		failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!failed)
		failed = add_rules(filter);
	if (!failed && !clients)
		failed = deny_clients(filter);
	if (!failed)
		failed = seccomp_load(filter);
	seccomp_release(filter);
	return failed;
}
