/* bench_client.c - polls /traefik as Traefik does, and takes the time.
 *
 *	bench_client latency CONTROL HOST PORT EVENTS GAP_MIN_MS GAP_MAX_MS SEED plain|gzip
 *	bench_client first HOST PORT
 *	bench_client hold HOST PORT plain|gzip
 *	bench_client fetch HOST PORT TIMES plain|gzip
 *	bench_client watch HOST PORT plain|gzip
 *
 * latency: with a poll held, takes one container's health away or gives it back, at random gaps,
 * and waits for the reply that says so: the container's address has left the document, or is in it.
 * A line for each event: microseconds from the event's write to the reply's first byte and to its
 * last, bytes, whether it came as gzip, and how many replies it took.
 * first: connects as soon as something listens and polls until there is a document; prints when,
 * in CLOCK_MONOTONIC nanoseconds, the first and the last byte came, and the bytes.
 * hold: polls until it is stopped by SIGTERM; prints the replies and bytes it got.
 * fetch: asks so many times, 10 ms apart, and prints the microseconds from the question to the
 * reply's first byte and to its last, and the bytes: what this machine needs for the bytes alone.
 * watch: with a poll held, takes a text from its standard input, a line, and waits for the reply
 * that has it.  A line for each: when the first and the last byte of that reply came, in
 * CLOCK_MONOTONIC nanoseconds, bytes, whether it came as gzip, and how many replies it took.
 * Says "ready" before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "reconciler/base/buf.h"

#define READ_SIZE (1 << 20)
#define ANSWER_TIMEOUT_MS 10000

struct reply {
	int status;
	bool gzip;
	size_t body_at, body_n;
	uint64_t first_ns, last_ns;
};

struct poller {
	int fd;
	const char *host, *port;
	bool gzip;
	struct buf in; /* the last reply, from its first byte */
	struct reply reply;
};

struct container {
	char id[65];
	char address[64]; /* as it stands in the document: //10.64.0.2:8080" */
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("bench_client: ", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
sleep_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&t, NULL);
}

static void
send_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t r = send(fd, bytes, n, MSG_NOSIGNAL);
		if (r <= 0)
			die("send: %s", strerror(errno));
		bytes += r;
		n -= (size_t)r;
	}
}

/* Makes room for n more bytes without giving them a value. */
static char *
buf_room(struct buf *b, size_t n)
{
	if (b->cap - b->n < n) {
		b->cap = 2 * b->cap + n;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("no memory");
	}
	return b->p + b->n;
}

/* ---- HTTP ---- */

static bool
poller_connect(struct poller *p)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(p->port))};
	int one = 1;

	if (inet_pton(AF_INET, p->host, &to.sin_addr) != 1)
		die("not an address: %s", p->host);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(p->fd, (struct sockaddr *)&to, sizeof(to)))
		return true;
	close(p->fd);
	return false;
}

static void
poller_ask(struct poller *p)
{
	char request[256];
	int n = snprintf(request, sizeof(request),
		"GET /traefik?wait=4s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: bench\r\n%s\r\n",
		p->host, p->port, p->gzip ? "Accept-Encoding: gzip\r\n" : "");
	send_all(p->fd, request, (size_t)n);
	buf_reset(&p->in);
}

/* The header's value within the head, or NULL. */
static const char *
head_find(const char *head, const char *name)
{
	size_t n = strlen(name);
	for (const char *s = strstr(head, "\r\n"); s && s[2]; s = strstr(s + 2, "\r\n"))
		if (!strncasecmp(s + 2, name, n) && s[2 + n] == ':')
			return s + 3 + n + strspn(s + 3 + n, " ");
	return NULL;
}

