#include "provider/status/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_loopback(const struct listen_address *a)
{
	if (a->sa.any.sa_family == AF_INET)
		return ntohl(a->sa.v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->sa.v6.sin6_addr);
}

static int
parse_unix(const char *path, struct listen_address *ret, struct err *reterr)
{
	struct listen_address a = {.len = sizeof(a.sa.un), .local = true};
	if (path[0] != '/')
		return err_set(reterr, EINVAL, "write unix:/path/of/socket, with the whole path");
	if (strlen(path) >= sizeof(a.sa.un.sun_path))
		return err_set(reterr, EINVAL, "the path of a unix socket has at most %zu octets",
			sizeof(a.sa.un.sun_path) - 1);
	a.sa.un.sun_family = AF_UNIX;
	memcpy(a.sa.un.sun_path, path, strlen(path));
	*ret = a;
	return 0;
}

/* In network order; -1 where it is none.  Port 0 is any that is free. */
static int
parse_port(const char *text)
{
	size_t n = strspn(text, "0123456789");
	if (!n || n > 5 || text[n] || atoi(text) > 65535)
		return -1;
	return htons((uint16_t)atoi(text));
}

static bool
parse_host(const char *host, bool bracket, struct listen_address *ret)
{
	*ret = (struct listen_address){0};
	if (bracket && inet_pton(AF_INET6, host, &ret->sa.v6.sin6_addr) == 1) {
		ret->sa.v6.sin6_family = AF_INET6;
		ret->len = sizeof(ret->sa.v6);
		return true;
	}
	if (!bracket && inet_pton(AF_INET, host, &ret->sa.v4.sin_addr) == 1) {
		ret->sa.v4.sin_family = AF_INET;
		ret->len = sizeof(ret->sa.v4);
		return true;
	}
	return false;
}

int
listen_parse(const char *text, struct listen_address *ret, struct err *reterr)
{
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, ret, reterr);

	const char *colon = strrchr(text, ':');
	int port = colon ? parse_port(colon + 1) : -1;
	if (port < 0 || colon == text)
		return err_set(reterr, EINVAL,
			"write address:port, as 127.0.0.1:9180, [::1]:9180 or 0.0.0.0:9180");

	char host[64];
	size_t n = (size_t)(colon - text);
	bool bracket = text[0] == '[' && text[n - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(bracket ? n - 2 : n), text + bracket);
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	if (!parse_host(host, bracket, ret))
		return err_set(
			reterr, EINVAL, "not an address: '%s' (names are not looked up)", host);
	if (bracket)
		ret->sa.v6.sin6_port = (in_port_t)port;
	else
		ret->sa.v4.sin_port = (in_port_t)port;
	ret->local = is_loopback(ret);
	return 0;
}

void
listen_print(const struct sockaddr *sa, bool port, char *ret, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	if (sa && sa->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)sa;
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		snprintf(ret, size, port ? "%s:%u" : "%s", text, ntohs(v4->sin_port));
	} else if (sa && sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)sa;
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		snprintf(ret, size, port ? "[%s]:%u" : "%s", text, ntohs(v6->sin6_port));
	} else {
		snprintf(ret, size, "unix");
	}
}

/* A socket that nobody listens on any more is in the way of the new one. */
static int
unix_clear(const struct listen_address *a, struct err *reterr)
{
	const char *path = a->sa.un.sun_path;
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(reterr, errno, "%s", strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(reterr, EEXIST, "there is something that is not a socket");

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(reterr, errno, "%s", strerror(errno));
	int r = connect(fd, &a->sa.any, a->len);
	int error = r < 0 ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return err_set(reterr, EADDRINUSE, "another program listens there");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(
			reterr, errno, "cannot take the old socket away: %s", strerror(errno));
	return 0;
}

static int
socket_bind(int fd, const struct listen_address *a)
{
	int on = 1;
	if (a->sa.any.sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->sa.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));

	/* The mode has to be right from the first moment. */
	mode_t mask = umask(0117);
	int r = bind(fd, &a->sa.any, a->len);
	int error = errno;
	umask(mask);
	errno = error;
	return r;
}

static void
socket_name(struct listen_socket *s, const struct listen_address *a)
{
	struct listen_address is = {.len = sizeof(is.sa)};
	struct stat st;

	if (a->sa.any.sa_family != AF_UNIX) {
		if (getsockname(s->fd, &is.sa.any, &is.len) == 0)
			listen_print(&is.sa.any, true, s->name, sizeof(s->name));
		return;
	}
	snprintf(s->name, sizeof(s->name), "unix:%s", a->sa.un.sun_path);
	s->path = s->name + strlen("unix:");
	if (stat(s->path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
}

int
listen_open(const struct listen_address *a, struct listen_socket *ret, struct err *reterr)
{
	if (a->sa.any.sa_family == AF_UNIX && unix_clear(a, reterr) < 0)
		return -reterr->code;

	int fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(reterr, errno, "%s", strerror(errno));
	if (socket_bind(fd, a) < 0 || listen(fd, SOMAXCONN) < 0) {
		int r = err_set(reterr, errno, "%s", strerror(errno));
		close(fd);
		return r;
	}
	*ret = (struct listen_socket){.fd = fd, .local = a->local};
	socket_name(ret, a);
	return 0;
}

void
listen_unlink(const struct listen_socket *s)
{
	struct stat st;
	if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
}
