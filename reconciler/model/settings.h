/* settings.h - what the operator decided, as far as the model needs it.
 *
 * A value, made by the configuration and never changed while it is in use.  Pure.
 */
#ifndef RECONCILER_MODEL_SETTINGS_H
#define RECONCILER_MODEL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

struct convention; /* convention.h */

/* clang-format off */
/* Names that a browser, a mail program, a certificate authority or a visitor expects the domain's
 * owner behind: no branch and no label may take them. */
#define SETTINGS_RESERVED(X)                                                                       \
	X("abuse") X("admin") X("api") X("autoconfig") X("autodiscover") X("dns") X("ftp")         \
	X("hostmaster") X("imap") X("isatap") X("localhost") X("mail") X("mta-sts") X("mx")        \
	X("ns") X("ns1") X("ns2") X("ns3") X("ns4") X("openpgpkey") X("pop") X("pop3")             \
	X("postmaster") X("root") X("security") X("smtp") X("status") X("traefik") X("waymark")    \
	X("webmail") X("webmaster") X("wpad") X("www")
/* clang-format on */

struct settings_url {
	const char *environment;
	const char *template;
};

/* Which URL template an environment gets; the order is the one of the configuration's `urls`. */
struct settings_urls {
	const char *production;
	const char *staging;
	const char *preview;
	const char *slot;
	const char *service;
	size_t nothers; /* further environments that the operator named */
	const struct settings_url *others;
};

struct settings_engine {
	const char *name;
	const char *host; /* unix:///…, tcp://…, https://… */
	const char *ca_file, *cert_file, *key_file;
	const char *network; /* NULL: the fixed order */
	bool published; /* reach: published */
	const char *address; /* with published: where the ports answer */
};

struct settings_static {
	const char *host; /* canonical */
	size_t nupstreams; /* 0: the name only resolves */
	const char *const *upstreams; /* "http://10.0.0.5:8000" */
	size_t naddresses;
	const char *const *addresses;
};

struct settings_tls_domain {
	const char *main;
	size_t nsans;
	const char *const *sans;
};

struct settings_traefik {
	const char *name; /* the output's, for logs and the API */
	size_t nhttp;
	const char *const *http; /* entry points; at least one */
	size_t nhttps; /* 0: no TLS routers */
	const char *const *https;
	bool redirect;
	const char *resolver; /* NULL: none */
	size_t ndomains;
	const struct settings_tls_domain *domains;
	const char *default_cert_file; /* as Traefik sees it; NULL: none */
	const char *default_key_file;
	const char *push; /* Traefik's API address for PUT /api/providers/rest; NULL: no push */
	const char *api; /* Traefik's API address, to read back what it runs; NULL: not asked */
	bool aside; /* it is served, and counts for nothing: there is a Caddy, and no word of it */
};

/* A Caddy that sites are written for. */
struct settings_caddy {
	const char *name; /* the output's, for logs and the API */
	const char *sites; /* the directory of site files */
	const char *caddyfile; /* the main one, which imports them */
	const char *admin; /* as httpc_target: "unix:///run/caddy/admin.sock", "http://localhost:2019" */
	const char *template; /* a template's text; NULL: the built-in one */
	bool tls; /* false: sites are written as http://HOST */
	bool write; /* write: always; false: only watched */
	uint32_t reload_share; /* of Caddy's time that may go into reloads, in percent */
	uint32_t stream_close_delay_ms; /* 0: not said, for Caddy knows it from 2.7 on */
};

/* What happens when the active slot has no ready container, and the one in grace has. */
enum settings_rollback {
	ROLLBACK_NONE,
	ROLLBACK_ROUTE, /* the route goes there until the next promote */
	ROLLBACK_RECORD, /* and the registry is told */
};

/* What stands before previews and slots' own URLs. */
struct settings_preview {
	bool noindex;
	size_t nusers; /* 0: everybody gets in */
	const char *const *users; /* "name:hash", as htpasswd writes it */
	size_t nallow; /* 0: from everywhere */
	const char *const *allow; /* canonical networks, "10.0.0.0/8" */
};

enum settings_dialect { DIALECT_AUTO, DIALECT_WAYMARK, DIALECT_CODEB };

/* Where projects are registered; neither directory nor postgres: nowhere. */
struct settings_registry {
	const char *directory; /* NULL: none */
	enum settings_dialect dialect; /* of the directory's files */
	bool postgres;
	const char *url; /* "postgres://user@host/db", or libpq's keywords; secret */
	const char *password_file; /* NULL: what the URL says, or none */
	const char *sql; /* one query whose rows are deployments; NULL: Waymark's own tables */
	const char *channel; /* to LISTEN on, beside Waymark's own; NULL: none */
	uint32_t poll_ms; /* how often somebody's tables are read where nothing notifies */
	bool mvp; /* without Waymark's tables and sql: read the MVP backend's */
	bool ignore_unregistered; /* unregistered: ignore */
	uint32_t shrink_after_ms; /* how long a loss of more than half is doubted */
};

struct settings {
	struct arena arena;
	const char *base_domain; /* canonical */
	bool any_domain; /* allowed_domains is absent: labels may claim any host */
	size_t nallowed;
	const char *const *allowed_domains; /* canonical */
	size_t nreserved;
	const char *const *reserved; /* labels directly under base_domain */
	struct settings_urls urls;
	size_t nconventions; /* in the order of `platforms` */
	const struct convention *const *conventions;
	size_t nengines;
	const struct settings_engine *engines;
	size_t nstatics;
	const struct settings_static *statics;
	struct settings_registry registry;
	uint64_t grace_ms; /* slots.grace: a grace period that does not say its end */
	uint32_t drain_ms; /* slots.drain: how long what left the registry still serves, and how long
			      requests in flight may take */
	enum settings_rollback auto_rollback;
	bool auto_cleanup; /* a slot whose grace period has ended is set empty in the registry */
	bool probe; /* probe.default: connect */
	uint32_t probe_interval_ms;
	uint32_t probe_timeout_ms;
	uint32_t probe_rise; /* answers in a row until ready */
	uint32_t probe_fall; /* failures in a row until not */
	uint32_t probe_rate; /* attempts begun in a second, at most */
	struct settings_preview preview;
	const char *pages_url; /* where proxies get pages for what nothing serves; NULL: no pages */
	uint32_t hold_ms; /* how long a claim outlives its last container: 60 s */
	struct settings_traefik traefik;
	const struct settings_caddy *caddy; /* NULL: none */
};

/* All defaults of the manual, with the built-in conventions; base_domain is "localhost". */
struct settings *settings_create(void);
void settings_destroy(struct settings *s);

/* Is there a registry at all? */
bool settings_has_registry(const struct settings *s);

/* NULL where the name is unknown. */
const struct settings_engine *settings_engine_find(const struct settings *s, const char *name);

/* Is the host one that no branch and no label gets: base_domain itself, or a reserved label
 * directly under it? */
bool settings_reserves(const struct settings *s, const char *host);

/* May any convention look at this label?  Others are not kept. */
bool settings_wants_label(const struct settings *s, const char *name);

#endif
