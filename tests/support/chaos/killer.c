/* SPDX-License-Identifier: Apache-2.0 */
/*
 * killer PROCS COUNT [EVERY_MS]: has COUNT processes, one after the other, killed by the OOM killer
 * in the cgroup whose cgroup.procs file is PROCS, and prints each one's pid.
 *
 * A child enters the cgroup and takes memory until it is killed, at most MAX_MIB. One that is not
 * killed ends everything.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MIB 32

static void be_killed(const char *procs)
{
	int fd = open(procs, O_WRONLY);
	char *memory;

	if (fd < 0 || write(fd, "0", 1) != 1)
		err(2, "%s", procs);
	memory = mmap(NULL, MAX_MIB << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		err(2, "mmap");
	madvise(memory, MAX_MIB << 20, MADV_NOHUGEPAGE);
	for (long at = 0; at < MAX_MIB << 20; at += 4096)
		memory[at] = 1;
	_exit(3);
}

/* Sleep until the next one is due; no time is lost to the kills, nor to a machine that is busy. */
static void wait_for_next(struct timespec *due, int every_ms)
{
	due->tv_sec += every_ms / 1000;
	due->tv_nsec += every_ms % 1000 * 1000000L;
	if (due->tv_nsec >= 1000000000L) {
		due->tv_sec++;
		due->tv_nsec -= 1000000000L;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
}

int main(int argc, char **argv)
{
	struct timespec due;
	int count, status;

	if (argc < 3)
		errx(2, "usage: killer PROCS COUNT [EVERY_MS]");
	clock_gettime(CLOCK_MONOTONIC, &due);
	for (count = atoi(argv[2]); count > 0; count--) {
		pid_t child = fork();

		if (child < 0)
			err(2, "fork");
		if (child == 0)
			be_killed(argv[1]);
		if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
		    WTERMSIG(status) != SIGKILL)
			errx(1, "process %d was not killed", child);
		printf("%d\n", child);
		fflush(stdout);
		if (argc > 3)
			wait_for_next(&due, atoi(argv[3]));
	}
	return 0;
}
