#include "provider/cli/cli_progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <uv.h>

#include "provider/cli/cli.h"
#include "reconciler/base/buf.h"

#define COLUMNS_USUAL 80
#define ERASE_LINE "\r\033[K"

static bool shown;

static uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

struct cli_deadline
cli_deadline_in(uint64_t ms)
{
	uint64_t now = now_ms();
	return (struct cli_deadline){now, now + ms};
}

uint64_t
cli_deadline_left_ms(const struct cli_deadline *d)
{
	uint64_t now = now_ms();
	return d->end_ms > now ? d->end_ms - now : 0;
}

/* A line that is wrapped could not be taken back. */
static size_t
columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
		return COLUMNS_USUAL - 1;
	return size.ws_col - 1u;
}

void
cli_progress_show(const char *what, const struct cli_deadline *d)
{
	struct buf line = {0};

	if (!isatty(STDERR_FILENO))
		return;
	buf_addf(&line, "waiting: %s (%llu of %llu s)", what,
		(unsigned long long)(now_ms() - d->began_ms) / 1000,
		(unsigned long long)(d->end_ms - d->began_ms) / 1000);
	if (line.n > columns())
		line.p[columns()] = '\0';
	fputs(ERASE_LINE, stderr);
	cli_print(stderr, line.p);
	fflush(stderr);
	shown = true;
	buf_finish(&line);
}

void
cli_progress_clear(void)
{
	if (!shown)
		return;
	fputs(ERASE_LINE, stderr);
	fflush(stderr);
	shown = false;
}
