#include "provider/pages/page_files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "provider/pages/page_builtin.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

static const struct {
	const char *name;
	const char *text;
	const size_t *n;
} files[PAGE_KINDS] = {
	[PAGE_503] = {"503.html", page_builtin_503, &page_builtin_503_size},
	[PAGE_410] = {"410.html", page_builtin_410, &page_builtin_410_size},
};

static void
page_set(struct page *pages[PAGE_KINDS], size_t kind, struct page *p)
{
	page_destroy(pages[kind]);
	pages[kind] = p;
}

static void
take_builtin(struct page *pages[PAGE_KINDS], size_t kind)
{
	struct page_fault fault;
	struct page *p = page_create(files[kind].text, *files[kind].n, &fault);
	assert(p);
	page_set(pages, kind, p);
}

/* At most one octet more than a page may have.  A pipe must not keep us waiting. */
static ssize_t
read_regular(int fd, char *text, struct err *reterr)
{
	struct stat st;
	size_t n = 0;
	ssize_t r = 1;

	if (fstat(fd, &st) < 0)
		return err_set(reterr, errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(reterr, EINVAL, "it is not a file");
	while (r > 0 && n <= PAGE_SIZE_MAX) {
		r = read(fd, text + n, PAGE_SIZE_MAX + 1 - n);
		if (r < 0 && errno != EINTR)
			return err_set(reterr, errno, "%s", strerror(errno));
		n += r > 0 ? (size_t)r : 0;
		r = r < 0 ? 1 : r;
	}
	return (ssize_t)n;
}

static ssize_t
read_file(const char *path, char *text, struct err *reterr)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set(reterr, errno, "%s", strerror(errno));
	ssize_t n = read_regular(fd, text, reterr);
	close(fd);
	return n;
}

static void
take_file(const char *directory, size_t kind, struct page *pages[PAGE_KINDS], char *text,
	struct config_errors *errors)
{
	struct page_fault fault;
	struct err e;
	struct page *p;

	char *path = arena_printf(&errors->arena, "%s/%s", directory, files[kind].name);
	ssize_t n = read_file(path, text, &e);
	if (n == -ENOENT)
		take_builtin(pages, kind);
	else if (n < 0)
		config_errors_add(errors, path, 0, "",
			arena_printf(&errors->arena, "cannot be read: %s", e.text),
			"let the user that Waymark runs as read it, or take it away");
	else if ((p = page_create(text, (size_t)n, &fault)))
		page_set(pages, kind, p);
	else
		config_errors_add(errors, path, fault.line, "", fault.what, fault.remedy);
}

static bool
is_directory(const char *path, struct config_errors *errors)
{
	struct stat st;
	const char *what = stat(path, &st) < 0    ? strerror(errno)
			   : !S_ISDIR(st.st_mode) ? "it is not a directory"
						  : NULL;
	if (what)
		config_errors_add(errors, path, 0, "pages.directory", what,
			"name a directory that is there, or leave pages.directory out");
	return !what;
}

void
page_files_read(const char *directory, struct page *pages[PAGE_KINDS], struct config_errors *errors)
{
	if (directory && !is_directory(directory, errors))
		return;
	char *text = directory ? xmalloc(PAGE_SIZE_MAX + 1) : NULL;
	for (size_t i = 0; i < PAGE_KINDS; i++) {
		if (directory)
			take_file(directory, i, pages, text, errors);
		else
			take_builtin(pages, i);
	}
	free(text);
}
