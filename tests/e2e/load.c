/* load.c - a constant load on one host, through a proxy, in which every failed request counts.
 *
 *   load PORT HOST [-c CONNECTIONS] [-r REQUESTS/S] [-p PATH] [-t TIMEOUT_MS]
 *
 * Speaks to 127.0.0.1:PORT until SIGTERM, over connections that are kept alive.  Anything but a
 * whole 200 is a failure, with its moment and reason; nothing is ever tried again.  Prints a line
 * of JSON when a container answers for the first time, {"first": NAME, "t": T}, and at the end the
 * whole account.  Times are seconds of CLOCK_MONOTONIC, which is Python's time.monotonic().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 65536, MAX_CONNS = 512, MAX_NAMES = 4096, MAX_LISTED = 2000 };

struct conn {
	int fd; /* -1: none */
	bool busy; /* a request is under way */
	double sent;
	size_t used;
	char buf[REPLY_MAX];
};

struct name {
	char text[128];
	unsigned long ok;
	double first, last; /* answers */
	double last_sent; /* of the requests that it answered, when the last one began */
};

struct failure {
	double t;
	char reason[48];
};

static struct conn *conns;
static int nconns = 8;
static double rate = 500;
static int timeout_ms = 5000;
static int port;
static char request[2048];
static size_t nrequest;
static int epoll_fd;

static unsigned long nsent, nok, nfailed;
static struct name names[MAX_NAMES];
static int nnames;
static struct name reasons[64]; /* .ok counts */
static int nreasons;
static struct failure failures[MAX_LISTED];
static uint32_t *latencies; /* microseconds */
static size_t nlatencies, cap_latencies;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static struct name *
name_get(struct name *list, int *n, int max, const char *text)
{
	for (int i = 0; i < *n; i++)
		if (!strcmp(list[i].text, text))
			return &list[i];
	if (*n == max)
		return &list[max - 1];
	snprintf(list[*n].text, sizeof(list[*n].text), "%s", text);
	return &list[(*n)++];
}

static void
conn_drop(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->busy = false;
	c->used = 0;
}

static void
fail(struct conn *c, const char *reason)
{
	if (nfailed < MAX_LISTED) {
		failures[nfailed].t = now();
		snprintf(failures[nfailed].reason, sizeof(failures[0].reason), "%s", reason);
	}
	nfailed++;
	name_get(reasons, &nreasons, 64, reason)->ok++;
	conn_drop(c);
}

static bool
conn_open(struct conn *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to))) {
		fail(c, errno == ECONNREFUSED ? "refused" : "connect");
		return false;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
	return true;
}

static void
conn_send(struct conn *c)
{
	nsent++;
	if (c->fd < 0 && !conn_open(c))
		return;
	c->busy = true;
	c->sent = now();
	if (send(c->fd, request, nrequest, MSG_NOSIGNAL) != (ssize_t)nrequest)
		fail(c, "send");
}

static void
note_latency(double seconds)
{
	if (nlatencies == cap_latencies) {
		cap_latencies = cap_latencies ? 2 * cap_latencies : 65536;
		latencies = realloc(latencies, cap_latencies * sizeof(*latencies));
		if (!latencies)
			exit(3);
	}
	latencies[nlatencies++] = (uint32_t)(seconds * 1e6);
}

static void
note_answer(struct conn *c, const char *head)
{
	const char *at = strcasestr(head, "\r\nX-Container:");
	char text[128] = "?";
	struct name *n;

	if (at)
		sscanf(at + 14, " %127[^\r]", text);
	n = name_get(names, &nnames, MAX_NAMES, text);
	n->last = now();
	n->last_sent = c->sent > n->last_sent ? c->sent : n->last_sent;
	if (!n->ok++) {
		n->first = n->last;
		printf("{\"first\": \"%s\", \"t\": %.6f}\n", n->text, n->first);
		fflush(stdout);
	}
	nok++;
	note_latency(n->last - c->sent);
}

/* Octets of the whole answer; 0: not all here yet; -1: not HTTP. */
static long
answer_length(const struct conn *c)
{
	const char *end = strstr(c->buf, "\r\n\r\n");
	const char *at;
	long head;

	if (c->used >= 5 && strncmp(c->buf, "HTTP/", 5))
		return -1;
	if (!end)
		return 0;
	head = end + 4 - c->buf;
	at = strcasestr(c->buf, "\r\nContent-Length:");
	if (at && at < end)
		return head + strtol(at + 17, NULL, 10);
	at = strstr(end, "\r\n0\r\n\r\n"); /* chunked */
	return at ? at + 7 - c->buf : 0;
}

static void
conn_answered(struct conn *c, size_t len)
{
	int status = 0;
	char reason[32];

	sscanf(c->buf, "HTTP/1.%*d %d", &status);
	if (status != 200) {
		bool keep = !strcasestr(c->buf, "\r\nConnection: close");
		int fd = c->fd;

		snprintf(reason, sizeof(reason), "status %d", status);
		if (keep)
			c->fd = -1; /* the connection itself is well */
		fail(c, reason);
		c->fd = keep ? fd : -1;
		return;
	}
	*strstr(c->buf, "\r\n\r\n") = '\0';
	note_answer(c, c->buf);
	c->busy = false;
	c->used -= len;
	if (strcasestr(c->buf, "\r\nConnection: close"))
		conn_drop(c);
}

