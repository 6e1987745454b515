/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that does, one after the other, what its arguments say:
 *
 *	name NAME		its comm
 *	adj N			its oom_score_adj
 *	uid N			its user
 *	cpu N			stay on that CPU
 *	anon MIB, shmem MIB	touch that much memory, page by page
 *	grow MIB MS		touch that much, evenly over that time
 *	saw MIB MS TIMES	touch that much over that time and give it back, so often
 *	sleep MS		wait that long
 *	reread PATH MIB MS	read that much of a file again and again, for that long, four
 *				times at least
 *	read PATH AT SPAN MIB MS
 *				read that much of a file, evenly over that time: SPAN MiB
 *				from AT on, around and around
 *	file PATH MIB		map a file of that size and touch it
 *	locked PATH MIB		map that much of a file and lock it, page by page
 *	write PATH MIB		write a file of that size, and map nothing of it
 *	pipes MIB		fill pipes with that much
 *	refused MIB		the same, and what is refused (ENOMEM) is tried again for ever
 *	tables MIB		page tables of that size, with nothing behind them
 *	noise MIB		touch that much, half of each page with what cannot be compressed
 *	huge MIB		touch that much in huge pages
 *	pin MIB			touch that much, leave it in pipes (vmsplice), and map it no longer
 *	files N			have room for N open files
 *	entries PATH N		make N empty files in a folder
 *	tcp MIB			fill TCP connections with that much, as far as they take it
 *	bind N			take memory from that NUMA node only
 *	bound N MIB		touch that much, which may be on that NUMA node only (mbind)
 *	messages MIB		that much of the kernel's slab: System V messages nobody reads
 *	ring MIB		a packet socket's ring of that size, which is charged to nobody
 *	threads N		start N threads that wait
 *	children N		start N processes that wait, and end with this one
 *	leave			the first thread ends, then another goes on with the next argument
 *	fork			a child goes on; the parent waits for it
 *	vfork PATH		a child that has not left its parent's memory goes on, in the
 *				cgroup of that cgroup.procs: the OOM killer leaves it alone
 *	child MIB		a child touches that much and waits
 *	sharer			a process with this very memory (CLONE_VM) waits
 *	sharers N		as many of those, which touch no memory of their own
 *	traced			a child goes on; when it dies, it waits in a tracing stop for a line
 *	times N			N children go on, one after the other; the parent waits for each
 *	lock			keep what there is of memory now, even from the OOM reaper
 *	ready			print a line
 *	go			wait for a line, or the end, of standard input
 *	until PATH		wait for a file of that name
 *	wait			wait for a signal
 *	spin			keep its CPU, at real-time priority
 *
 * More than MAX_MIB in all is refused: the bound that holds should a limit not.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/mempolicy.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MIB 256
#define CONNECTIONS 64
#define REREAD_LEAST 4
#define SPIN_SECONDS 60

static char **next;
static long used_mib;

static void *run(void *unused);

static const char *word(void)
{
	if (!*next)
		errx(2, "an argument is missing");
	return *next++;
}

static long number(void)
{
	return atol(word());
}

static void count(long mib)
{
	used_mib += mib;
	if (used_mib > MAX_MIB)
		errx(2, "more than %d MiB", MAX_MIB);
}

static void touch(int flags, int fd, long mib)
{
	const long page = sysconf(_SC_PAGESIZE);
	volatile char *memory;

	count(mib);
	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		err(2, "mmap");
	madvise((void *)memory, mib << 20, MADV_NOHUGEPAGE);
	/* Its page tables first: what does not fit is a page of the file, then. */
	for (long at = 0; flags & MAP_SHARED && at < mib << 20; at += 1 << 21)
		memory[at] = 1;
	for (long at = 0; at < mib << 20; at += page)
		memory[at] = 1;
}