/* Reads the head where it is whole. */
static bool
head_parse(struct poller *p)
{
	char *end = memmem(p->in.p, p->in.n, "\r\n\r\n", 4);
	const char *length, *encoding;

	if (!end)
		return false;
	end[2] = '\0';
	if (sscanf(p->in.p, "HTTP/1.1 %d", &p->reply.status) != 1)
		die("not HTTP: %.40s", p->in.p);
	length = head_find(p->in.p, "Content-Length");
	encoding = head_find(p->in.p, "Content-Encoding");
	if (!length)
		die("a reply without Content-Length");
	p->reply.body_n = strtoull(length, NULL, 10);
	p->reply.body_at = (size_t)(end + 4 - p->in.p);
	p->reply.gzip = encoding && !strncasecmp(encoding, "gzip", 4);
	return true;
}

/* Waits for the whole reply to what was asked. */
static void
poller_read(struct poller *p)
{
	bool head = false;

	p->reply = (struct reply){0};
	while (!head || p->in.n < p->reply.body_at + p->reply.body_n) {
		ssize_t n = recv(p->fd, buf_room(&p->in, READ_SIZE), READ_SIZE - 1, 0);
		uint64_t now = now_ns();
		if (n <= 0)
			die("recv: %s", n ? strerror(errno) : "closed by the server");
		p->in.n += (size_t)n;
		p->in.p[p->in.n] = '\0';
		if (!p->reply.first_ns)
			p->reply.first_ns = now;
		p->reply.last_ns = now;
		head = head || head_parse(p);
	}
}

static bool
poller_waits(struct poller *p, int timeout_ms)
{
	struct pollfd f = {.fd = p->fd, .events = POLLIN};
	return poll(&f, 1, timeout_ms) > 0;
}

/* The reply's document as plain text, in b. */
static void
reply_unpack(const struct poller *p, struct buf *b)
{
	z_stream z = {0};
	int r = Z_OK;

	buf_reset(b);
	if (!p->reply.gzip) {
		buf_add(b, p->in.p + p->reply.body_at, p->reply.body_n);
		return;
	}
	inflateInit2(&z, 15 + 16);
	z.next_in = (unsigned char *)p->in.p + p->reply.body_at;
	z.avail_in = (unsigned)p->reply.body_n;
	while (r == Z_OK) {
		z.next_out = (unsigned char *)buf_room(b, READ_SIZE);
		z.avail_out = READ_SIZE - 1;
		r = inflate(&z, Z_NO_FLUSH);
		b->n += READ_SIZE - 1 - z.avail_out;
	}
	b->p[b->n] = '\0';
	inflateEnd(&z);
	if (r != Z_STREAM_END)
		die("a broken gzip body");
}

/* ---- the fake engine's control connection ---- */

static FILE *
control_open(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("%s: %s", path, strerror(errno));
	return fdopen(fd, "r+");
}

static void
control_send(FILE *control, const char *command)
{
	send_all(fileno(control), command, strlen(command));
}

/* The containers that serve now, which the caller frees. */
static struct container *
control_world(FILE *control, size_t *ret_n)
{
	char line[1024], id[65], state[16], health[16], ip[64], port[16];
	size_t n;

	control_send(control, "world\n");
	if (!fgets(line, sizeof(line), control) || sscanf(line, "ok %zu", &n) != 1)
		die("world: %s", line);
	struct container *list = calloc(n, sizeof(*list));
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (!fgets(line, sizeof(line), control) ||
			sscanf(line, "%64s %*s %15s %15s %63s %*s %*s %15s", id, state, health, ip,
				port) != 5)
			die("world: %s", line);
		if (strcmp(state, "running") || strcmp(health, "healthy"))
			continue;
		struct container *c = &list[(*ret_n)++];
		memcpy(c->id, id, sizeof(id));
		snprintf(c->address, sizeof(c->address), "//%.40s:%.15s\"", ip, port);
	}
	return list;
}

/* When the one event of the last command was written. */
static uint64_t
control_event_ns(FILE *control)
{
	char line[256];
	unsigned long long events, first_ns;

	if (!fgets(line, sizeof(line), control) ||
		sscanf(line, "ok %llu %llu", &events, &first_ns) != 2)
		die("control: %s", line);
	if (events != 1 || !first_ns)
		die("%llu events, heard: %d", events, first_ns > 0);
	return first_ns;
}