static void
conn_read(struct conn *c)
{
	ssize_t n;
	long len;

	if (c->fd < 0)
		return;
	n = read(c->fd, c->buf + c->used, sizeof(c->buf) - 1 - c->used);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (!c->busy)
			conn_drop(c); /* an idle connection was closed: nobody's loss */
		else
			fail(c, n ? "reset" : "closed");
		return;
	}
	c->used += n;
	c->buf[c->used] = '\0';
	len = answer_length(c);
	if (len < 0 || !c->busy)
		fail(c, "garbled");
	else if (len && (size_t)len <= c->used)
		conn_answered(c, len);
}

/* Sends what is due, on connections that are free; what cannot be sent now is not caught up. */
static void
tick(void)
{
	static double before, due;
	static int next;
	double t = now();

	due = before ? due + (t - before) * rate : 1;
	before = t;
	if (due > nconns)
		due = nconns;
	for (int i = 0; i < nconns; i++) {
		struct conn *c = &conns[(next + i) % nconns];

		if (c->busy && t - c->sent > timeout_ms / 1e3)
			fail(c, "timeout");
		if (!c->busy && due >= 1) {
			conn_send(c);
			due -= 1;
		}
	}
	next = (next + 1) % nconns;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double
percentile(double p)
{
	return nlatencies ? latencies[(size_t)(p * (nlatencies - 1))] / 1e3 : 0;
}

static void
report(double started)
{
	qsort(latencies, nlatencies, sizeof(*latencies), by_value);
	printf("{\"requests\": %lu, \"ok\": %lu, \"failed\": %lu, \"seconds\": %.3f, ", nsent, nok,
		nfailed, now() - started);
	printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"reasons\": {",
		percentile(.5), percentile(.99), percentile(1));
	for (int i = 0; i < nreasons; i++)
		printf("%s\"%s\": %lu", i ? ", " : "", reasons[i].text, reasons[i].ok);
	printf("}, \"failures\": [");
	for (unsigned long i = 0; i < nfailed && i < MAX_LISTED; i++)
		printf("%s[%.6f, \"%s\"]", i ? ", " : "", failures[i].t, failures[i].reason);
	printf("], \"containers\": {");
	for (int i = 0; i < nnames; i++)
		printf("%s\"%s\": {\"ok\": %lu, \"first\": %.6f, \"last\": %.6f, \"last_sent\": "
		       "%.6f}",
			i ? ", " : "", names[i].text, names[i].ok, names[i].first, names[i].last,
			names[i].last_sent);
	printf("}}\n");
}

/* At the end no more is sent, and what is under way may still come in. */
static bool
all_idle(void)
{
	for (int i = 0; i < nconns; i++)
		if (conns[i].busy)
			return false;
	return true;
}

static void
parse(int argc, char **argv)
{
	const char *path = "/";
	int opt;

	while ((opt = getopt(argc, argv, "c:r:p:t:")) != -1)
		switch (opt) {
		case 'c':
			nconns = atoi(optarg);
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 'p':
			path = optarg;
			break;
		case 't':
			timeout_ms = atoi(optarg);
			break;
		default:
			exit(2);
		}
	if (argc - optind != 2 || nconns < 1 || nconns > MAX_CONNS || rate <= 0)
		exit(2);
	port = atoi(argv[optind]);
	nrequest = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path,
		argv[optind + 1]);
}

/* Often enough for the rate, and not more often than that makes sense. */
static long
tick_ns(void)
{
	if (rate > 2000)
		return 500000;
	return rate < 2 ? 500000000 : (long)(1e9 / rate);
}

int
main(int argc, char **argv)
{
	struct itimerspec every = {{0}, {0}};
	double started = now(), ending = 0;
	int signal_fd, timer_fd;
	sigset_t signals;

	parse(argc, argv);
	conns = calloc(nconns, sizeof(*conns));
	for (int i = 0; i < nconns; i++)
		conns[i].fd = -1;
	every.it_interval.tv_nsec = every.it_value.tv_nsec = tick_ns();
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	epoll_fd = epoll_create1(0);
	signal_fd = signalfd(-1, &signals, SFD_NONBLOCK);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	timerfd_settime(timer_fd, 0, &every, NULL);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signal_fd,
		&(struct epoll_event){.events = EPOLLIN, .data.ptr = &signal_fd});
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd,
		&(struct epoll_event){.events = EPOLLIN, .data.ptr = &timer_fd});

	while (!ending || (!all_idle() && now() - ending < timeout_ms / 1e3)) {
		struct epoll_event evs[64];
		int n = epoll_wait(epoll_fd, evs, 64, 1000);
		uint64_t ticks;

		for (int i = 0; i < n; i++) {
			if (evs[i].data.ptr == &signal_fd) {
				ending = ending ? ending : now();
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, signal_fd, NULL);
			} else if (evs[i].data.ptr == &timer_fd) {
				if (read(timer_fd, &ticks, sizeof(ticks)) > 0 && !ending)
					tick();
			} else {
				conn_read(evs[i].data.ptr);
			}
		}
	}
	for (int i = 0; i < nconns; i++)
		if (conns[i].busy)
			fail(&conns[i], "timeout");
	report(started);
	return 0;
}
