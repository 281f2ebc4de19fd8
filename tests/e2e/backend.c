/* backend.c - what runs inside the containers of the tests and of the demo: a small HTTP server.
 *
 * It answers every path with one line, "NAME HOSTNAME PATH", and the header X-Container: NAME, so
 * that a test can tell who answered.  It keeps connections alive, and it dies as it is told:
 *
 *   NAME=x               its name (default: the host name)
 *   PORT=8080            where it listens, on all addresses
 *   DELAY_MS=0           how long it waits before it listens
 *   SERVE_AFTER_TERM=0   seconds that it goes on serving after SIGTERM; then it exits 0
 *   END_AFTER_MS=0       how long it lives after it listens; 0: until it is told to end
 *   HEALTH=good|bad      what /healthz says at first; /health/good and /health/bad change it
 *   STATUS=200           the status of ordinary answers
 *   LOCATION=URL         where they lead, if STATUS is one that leads anywhere
 *   MISSING=/path        a path that is answered with 404
 *   SILENT=/path         a path that is never answered
 *
 * On any path it speaks WebSocket (RFC 6455) to who asks for it: each text comes back as "NAME
 * TEXT", for as long as the process lives.
 *
 * "backend --health" asks /healthz of the server beside it: the health check of its image.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
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
#include <unistd.h>

enum { MAX_FDS = 1024, REQUEST_MAX = 16384 };

static struct client {
	bool websocket; /* from now on there are frames */
	size_t used;
	char buf[REQUEST_MAX];
} * clients[MAX_FDS];