/* ---- latency ---- */

struct latency {
	struct poller poller;
	FILE *control;
	unsigned gap_min_ms, gap_max_ms;
	struct buf document;
};

/* Lets a random time go by with a poll held. */
static void
latency_gap(struct latency *l)
{
	unsigned span = l->gap_max_ms - l->gap_min_ms + 1;
	uint64_t until = now_ns() + (l->gap_min_ms + (unsigned)rand() % span) * 1000000ull +
			 (unsigned)rand() % 1000 * 1000ull;

	for (uint64_t now = now_ns(); now < until; now = now_ns()) {
		if (!poller_waits(&l->poller, (int)((until - now) / 1000000)))
			continue;
		poller_read(&l->poller); /* the hold ended, or gzip of the same document */
		poller_ask(&l->poller);
	}
}

static void
latency_event(struct latency *l, const struct container *c, bool healthy)
{
	char command[128];
	unsigned replies = 0;
	bool there = !healthy;
	uint64_t sent_ns = 0;

	snprintf(command, sizeof(command), "health %s %s\n", c->id,
		healthy ? "healthy" : "unhealthy");
	control_send(l->control, command);
	while (there != healthy) {
		if (!poller_waits(&l->poller, ANSWER_TIMEOUT_MS))
			die("no reply to: %s", command);
		poller_read(&l->poller);
		if (!sent_ns)
			sent_ns = control_event_ns(l->control);
		if (l->poller.reply.status != 200)
			die("status %d", l->poller.reply.status);
		replies++;
		struct reply reply = l->poller.reply;
		reply_unpack(&l->poller, &l->document);
		poller_ask(&l->poller);
		there = memmem(l->document.p, l->document.n, c->address, strlen(c->address));
		if (there == healthy)
			printf("%.1f %.1f %zu %d %u\n",
				((double)reply.first_ns - (double)sent_ns) / 1e3,
				((double)reply.last_ns - (double)sent_ns) / 1e3, reply.body_n,
				reply.gzip, replies);
	}
}

static int
run_latency(char **argv)
{
	struct latency l = {.poller = {.host = argv[1], .port = argv[2]}};
	unsigned events = (unsigned)atoi(argv[3]);
	size_t n;

	l.control = control_open(argv[0]);
	l.gap_min_ms = (unsigned)atoi(argv[4]);
	l.gap_max_ms = (unsigned)atoi(argv[5]);
	srand((unsigned)atoi(argv[6]));
	l.poller.gzip = !strcmp(argv[7], "gzip");
	struct container *list = control_world(l.control, &n);
	if (!n || l.gap_max_ms < l.gap_min_ms || !poller_connect(&l.poller))
		die("nothing to measure");
	poller_ask(&l.poller);
	poller_read(&l.poller);
	poller_ask(&l.poller);
	const struct container *c = list;
	for (unsigned i = 0; i < events; i++) {
		if (i % 2 == 0) /* each goes away and comes back */
			c = &list[(unsigned)rand() % n];
		latency_gap(&l);
		latency_event(&l, c, i % 2);
	}
	fclose(l.control);
	buf_finish(&l.document);
	buf_finish(&l.poller.in);
	free(list);
	return 0;
}

/* ---- first, hold ---- */

static int
run_first(char **argv)
{
	struct poller p = {.host = argv[0], .port = argv[1]};
	uint64_t deadline = now_ns() + 60ull * 1000000000u;

	while (!poller_connect(&p)) {
		if (now_ns() > deadline)
			die("nothing listens on %s:%s", argv[0], argv[1]);
		sleep_ms(1);
	}
	do {
		poller_ask(&p);
		poller_read(&p);
		if (now_ns() > deadline)
			die("no document");
	} while (p.reply.status != 200);
	printf("%llu %llu %zu\n", (unsigned long long)p.reply.first_ns,
		(unsigned long long)p.reply.last_ns, p.reply.body_n);
	buf_finish(&p.in);
	return 0;
}

