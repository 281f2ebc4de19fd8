/* listen.h - the sockets that the server listens on. */
#ifndef PROVIDER_STATUS_LISTEN_H
#define PROVIDER_STATUS_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "reconciler/base/err.h"

struct listen_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} sa;
	socklen_t len;
	bool local; /* loopback or a unix socket: nobody from elsewhere comes that way */
};

struct listen_socket {
	int fd;
	bool local;
	char name[128]; /* where it really listens: "127.0.0.1:43121", "unix:/run/x.sock" */
	const char *path; /* a unix socket's file, in name; NULL for TCP */
	dev_t dev;
	ino_t ino;
};

/* "127.0.0.1:9180", "[::1]:9180", "0.0.0.0:9180", "localhost:9180", "unix:/run/waymark/http.sock";
 * other names are not looked up.  0 or -EINVAL. */
int listen_parse(const char *text, struct listen_address *ret, struct err *reterr);

/* Binds and listens.  A unix socket has mode 0660 and replaces one that nobody listens on. */
int listen_open(const struct listen_address *a, struct listen_socket *ret, struct err *reterr);

/* Takes the file of a unix socket away, if it is this one's still.  The descriptor stays. */
void listen_unlink(const struct listen_socket *s);

/* "127.0.0.1" or, with its port, "127.0.0.1:9180"; "unix" for anything else and NULL. */
void listen_print(const struct sockaddr *sa, bool port, char *ret, size_t size);

#endif
