/* cli_slots.h - what the running Waymark sees of an environment's slots. */
#ifndef PROVIDER_CLI_CLI_SLOTS_H
#define PROVIDER_CLI_CLI_SLOTS_H

#include "provider/cli/cli.h"
#include "reconciler/model/slot_table.h"

/* Asks at the address, as cli_get.  CLI_DONE with facts in the arena, or another exit code after a
 * message: it cannot be reached, or has not seen everything yet. */
enum cli_exit cli_slots_ask(struct arena *a, const char *address, const char *file,
	const char *project, const char *environment, struct slot_facts *ret);

#endif