static int open_file(void)
{
	int fd = open(word(), O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		err(2, "open");
	return fd;
}

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void wait_until(long long us)
{
	long long left = us - now_us();

	if (left > 0)
		usleep(left);
}

/* Touches memory evenly over a time; returns it. */
static void *grow_over(long mib, long ms)
{
	const long page = sysconf(_SC_PAGESIZE), pages = (mib << 20) / page;
	long long began = now_us();
	volatile char *memory;

	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(2, "mmap");
	madvise((void *)memory, mib << 20, MADV_NOHUGEPAGE);
	for (long i = 0; i < pages; i++) {
		if (i % 8 == 0)
			wait_until(began + ms * 1000LL * i / pages);
		memory[i * page] = 1;
	}
	return (void *)memory;
}

static void grow(void)
{
	long mib = number();

	count(mib);
	grow_over(mib, number());
}

static void saw(void)
{
	long mib = number(), ms = number(), times = number();

	count(mib);
	while (times--)
		munmap(grow_over(mib, ms), mib << 20);
}

/* Through the page cache, which a limit pushes out again. */
/*
 * What was read before is known by the node of the page cache that it was in, which goes when the
 * kernel needs memory and all its pages are gone; sooner where the two lie in different NUMA nodes
 * (count_shadow_nodes()). One page stays in each.
 */
static void keep_nodes(int fd, long mib)
{
	const long node = 64 * sysconf(_SC_PAGESIZE);
	char *file = mmap(NULL, mib << 20, PROT_READ, MAP_SHARED, fd, 0);

	if (file == MAP_FAILED || madvise(file, mib << 20, MADV_RANDOM))
		err(2, "mmap");
	for (long at = 0; at < mib << 20; at += node)
		if (mlock(file + at, 1))
			err(2, "mlock");
}

static void reread(void)
{
	int fd = open_file();
	long mib = number();
	long long end = now_us() + number() * 1000LL;
	static char buffer[1 << 16];

	keep_nodes(fd, mib);
	for (int times = 0; times < REREAD_LEAST || now_us() < end; times++)
		for (long at = 0; at < mib << 20; at += sizeof(buffer))
			if (pread(fd, buffer, sizeof(buffer), at) < 0)
				err(2, "pread");
	close(fd);
}

static void read_evenly(void)
{
	static char buffer[1 << 16];
	const int fd = open(word(), O_RDONLY);
	const long from = number() << 20, span = number() << 20, size = number() << 20;
	const long long took = number() * 1000LL, began = now_us();

	/* Nothing ahead: a disk's setting may be more than a cgroup's limit. */
	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		err(2, "open");
	for (long at = 0; at < size; at += sizeof(buffer)) {
		wait_until(began + took * (at >> 16) / (size >> 16));
		if (pread(fd, buffer, sizeof(buffer), from + at % span) < 0)
			err(2, "pread");
	}
	close(fd);
}

static void map_file(void)
{
	int fd = open_file();
	long mib = number();

	if (ftruncate(fd, mib << 20))
		err(2, "ftruncate");
	touch(MAP_SHARED, fd, mib);
}

static void lock_file(void)
{
	int fd = open(word(), O_RDONLY);
	long mib = number();
	char *memory;
	long at;

	count(mib);
	if (fd < 0)
		err(2, "open");
	memory = mmap(NULL, mib << 20, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(2, "mmap");
	/* Its page tables first: what does not fit is a page of the file, then. */
	for (at = 0; at < mib << 20; at += 1 << 21)
		(void)*(volatile char *)(memory + at);
	if (mlock(memory, mib << 20))
		err(2, "mlock");
}

static void write_file(void)
{
	static const char mebibyte[1 << 20];
	int fd = open_file();
	long mib = number();

	count(mib);
	while (mib--) {
		if (write(fd, mebibyte, sizeof(mebibyte)) != sizeof(mebibyte))
			err(2, "write");
	}
	if (fsync(fd)) /* dirty pages do not give way at once */
		err(2, "fsync");
}

static void fill_pipes(void)
{
	static const char full[1 << 16];
	long mib = number();
	int ends[2];

	count(mib);
	for (long i = 0; i < mib << 4; i++)
		if (pipe(ends) || write(ends[1], full, sizeof(full)) != sizeof(full))
			err(2, "pipe");
}

static void fill_pipes_and_insist(void)
{
	static const char full[1 << 16];
	long mib = number();
	int ends[2];

	count(mib);
	for (long i = 0; i < mib << 4; i++) {
		/* What a pipe itself takes is charged, too. */
		while (pipe(ends)) {
			if (errno != ENOMEM && errno != ENFILE)
				err(2, "pipe");
			usleep(20000);
		}
		if (write(ends[1], full, sizeof(full)) == sizeof(full))
			continue;
		while (write(ends[1], full, 1) < 0 && errno == ENOMEM)
			usleep(20000);
	}
}

/* What one page of them maps is read once; all of it is the one page of zeros. */
static void fill_tables(void)
{
	const long page = sysconf(_SC_PAGESIZE), mib = number();
	const long step = page / sizeof(void *) * page;
	const long size = (mib << 20) / page * step;
	volatile char *memory;

	count(mib);
	memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		err(2, "mmap");
	madvise((void *)memory, size, MADV_NOHUGEPAGE);
	for (long at = 0; at < size; at += step)
		(void)memory[at];
}

static char *anonymous(long size, int flags)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
			    -1, 0);

	if (memory == MAP_FAILED)
		err(2, "mmap");
	return memory;
}

