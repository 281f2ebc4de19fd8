/* bench_backends.c - the containers that are probed: thousands of addresses, one process.
 *
 *	bench_backends N HANGING
 *
 * Number i is reached at 127.10.I.J, where i = 256 * I + J, all at one port, which is printed.  The
 * first HANGING accept and never say a word, the others answer any request with 200 and close.
 *
 * Its standard input takes "reset", which forgets what came so far, and "stats", which prints a
 * line: how many connections came to those that do not hang, of how many of them none came, and
 * between two connections to one of them the median of the time, the 99th percentile and the
 * longest, in microseconds, where what has not ended yet counts as well.  It ends with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/base/arena.h"

#define FIRST_ADDRESS 0x7f0a0000u /* 127.10.0.0 */

static struct backends {
	size_t n, hanging;
	uint64_t reset_ns;
	uint64_t *last_ns; /* of each: its last connection since the reset; 0: none */
	size_t ngaps, cap;
	uint64_t *gap_ns;
	size_t connections;
	int epoll_fd;
} b;

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Content-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(b.epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static void
gap_add(uint64_t ns)
{
	if (b.ngaps == b.cap) {
		b.cap = b.cap ? b.cap * 2 : 4096;
		b.gap_ns = xrealloc(b.gap_ns, b.cap * sizeof(*b.gap_ns));
	}
	b.gap_ns[b.ngaps++] = ns;
}

/* What is younger than the reset, and the first gap of each, say nothing. */
static void
note(size_t i)
{
	uint64_t now = now_ns();

	b.connections++;
	if (b.last_ns[i])
		gap_add(now - b.last_ns[i]);
	b.last_ns[i] = now;
}

static void
take_one(int fd)
{
	struct sockaddr_in here;
	socklen_t n = sizeof(here);

	if (getsockname(fd, (struct sockaddr *)&here, &n) < 0) {
		close(fd);
		return;
	}
	size_t i = ntohl(here.sin_addr.s_addr) - FIRST_ADDRESS;
	if (i >= b.n) { /* nobody that is meant */
		close(fd);
		return;
	}
	if (i >= b.hanging)
		note(i);
	watch(fd);
}

static void
take_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		take_one(fd);
}

/* A request of a probe comes in one piece. */
static void
serve(int fd)
{
	char request[2048];
	struct sockaddr_in here;
	socklen_t n = sizeof(here);
	ssize_t got = read(fd, request, sizeof(request));

	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 && getsockname(fd, (struct sockaddr *)&here, &n) == 0 &&
		ntohl(here.sin_addr.s_addr) - FIRST_ADDRESS < b.hanging)
		return;
	if (got > 0 && send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
		perror("send");
	close(fd);
}

static int
gap_compare(const void *x, const void *y)
{
	uint64_t p = *(const uint64_t *)x, q = *(const uint64_t *)y;

	return (p > q) - (p < q);
}

static void
stats(void)
{
	uint64_t now = now_ns(), longest = 0;
	size_t missed = 0;

	for (size_t i = b.hanging; i < b.n; i++) {
		uint64_t open = now - (b.last_ns[i] ? b.last_ns[i] : b.reset_ns);
		missed += !b.last_ns[i];
		longest = open > longest ? open : longest;
	}
	qsort(b.gap_ns, b.ngaps, sizeof(*b.gap_ns), gap_compare);
	if (b.ngaps && b.gap_ns[b.ngaps - 1] > longest)
		longest = b.gap_ns[b.ngaps - 1];
	printf("connections=%zu missed=%zu p50_us=%ju p99_us=%ju max_us=%ju\n", b.connections,
		missed, (uintmax_t)(b.ngaps ? b.gap_ns[b.ngaps / 2] / 1000 : 0),
		(uintmax_t)(b.ngaps ? b.gap_ns[b.ngaps * 99 / 100] / 1000 : 0),
		(uintmax_t)(longest / 1000));
	fflush(stdout);
}

static void
reset(void)
{
	memset(b.last_ns, 0, b.n * sizeof(*b.last_ns));
	b.ngaps = b.connections = 0;
	b.reset_ns = now_ns();
	printf("ok\n");
	fflush(stdout);
}

/* A line is one write of whoever says it. */
static void
obey(void)
{
	char line[64];
	ssize_t n = read(0, line, sizeof(line) - 1);

	if (n <= 0)
		exit(0);
	line[n] = '\0';
	if (strcmp(line, "reset\n") == 0)
		reset();
	else
		stats();
}

/* At all addresses of the machine, for loopback has no other way to be all of them; whoever comes
 * to another one is turned away. */
static int
listen_anywhere(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t n = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&any, n) || listen(fd, 4096) ||
		getsockname(fd, (struct sockaddr *)&any, &n))
		die("listen");
	printf("%u\n", ntohs(any.sin_port));
	fflush(stdout);
	return fd;
}

static void
raise_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: bench_backends N HANGING\n");
		return 2;
	}
	raise_descriptors();
	b.n = strtoul(argv[1], NULL, 10);
	b.hanging = strtoul(argv[2], NULL, 10);
	b.last_ns = xcalloc(b.n, sizeof(*b.last_ns));
	b.reset_ns = now_ns();
	b.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int listener = listen_anywhere();
	watch(listener);
	watch(0);
	for (;;) {
		struct epoll_event evs[256];
		int n = epoll_wait(b.epoll_fd, evs, 256, -1);

		for (int i = 0; i < n; i++) {
			if (evs[i].data.fd == listener)
				take_all(listener);
			else if (evs[i].data.fd == 0)
				obey();
			else
				serve(evs[i].data.fd);
		}
	}
}