static const char *name, *location, *missing, *silent;
static char hostname[256];
static int status = 200;
static bool healthy = true;
static int epoll_fd;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static long
env_number(const char *key, long otherwise)
{
	const char *text = getenv(key);

	return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static const char *
env_text(const char *key)
{
	const char *text = getenv(key);

	return text ? text : "";
}

static void
watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static void
client_close(int fd)
{
	free(clients[fd]);
	clients[fd] = NULL;
	close(fd);
}

static int
status_of(const char *path)
{
	if (!strcmp(path, "/health/good"))
		healthy = true;
	else if (!strcmp(path, "/health/bad"))
		healthy = false;
	else if (!strcmp(path, "/healthz"))
		return healthy ? 200 : 503;
	else if (!strcmp(path, missing))
		return 404;
	return status;
}

static bool
answer(int fd, const char *path, bool keep)
{
	char body[1024];
	char head[2048];
	int code = status_of(path);
	int nbody = snprintf(body, sizeof(body), "%.200s %s %.500s\n", name, hostname, path);
	int nhead = snprintf(head, sizeof(head),
		"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
		"X-Container: %.200s\r\n%s%.500s%sConnection: %s\r\n\r\n%s",
		code, code < 400 ? "OK" : "Error", nbody, name, *location ? "Location: " : "",
		location, *location ? "\r\n" : "", keep ? "keep-alive" : "close", body);

	return send(fd, head, nhead, MSG_NOSIGNAL) == nhead && keep;
}

static void
client_skip(struct client *c, size_t len)
{
	memmove(c->buf, c->buf + len, c->used - len + 1);
	c->used -= len;
}

/* The answer to a client's key, section 4.2.2. */
static void
websocket_sign(const char *key, char ret[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx ctx;

	sha1_init(&ctx);
	sha1_update(&ctx, strlen(key), (const uint8_t *)key);
	sha1_update(&ctx, sizeof(guid) - 1, (const uint8_t *)guid);
	sha1_digest(&ctx, sizeof(digest), digest);
	base64_encode_raw(ret, sizeof(digest), digest);
	ret[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = '\0';
}

static bool
websocket_begin(int fd, struct client *c, const char *key_header)
{
	char key[64] = "", signature[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1], head[512];
	int n;

	sscanf(key_header, "%*[^:]: %63[^\r\n ]", key);
	websocket_sign(key, signature);
	n = snprintf(head, sizeof(head),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nX-Container: %.200s\r\n\r\n",
		signature, name);
	c->websocket = true;
	return send(fd, head, n, MSG_NOSIGNAL) == n;
}

/* One frame, of less than 64 KiB as all are here. */
static bool
websocket_send(int fd, int opcode, const char *text, size_t len)
{
	uint8_t frame[REQUEST_MAX + 512] = {0x80 | opcode, len < 126 ? len : 126};
	size_t n = 2;

	if (len >= 126) {
		frame[n++] = len >> 8;
		frame[n++] = len & 255;
	}
	memcpy(frame + n, text, len);
	return send(fd, frame, n + len, MSG_NOSIGNAL) == (ssize_t)(n + len);
}

/* False: the connection is to be closed. */
static bool
websocket_answer(int fd, int opcode, const char *payload, size_t len)
{
	enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
	char echo[REQUEST_MAX + 256];

	if (opcode == PING)
		return websocket_send(fd, PONG, payload, len);
	if (opcode == PONG)
		return true;
	if (opcode == TEXT) {
		int n = snprintf(echo, sizeof(echo), "%.200s %.*s", name, (int)len, payload);
		return websocket_send(fd, TEXT, echo, n);
	}
	if (opcode == CLOSE)
		websocket_send(fd, CLOSE, payload, len);
	return false;
}

/* Octets of the first frame in the buffer, which is unmasked; 0: not all here yet; -1: none that a
 * client may send, or in parts, or above 64 KiB. */
static long
websocket_frame(struct client *c, char **ret_payload, size_t *ret_len)
{
	const uint8_t *b = (const uint8_t *)c->buf;
	size_t head = 2, len;
	char *payload;

	if (c->used < 4)
		return 0;
	len = b[1] & 127;
	if (!(b[0] & 0x80) || !(b[1] & 0x80) || len == 127)
		return -1;
	if (len == 126) {
		len = (size_t)b[2] << 8 | b[3];
		head = 4;
	}
	if (c->used < head + 4 + len)
		return 0;
	payload = c->buf + head + 4;
	for (size_t i = 0; i < len; i++)
		payload[i] ^= c->buf[head + i % 4];
	*ret_payload = payload;
	*ret_len = len;
	return (long)(head + 4 + len);
}

static bool
websocket_serve(int fd, struct client *c)
{
	char *payload;
	size_t len;
	long n;

	while ((n = websocket_frame(c, &payload, &len)) > 0) {
		if (!websocket_answer(fd, c->buf[0] & 15, payload, len))
			return false;
		client_skip(c, n);
	}
	return n == 0 && c->used < sizeof(c->buf) - 1;
}

/* Answers the request at the beginning of the buffer, which ends in zero; false: the connection is
 * to be closed. */
static bool
client_answer(int fd, struct client *c)
{
	const char *key = strcasestr(c->buf, "\nSec-WebSocket-Key:");
	char path[600] = "/";
	bool keep = !strcasestr(c->buf, "\nConnection: close") && !strstr(c->buf, " HTTP/1.0");

	if (key && status == 200 && strcasestr(c->buf, "\nUpgrade: websocket"))
		return websocket_begin(fd, c, key);
	sscanf(c->buf, "%*15s %599s", path);
	return strcmp(path, silent) == 0 || answer(fd, path, keep);
}

/* Answers every whole request in the buffer; false: the connection is to be closed. */
static bool
client_serve(int fd, struct client *c)
{
	char *end;

	while (!c->websocket && (end = strstr(c->buf, "\r\n\r\n"))) {
		size_t len = end + 4 - c->buf;

		*end = '\0';
		if (!client_answer(fd, c))
			return false;
		client_skip(c, len);
	}
	if (c->websocket)
		return websocket_serve(fd, c);
	return c->used < sizeof(c->buf) - 1;
}

static void
client_read(int fd)
{
	struct client *c = clients[fd];
	ssize_t n = read(fd, c->buf + c->used, sizeof(c->buf) - 1 - c->used);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(fd);
		return;
	}
	c->used += n;
	c->buf[c->used] = '\0';
	if (!client_serve(fd, c))
		client_close(fd);
}

static void
client_accept(int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (fd >= MAX_FDS || !(clients[fd] = calloc(1, sizeof(*clients[fd])))) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	watch(fd);
}

static int
listen_on(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool v6 = fd >= 0;

	if (!v6)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
	if (bind(fd, v6 ? (struct sockaddr *)&any : (struct sockaddr *)&any4,
		    v6 ? sizeof(any) : sizeof(any4)))
		die("bind");
	if (listen(fd, 512))
		die("listen");
	return fd;
}

static int
ask_health(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const char request[] =
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char reply[64] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		write(fd, request, sizeof(request) - 1) < 0)
		return 1;
	if (read(fd, reply, sizeof(reply) - 1) <= 0)
		return 1;
	return strncmp(reply, "HTTP/1.1 200", 12) != 0;
}

/* The goodbye: goes on for SERVE_AFTER_TERM seconds, told by the timer. */
static void
begin_to_end(int timer_fd)
{
	long seconds = env_number("SERVE_AFTER_TERM", 0);
	struct itimerspec when = {.it_value.tv_sec = seconds};

	if (seconds <= 0)
		exit(0);
	timerfd_settime(timer_fd, 0, &when, NULL);
}

/* An end by itself, told by the same timer. */
static void
limit_life(int timer_fd)
{
	long ms = env_number("END_AFTER_MS", 0);
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

	timerfd_settime(timer_fd, 0, &when, NULL);
}

int
main(int argc, char **argv)
{
	int port = (int)env_number("PORT", 8080);
	int signal_fd, timer_fd, listen_fd;
	sigset_t signals;

	if (argc > 1 && !strcmp(argv[1], "--health"))
		return ask_health(port);
	gethostname(hostname, sizeof(hostname) - 1);
	name = getenv("NAME") ? getenv("NAME") : hostname;
	status = (int)env_number("STATUS", 200);
	location = env_text("LOCATION");
	missing = env_text("MISSING");
	silent = env_text("SILENT");
	healthy = !getenv("HEALTH") || strcmp(getenv("HEALTH"), "bad") != 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_NONBLOCK);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	epoll_fd = epoll_create1(0);
	watch(signal_fd);
	watch(timer_fd);
	usleep(env_number("DELAY_MS", 0) * 1000);
	listen_fd = listen_on(port);
	watch(listen_fd);
	limit_life(timer_fd);

	for (;;) {
		struct epoll_event evs[64];
		int n = epoll_wait(epoll_fd, evs, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			struct signalfd_siginfo info;

			if (fd == listen_fd)
				client_accept(fd);
			else if (fd == timer_fd)
				exit(0);
			else if (fd != signal_fd)
				client_read(fd);
			else if (read(fd, &info, sizeof(info)) == sizeof(info))
				begin_to_end(timer_fd);
		}
	}
}
