/* registry_files.h - one look at the files of a registry directory.
 *
 * Runs in libuv's pool, for a disk may be slow and a file large: which directories have to be
 * watched so that nothing happens to the files unnoticed, and what is in those files that may have
 * changed.  It blocks on nothing that stands in a file's place (a FIFO, a device) and reads no more
 * than a bounded size.  It touches nothing but the look itself.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_FILES_H
#define RECONCILER_REGISTRY_REGISTRY_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"
#include "reconciler/registry/registry_parse.h"
#include "reconciler/base/watcher.h"

/* Of slots/: files, and bytes of one and of all. */
#define REGISTRY_OWN_FILES_MAX 20000
#define REGISTRY_OWN_FILE_MAX (256 * 1024)
#define REGISTRY_OWN_BYTES_MAX (64 * 1024 * 1024)

/* What a watch of the look rings for. */
enum registry_tag {
	REGISTRY_SSOT = 1,
	REGISTRY_SLOTS = 2,
	REGISTRY_OWN = 4, /* slots/ */
	REGISTRY_ALL = 7,
};

/* Which file, in which state of its content. */
struct registry_file_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
	bool sure; /* a later change would show: the last one is not too young */
	uint8_t sha256[32]; /* of the text that was read */
};

enum registry_file_state {
	FILE_ABSENT,
	FILE_SAME, /* as it was when it was last read */
	FILE_WHOLE,
	FILE_BROKEN, /* the reading says why, in its one fault */
};

struct registry_file {
	const char *name; /* "ssot.json", "slots/blog-production.json" */
	const char *path; /* with the directory as it is configured */
	enum registry_tag tag;
	enum registry_file_state state;
	struct registry_file_id id; /* not with FILE_ABSENT */
	struct registry_reading *reading; /* with FILE_WHOLE and FILE_BROKEN; the taker sets NULL */
};

struct registry_look {
	/* Given. */
	const char *directory;
	enum settings_dialect dialect;
	uint64_t grace_ms;
	unsigned force; /* tags of ssot.json and slots.json: read even if they look the same */
	/* What was last read; NULL where nothing was. */
	const struct registry_file_id *(*known)(const void *arg, const char *name);
	const void *known_arg;

	/* Found. */
	struct arena arena; /* for all but readings */
	size_t nwatches;
	struct watch *watches;
	bool remote; /* a file system that other machines change, without inotify hearing of it */
	struct registry_reading *missing; /* the directory cannot be used, by its one fault; then
					     there are no files */
	struct registry_file main[2]; /* ssot.json, slots.json */
	size_t nown; /* of slots/, sorted by name */
	struct registry_file *own;
	struct registry_reading *own_trouble; /* slots/ cannot be read; what it had stays */
};

/* In the pool: from the given to the found. */
void registry_look_run(struct registry_look *l);
/* Gives back what it found. */
void registry_look_finish(struct registry_look *l);

#endif
