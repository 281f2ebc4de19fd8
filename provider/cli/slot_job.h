/* slot_job.h - one `waymark slot`: what it was given and what it found.  For cmd_slot.c, which
 * decides and writes, slot_print.c, which shows, and slot_wait.c, which waits.  For nobody else. */
#ifndef PROVIDER_CLI_SLOT_JOB_H
#define PROVIDER_CLI_SLOT_JOB_H

#include "provider/cli/cli.h"
#include "provider/cli/cli_slots.h"

#define SLOT_TIMEOUT_USUAL UINT64_MAX

struct slot_job {
	struct arena arena;
	const struct config *config;
	const char *file, *server; /* as given */
	char *address; /* where the running Waymark listens; NULL with --offline */
	const char *project, *environment;
	bool offline, dry_run, as_json;
	bool changed; /* where traffic goes is not known any more: the route follows */
	uint64_t timeout_ms; /* SLOT_TIMEOUT_USUAL: what the command usually waits */

	/* Found. */
	bool whole; /* the registry was seen so */
	struct registered_project *registered; /* NULL: it is not */
	const char *source; /* where it is to be written */
	struct registered_environment e; /* as registered */
	struct cli_slots seen; /* by the running Waymark */
};

/* -- cmd_slot.c -- */

/* Asks the running Waymark how the slots stand.  CLI_DONE with what it sees in j->seen, or another
 * exit code after a message; nothing is asked with --offline. */
enum cli_exit slot_job_ask(struct slot_job *j);

/* -- slot_print.c -- */

/* The host of a slot's own URL; NULL where it has none. */
const char *slot_job_host(struct slot_job *j, const char *slot);
void slot_print_list(struct slot_job *j, const struct registered_environment *e);
/* What was done, or with --dry-run would be. */
void slot_print_change(struct slot_job *j, enum slot_command command, const struct slot_change *c);

/* -- slot_wait.c -- */

/* Until a container is ready, as long as it may take: then j->seen is what allows the request.
 * What the table refuses for good is refused when it is written. */
enum cli_exit slot_wait_ready(struct slot_job *j, const struct slot_request *r);

enum slot_waited {
	WAITED_DONE,
	WAITED_TRAFFIC, /* the slot carries traffic now */
	WAITED_TIMEOUT,
};

/* Until the running Waymark knows the reservation. */
enum slot_waited slot_wait_reserved(struct slot_job *j, const char *slot, const char *id);
/* Until no request can reach a slot whose time is over; with what is still missing in *ret_why. */
enum slot_waited slot_wait_drained(struct slot_job *j, const char *slot, const char **ret_why);

#endif