static void touch_noise(long mib)
{
	const long page = sysconf(_SC_PAGESIZE);
	char noise[1 << 16], *memory;

	count(mib);
	memory = anonymous(mib << 20, 0);
	madvise(memory, mib << 20, MADV_NOHUGEPAGE);
	for (long at = 0; at < mib << 20; at += page) {
		if (getrandom(noise, page / 2, 0) != page / 2)
			err(2, "getrandom");
		memcpy(memory + at, noise, page / 2);
	}
}

static void touch_huge(long mib)
{
	volatile char *memory;

	count(mib);
	memory = anonymous(mib << 20, MAP_HUGETLB);
	for (long at = 0; at < mib; at++)
		memory[at << 20] = 1;
}

static void pin(long mib)
{
	const long page = sysconf(_SC_PAGESIZE);

	count(mib);
	while (mib--) {
		struct iovec whole = { .iov_len = 1 << 20 };
		int ends[2];

		if (pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0)
			err(2, "pipe");
		whole.iov_base = anonymous(whole.iov_len, 0);
		madvise(whole.iov_base, whole.iov_len, MADV_NOHUGEPAGE);
		for (long at = 0; at < (long)whole.iov_len; at += page)
			((volatile char *)whole.iov_base)[at] = 1;
		if (vmsplice(ends[1], &whole, 1, 0) != (ssize_t)whole.iov_len)
			err(2, "vmsplice");
		munmap(whole.iov_base, whole.iov_len);
	}
}

/* The table grows to the highest number in use. */
static void have_files(long count)
{
	const struct rlimit limit = { .rlim_cur = count, .rlim_max = count };

	if (setrlimit(RLIMIT_NOFILE, &limit) || dup2(0, count - 1) < 0)
		err(2, "files");
}

static void make_entries(void)
{
	const char *folder = word();
	long entries = number();

	while (entries--) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%ld", folder, entries);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			err(2, "%s", path);
		close(fd);
	}
}

/*
 * Both ends are its own, over the loopback; what is sent is read by nobody. They are made
 * first, so that what does not fit is something sent.
 */
static void fill_connections(long mib)
{
	static const char full[1 << 16];
	int ends[CONNECTIONS];
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	const int listening = socket(AF_INET, SOCK_STREAM, 0);
	long left = mib << 20;

	count(mib);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listening < 0 || bind(listening, (struct sockaddr *)&address, size) ||
	    listen(listening, 1) || getsockname(listening, (struct sockaddr *)&address, &size))
		err(2, "listen");
	for (int i = 0; i < CONNECTIONS; i++) {
		ends[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (ends[i] < 0 || connect(ends[i], (struct sockaddr *)&address, size) ||
		    accept(listening, NULL, NULL) < 0)
			err(2, "connect");
	}
	for (int i = 0; left > 0 && i < CONNECTIONS; i++) {
		ssize_t sent;

		while (left > 0 && (sent = send(ends[i], full, sizeof(full), MSG_DONTWAIT)) > 0)
			left -= sent;
		if (left > 0 && errno != EAGAIN)
			err(2, "send");
	}
	if (left > 0)
		errx(2, "%ld bytes fit into no connection", left);
}

static void bind_to_node(long node)
{
	const unsigned long nodes = 1UL << node;

	if (syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof(nodes)))
		err(2, "set_mempolicy");
}