static volatile sig_atomic_t stopped;

static void
on_stop(int signum)
{
	(void)signum;
	stopped = 1;
}

static int
run_hold(char **argv)
{
	struct poller p = {.host = argv[0], .port = argv[1], .gzip = !strcmp(argv[2], "gzip")};
	unsigned long long replies = 0, bytes = 0;

	signal(SIGTERM, on_stop);
	if (!poller_connect(&p))
		die("nothing listens on %s:%s", argv[0], argv[1]);
	poller_ask(&p);
	while (!stopped) {
		if (!poller_waits(&p, 100))
			continue;
		poller_read(&p);
		poller_ask(&p);
		replies++;
		bytes += p.reply.body_n;
	}
	printf("%llu %llu\n", replies, bytes);
	buf_finish(&p.in);
	return 0;
}

static int
run_fetch(char **argv)
{
	struct poller p = {.host = argv[0], .port = argv[1], .gzip = !strcmp(argv[3], "gzip")};

	if (!poller_connect(&p))
		die("nothing listens on %s:%s", argv[0], argv[1]);
	for (int i = atoi(argv[2]); i > 0; i--) {
		uint64_t asked_ns = now_ns();
		poller_ask(&p);
		poller_read(&p);
		printf("%.1f %.1f %zu\n", (double)(p.reply.first_ns - asked_ns) / 1e3,
			(double)(p.reply.last_ns - asked_ns) / 1e3, p.reply.body_n);
		sleep_ms(10);
	}
	buf_finish(&p.in);
	return 0;
}

struct watch {
	struct poller poller;
	struct buf document;
	char text[512]; /* what is waited for; "": nothing */
	unsigned replies;
};

static bool
watch_has(const struct watch *w)
{
	return memmem(w->document.p, w->document.n, w->text, strlen(w->text));
}

static void
watch_reply(struct watch *w)
{
	poller_read(&w->poller);
	if (w->poller.reply.status != 200)
		die("status %d", w->poller.reply.status);
	struct reply reply = w->poller.reply;
	reply_unpack(&w->poller, &w->document);
	poller_ask(&w->poller);
	w->replies++;
	if (!*w->text || !watch_has(w))
		return;
	printf("%llu %llu %zu %d %u\n", (unsigned long long)reply.first_ns,
		(unsigned long long)reply.last_ns, reply.body_n, reply.gzip, w->replies);
	*w->text = '\0';
}

/* Whoever writes the line makes the change after it, so a reply that is there with it is older. */
static bool
watch_line(struct watch *w)
{
	if (!fgets(w->text, sizeof(w->text), stdin))
		return false;
	w->text[strcspn(w->text, "\n")] = '\0';
	w->replies = 0;
	if (watch_has(w))
		die("it is there before the change: %s", w->text);
	return true;
}

static int
run_watch(char **argv)
{
	struct watch w = {.poller = {.host = argv[0], .port = argv[1]}};
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

	w.poller.gzip = !strcmp(argv[2], "gzip");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!poller_connect(&w.poller))
		die("nothing listens on %s:%s", argv[0], argv[1]);
	poller_ask(&w.poller);
	watch_reply(&w);
	puts("ready");
	fds[1].fd = w.poller.fd;
	while (poll(fds, 2, ANSWER_TIMEOUT_MS) > 0) {
		if (fds[0].revents && !watch_line(&w))
			break;
		if (fds[1].revents)
			watch_reply(&w);
	}
	buf_finish(&w.document);
	buf_finish(&w.poller.in);
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **argv);
} modes[] = {
	{"latency", 8, run_latency},
	{"first", 2, run_first},
	{"hold", 3, run_hold},
	{"fetch", 4, run_fetch},
	{"watch", 3, run_watch},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (argc == modes[i].args + 2 && !strcmp(argv[1], modes[i].name))
			return modes[i].run(argv + 2);
	fputs("usage: bench_client latency|first|hold|fetch|watch …, see the head of its source\n",
		stderr);
	return 2;
}
