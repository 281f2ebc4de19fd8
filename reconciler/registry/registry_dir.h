/* registry_dir.h - the registry directory as a source: ssot.json, slots.json, slots/.
 *
 * inotify rings, on the directory and on every directory that leads to it and to its files, so that
 * a rename, a swapped symbolic link and a directory made anew are all seen; then the files are read
 * whole, in libuv's pool.  A slow periodic look repairs what happened behind our back (a remote
 * file system, an overflow).  A file that does not parse is read again for a second before it
 * counts as broken, for it may be half written; then the last good one stays in force.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_DIR_H
#define RECONCILER_REGISTRY_REGISTRY_DIR_H

#include <uv.h>

#include "reconciler/registry/registry.h"

#define REGISTRY_DIR_NAME "registry.directory"

/* Never fails: an absent directory is a source that is not ready yet.  settings (of which it uses
 * registry and slots) and sink's arg must outlive it. */
struct registry *registry_dir_create(
	uv_loop_t *loop, const struct settings *settings, const struct registry_sink *sink);

#endif
