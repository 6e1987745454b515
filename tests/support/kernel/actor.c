/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container and who kills in it: does what its arguments say, one after another.
 *
 *	name NAME	be called so
 *	namespace	go on as PID 1 of a PID namespace, whose pid is printed for the outside
 *	enter FILE	go into the cgroup that has this cgroup.procs
 *	children N	start N, who wait
 *	ready		print "ready"
 *	go		wait for a line
 *	anon MIB	use memory
 *	signal PID N	send one
 *	kill		kill the latest child
 *	storm N		start one and kill it, N times
 *	senders N	likewise, by senders that end at once, whose names move the cursor
 *	exit N
 *	wait		for ever
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char **next;
static pid_t latest;

static const char *word(void)
{
	if (!*next)
		errx(2, "a word is missing");
	return *next++;
}

static long number(void)
{
	return atol(word());
}

static pid_t start_child(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child)
		for (;;)
			pause();
	return child;
}

static int wait_for_end(void *unused)
{
	while (pause())
		;
	return unused != NULL;
}

static int kill_by_another_name(void *target)
{
	char name[16] = "\x1b[2J\n\r\t\x07";
	pid_t pid = *(pid_t *)target;

	name[strlen(name)] = 1 + pid % 31;
	prctl(PR_SET_NAME, name);
	return kill(pid, SIGKILL) ? 1 : 0;
}

/* Without memory of its own, which takes longest to make and to take away. */
static pid_t start_light_child(int (*does)(void *), void *with)
{
	static char stacks[2][1 << 14] __attribute__((aligned(16)));
	char *stack = stacks[with ? 0 : 1];
	pid_t child = clone(does, stack + sizeof(stacks[0]), CLONE_VM | SIGCHLD, with);

	if (child < 0)
		err(1, "clone");
	return child;
}

static void wait_for(pid_t child, bool killed)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		err(1, "wait for a child");
	if (killed ? !WIFSIGNALED(status) : status)
		errx(1, "a child ended with %#x", status);
}

static void end_by_a_sender(pid_t child)
{
	wait_for(start_light_child(kill_by_another_name, &child), false);
	wait_for(child, true);
}

static void use(size_t mib)
{
	char *memory =
		mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "map %zu MiB", mib);
	memset(memory, 'x', mib << 20);
}

static void end(pid_t child)
{
	if (kill(child, SIGKILL))
		err(1, "kill a child");
	wait_for(child, true);
}

/* Whoever waits for it outside passes on how it ended, and takes it along. */
static void enter_namespace(void)
{
	int told[2], status;
	pid_t child;
	char byte;

	if (pipe(told) || unshare(CLONE_NEWPID))
		err(1, "make a PID namespace");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (child) {
		printf("%d\n", child);
		fflush(stdout);
		close(told[0]);
		close(told[1]);
		waitpid(child, &status, 0);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(told[1]);
	if (read(told[0], &byte, 1)) /* until its pid is printed */
		errx(1, "not told");
	close(told[0]);
}

static void enter_cgroup(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs("0", file) < 0 || fclose(file))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	next = argv + 1;
	while (*next) {
		const char *what = word();

		if (!strcmp(what, "name")) {
			prctl(PR_SET_NAME, word());
		} else if (!strcmp(what, "namespace")) {
			enter_namespace();
		} else if (!strcmp(what, "enter")) {
			enter_cgroup(word());
		} else if (!strcmp(what, "children")) {
			for (long left = number(); left; left--)
				latest = start_child();
		} else if (!strcmp(what, "ready")) {
			puts("ready");
			fflush(stdout);
		} else if (!strcmp(what, "go")) {
			while (getchar() != '\n')
				if (feof(stdin))
					return 1;
		} else if (!strcmp(what, "signal")) {
			pid_t pid = number();

			if (kill(pid, number()))
				err(1, "signal %d", pid);
		} else if (!strcmp(what, "anon")) {
			use(number());
		} else if (!strcmp(what, "kill")) {
			end(latest);
		} else if (!strcmp(what, "storm")) {
			for (long left = number(); left; left--)
				end(start_light_child(wait_for_end, NULL));
		} else if (!strcmp(what, "senders")) {
			for (long left = number(); left; left--)
				end_by_a_sender(start_light_child(wait_for_end, NULL));
		} else if (!strcmp(what, "exit")) {
			return number();
		} else if (!strcmp(what, "wait")) {
			for (;;)
				pause();
		} else {
			errx(2, "what is %s", what);
		}
	}
	return 0;
}
