/* member_inside.h - what the files of a member share while it is read: member.c (who it is),
 * member_hosts.c (which hosts it wants), member_server.c (where it listens) and member_health.c
 * (what says that it is ready).  For nobody else.
 */
#ifndef RECONCILER_MODEL_MEMBER_INSIDE_H
#define RECONCILER_MODEL_MEMBER_INSIDE_H

#include "reconciler/model/member.h"

/* A member while it is being read. */
struct reader {
	const struct settings *settings;
	const struct registrar *registrar;
	const struct registered_project *entry; /* its project's; NULL: not registered */
	const struct registered_deployment *deployment; /* the one it is; NULL: none */
	const struct endpoint *endpoint;
	struct member *m;
	struct arena scratch; /* for what is not kept */
	struct convention_reading reading;
	struct member_host *hosts;
	size_t hosts_cap;
};

/* The field is FIELD_COUNT where none is to blame. */
void reader_complain(struct reader *r, enum problem_code code, enum convention_field f,
	const char *host, const char *what, const char *remedy);
/* NULL where the field was not said. */
const char *reader_value(const struct reader *r, enum convention_field f);

/* Its hosts, for a member that claims any. */
void reader_read_hosts(struct reader *r);
/* Its address, port and URL. */
void reader_read_server(struct reader *r);
/* What it is asked for to see whether it is well; after the server. */
void reader_read_health(struct reader *r);

#endif