static void touch_bound(void)
{
	const long page = sysconf(_SC_PAGESIZE);
	const unsigned long nodes = 1UL << number();
	const long mib = number();
	char *memory = anonymous(mib << 20, 0);

	count(mib);
	madvise(memory, mib << 20, MADV_NOHUGEPAGE);
	if (syscall(SYS_mbind, memory, mib << 20, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0))
		err(2, "mbind");
	for (long at = 0; at < mib << 20; at += page)
		((volatile char *)memory)[at] = 1;
}

/* The queue stays when its maker ends, until its IPC namespace does. */
static void send_messages(long mib)
{
	struct {
		long type;
		char text[8000]; /* two pieces, each in a slab object of 4 KiB */
	} message = { .type = 1 };
	const int queue = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds now;

	count(mib);
	if (queue < 0 || msgctl(queue, IPC_STAT, &now))
		err(2, "msgget");
	now.msg_qbytes = mib << 20;
	if (msgctl(queue, IPC_SET, &now))
		err(2, "msgctl");
	for (long left = mib << 7; left > 0; left--)
		if (msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT))
			err(2, "msgsnd");
}

static void make_ring(long mib)
{
	const int fd = socket(AF_PACKET, SOCK_RAW, 0); /* of no protocol: it gets nothing */
	struct tpacket_req ring = {
		.tp_block_size = 1 << 16,
		.tp_block_nr = mib << 4,
		.tp_frame_size = 1 << 11,
		.tp_frame_nr = mib << 9,
	};

	count(mib);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		err(2, "packet ring");
}

static void write_adj(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "w");

	if (!file || fprintf(file, "%ld", number()) < 0 || fclose(file))
		err(2, "oom_score_adj");
}

static void stay_on_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "sched_setaffinity");
}

static void spin(void)
{
	struct sched_param param = { .sched_priority = 50 };
	struct timespec began, now;

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		err(2, "sched_setscheduler");
	/* By the clock: on PREEMPT_RT the thread that raises alarms has no CPU meanwhile. */
	clock_gettime(CLOCK_MONOTONIC, &began);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec - began.tv_sec < SPIN_SECONDS);
	errx(2, "nobody ended it within %d s", SPIN_SECONDS);
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void wait_for_file(const char *path)
{
	while (access(path, F_OK))
		usleep(10000);
}

static void start_threads(long count, void *(*what)(void *))
{
	pthread_t thread;

	while (count--) {
		if (pthread_create(&thread, NULL, what, NULL))
			errx(2, "pthread_create");
	}
}

/* The leader's state: a zombie once it has left, without its memory. */
static bool leader_has_left(void)
{
	char state = 0;
	FILE *file = fopen("/proc/self/stat", "r");

	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		errx(2, "/proc/self/stat");
	fclose(file);
	return state == 'Z';
}

static void *run_without_leader(void *unused)
{
	while (!leader_has_left())
		usleep(1000);
	return run(unused);
}

static void start_child(long mib)
{
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	touch(MAP_PRIVATE | MAP_ANONYMOUS, -1, mib);
	puts("ready");
	fflush(stdout);
	pause();
	_exit(0);
}

static volatile int asleep; /* the latest sharer: it needs nothing more of its stack */

static int wait_for_end(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	asleep = 1;
	syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	return 0;
}

static void start_sharer(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	/* One after the other on it, and none returns. */
	asleep = 0;
	if (clone(wait_for_end, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
		err(2, "clone");
	while (!asleep)
		sched_yield();
}

/*
 * Goes on in the child, with the parent asleep in here until it ends: both are on one
 * stack. What shares its parent's memory is not for the OOM killer (in_vfork()).
 */
static void go_on_in_vfork(void)
{
	const char *path = word();
	const int fd = open(path, O_WRONLY);
	const pid_t child = vfork();

	if (fd < 0 || child < 0)
		err(2, "vfork into %s", path);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(fd, "0", 1) != 1)
			err(2, "enter %s", path);
		run(NULL);
	}
	exit(0);
}

/* Returns in the child. */
static void trace_child(void)
{
	const pid_t child = fork();
	int status;

	if (child < 0)
		err(2, "fork");
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			err(2, "ptrace");
		raise(SIGSTOP);
		return;
	}
	waitpid(child, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACEEXIT) ||
	    ptrace(PTRACE_CONT, child, NULL, NULL))
		err(2, "ptrace");
	waitpid(child, &status, 0);
	puts(status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8) ? "stopped" : "gone");
	fflush(stdout);
	getchar();
	exit(0);
}

