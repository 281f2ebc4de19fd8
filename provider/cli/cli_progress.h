/* cli_progress.h - how far a command is that waits: one line on the terminal, rewritten in place.
 *
 * Nothing at all where standard error is no terminal.
 */
#ifndef PROVIDER_CLI_CLI_PROGRESS_H
#define PROVIDER_CLI_CLI_PROGRESS_H

#include <stdint.h>

/* A deadline that nobody moves by setting the clock. */
struct cli_deadline {
	uint64_t began_ms, end_ms;
};

struct cli_deadline cli_deadline_in(uint64_t ms);
/* How long is left; 0: it has passed. */
uint64_t cli_deadline_left_ms(const struct cli_deadline *d);

/* "waiting: WHAT (12 of 60 s)".  The text may be an outsider's. */
void cli_progress_show(const char *what, const struct cli_deadline *d);
/* Takes the line away, before anything else is printed. */
void cli_progress_clear(void);

#endif