/* Returns in each child; the parent ends here. */
static void go_on_in_children(long count)
{
	while (count--) {
		const pid_t child = fork();

		if (child < 0)
			err(2, "fork");
		if (!child)
			return;
		waitpid(child, NULL, 0);
	}
	exit(0);
}

static void start_children(long count)
{
	while (count--) {
		pid_t pid = fork();

		if (pid < 0)
			err(2, "fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			idle(NULL);
		}
	}
}

static void *run(void *unused)
{
	while (*next) {
		const char *what = word();

		if (!strcmp(what, "name"))
			prctl(PR_SET_NAME, word());
		else if (!strcmp(what, "adj"))
			write_adj();
		else if (!strcmp(what, "uid") && setuid(number()))
			err(2, "setuid");
		else if (!strcmp(what, "uid"))
			continue;
		else if (!strcmp(what, "cpu"))
			stay_on_cpu();
		else if (!strcmp(what, "anon"))
			touch(MAP_PRIVATE | MAP_ANONYMOUS, -1, number());
		else if (!strcmp(what, "shmem"))
			touch(MAP_SHARED | MAP_ANONYMOUS, -1, number());
		else if (!strcmp(what, "grow"))
			grow();
		else if (!strcmp(what, "saw"))
			saw();
		else if (!strcmp(what, "sleep"))
			wait_until(now_us() + number() * 1000LL);
		else if (!strcmp(what, "reread"))
			reread();
		else if (!strcmp(what, "read"))
			read_evenly();
		else if (!strcmp(what, "file"))
			map_file();
		else if (!strcmp(what, "locked"))
			lock_file();
		else if (!strcmp(what, "write"))
			write_file();
		else if (!strcmp(what, "pipes"))
			fill_pipes();
		else if (!strcmp(what, "refused"))
			fill_pipes_and_insist();
		else if (!strcmp(what, "vfork"))
			go_on_in_vfork();
		else if (!strcmp(what, "tables"))
			fill_tables();
		else if (!strcmp(what, "noise"))
			touch_noise(number());
		else if (!strcmp(what, "huge"))
			touch_huge(number());
		else if (!strcmp(what, "pin"))
			pin(number());
		else if (!strcmp(what, "files"))
			have_files(number());
		else if (!strcmp(what, "entries"))
			make_entries();
		else if (!strcmp(what, "tcp"))
			fill_connections(number());
		else if (!strcmp(what, "traced"))
			trace_child();
		else if (!strcmp(what, "bind"))
			bind_to_node(number());
		else if (!strcmp(what, "bound"))
			touch_bound();
		else if (!strcmp(what, "messages"))
			send_messages(number());
		else if (!strcmp(what, "ring"))
			make_ring(number());
		else if (!strcmp(what, "child"))
			start_child(number());
		else if (!strcmp(what, "sharer"))
			start_sharer();
		else if (!strcmp(what, "sharers"))
			for (long left = number(); left > 0; left--)
				start_sharer();
		else if (!strcmp(what, "times"))
			go_on_in_children(number());
		else if (!strcmp(what, "threads"))
			start_threads(number(), idle);
		else if (!strcmp(what, "children"))
			start_children(number());
		else if (!strcmp(what, "leave")) {
			start_threads(1, run_without_leader);
			pthread_exit(NULL);
		} else if (!strcmp(what, "fork")) {
			if (fork()) {
				wait(NULL);
				exit(0);
			}
		} else if (!strcmp(what, "lock")) {
			if (mlockall(MCL_CURRENT))
				err(2, "mlockall");
		} else if (!strcmp(what, "ready")) {
			puts("ready");
			fflush(stdout);
		} else if (!strcmp(what, "go"))
			getchar();
		else if (!strcmp(what, "until"))
			wait_for_file(word());
		else if (!strcmp(what, "wait"))
			pause();
		else if (!strcmp(what, "spin"))
			spin();
		else
			errx(2, "unknown: %s", what);
	}
	exit(0);
	return unused;
}

int main(int argc, char **argv)
{
	(void)argc;
	next = argv + 1;
	run(NULL);
	return 0;
}
