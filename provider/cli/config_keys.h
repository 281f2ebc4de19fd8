/* config_keys.h - every key of the configuration, in one table.
 *
 * The decoder, `waymark check`, the JSON Schema (`waymark check --schema`), the environment
 * variables and the manual's table (`waymark help keys`) come from it.  A row is
 *
 *	X(path, shape, type, default, argument, help)
 *
 * where "[]" in a path stands for an element of a list and "*" for a name of the operator's.  A key
 * without either can be set as WAYMARK_ and its path in capitals, '_' for '.', a list with commas:
 * probe.default is WAYMARK_PROBE_DEFAULT.  A default of NULL: there is none, and the help says what
 * that means.  What the argument means depends on the type.
 */
#ifndef PROVIDER_CLI_CONFIG_KEYS_H
#define PROVIDER_CLI_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"
#include "reconciler/model/settings.h"

#define RESERVED_AND_COMMA(name) name ","

/* clang-format off */
#define CONFIG_KEYS(X) \
X("listen", MANY, LISTEN, "127.0.0.1:9180", NULL, \
	"Where Waymark listens: host:port or unix:/path, one or a list; others than " \
	"loopback and unix need tokens.") \
X("base_domain", ONE, HOST, "localhost", NULL, \
	"The domain that hosts are made under; BASE_DOMAIN counts where this is not given.") \
X("allowed_domains", MANY, HOST, NULL, NULL, \
	"Domains that labels and projects may have hosts under, besides base_domain; where " \
	"this is not given: any without a registry, none with one.") \
X("reserved", MANY, LABEL, SETTINGS_RESERVED(RESERVED_AND_COMMA), NULL, \
	"Names directly under base_domain that no branch and no label gets.") \
X("static", SECTION, NONE, NULL, NULL, \
	"Routes to what is no container here, by host.") \
X("static.*", SECTION, NONE, NULL, NULL, \
	"A host of its own.") \
X("static.*.upstreams", MANY, UPSTREAM, NULL, NULL, \
	"Where its requests go: http://, https:// or h2c://, a host or address, and a " \
	"port (80 or 443 where none is given).") \
X("static.*.address", MANY, ADDRESS, NULL, NULL, \
	"Addresses that the name has where it only resolves, and is not routed.") \
X("state_dir", ONE, FILE, "/var/lib/waymark", NULL, \
	"Where observations and the ledger are kept for restarts.") \
X("platforms", MANY, PLATFORM, "codi,codeb,compose,traefik,waymark", NULL, \
	"Conventions by which containers are recognised, the first that fits wins; one's " \
	"own come first where this is not given.") \
X("conventions", SECTION, NONE, NULL, NULL, \
	"Conventions of one's own, by name.") \
X("conventions.traefik", LATER, NONE, NULL, NULL, \
	"How containers without traefik.* labels are taken under the platform traefik.") \
X("conventions.*", SECTION, NONE, NULL, NULL, \
	"A convention: what it recognises, and where it finds each field.") \
X("conventions.*.recognise", SECTION, NONE, NULL, NULL, \
	"Conditions on labels: `name`, `name=value`, `!name` or `!name=value`; * in a " \
	"name stands for any text.") \
X("conventions.*.recognise.all", MANY, CONDITION, NULL, NULL, \
	"All of these hold,") \
X("conventions.*.recognise.any", MANY, CONDITION, NULL, NULL, \
	"and at least one of these, where there are any.") \
X("conventions.*.codi_branches", ONE, BOOL, "false", NULL, \
	"Branches get the host labels that Codi gives them.") \
X("conventions.*.fields", SECTION, NONE, NULL, NULL, \
	"For each field the places that may say it, the first that does wins; the names " \
	"are those of the waymark.* labels.") \
X("conventions.*.fields.*", MANY, PLACE, NULL, NULL, \
	"A label's name, or label:NAME, name:PATTERN over the container's name such as " \
	"name:{project}-pr-{branch}, or value:TEXT.") \
X("conventions.*.fields.*[].from", ONE, PLACE, NULL, NULL, \
	"The place, where there is a condition on it.") \
X("conventions.*.fields.*[].when", ONE, CONDITION, NULL, NULL, \
	"The condition.") \
X("log", SECTION, NONE, NULL, NULL, \
	"What Waymark writes to standard error.") \
X("log.format", ONE, WORD, "text", "text|json|journal", \
	"text, json, or journal for systemd.") \
X("log.level", ONE, WORD, "info", "error|warn|info|debug", \
	"The least that is written.") \
X("engines", SECTIONS, NONE, NULL, NULL, \
	"Docker and Podman; where none is given: DOCKER_HOST, else " \
	"unix:///var/run/docker.sock, as local.") \
X("engines[].name", ONE, NAME, NULL, NULL, \
	"Its name in logs, problems and the API.") \
X("engines[].host", ONE, ENDPOINT, NULL, NULL, \
	"Where it listens: unix:///path, tcp://host:port or https://host:port.") \
X("engines[].network", ONE, NAME, NULL, NULL, \
	"Which address of a container on several networks is used; where not given, a " \
	"fixed order.") \
X("engines[].reach", ONE, WORD, "network", "network|published", \
	"How proxies reach its containers: by their address in a network, or by published " \
	"ports.") \
X("engines[].address", ONE, SERVER, NULL, NULL, \
	"With reach: published, the host or address on which the ports are published.") \
X("engines[].ca_file", ONE, FILE, NULL, NULL, \
	"With https: the certificates that its certificate is checked against.") \
X("engines[].cert_file", ONE, FILE, NULL, NULL, \
	"With https: Waymark's own certificate.") \
X("engines[].key_file", ONE, FILE, NULL, NULL, \
	"With https: the key of cert_file.") \
X("registry", SECTION, NONE, NULL, NULL, \
	"Where projects and slots are registered; relative paths start where this file is.") \
X("registry.directory", ONE, FILE, NULL, NULL, \
	"The directory of ssot.json and slots.json; mount the directory, never a file.") \
X("registry.dialect", ONE, WORD, "auto", "auto|waymark|codeb", \
	"Who writes its files: with codeb an environment's port is the published one, and " \
	"the container's is 3000; auto tells it by what is in them.") \
X("registry.unregistered", ONE, WORD, "route", "route|ignore", \
	"Containers of projects that are not registered: route or ignore.") \
X("registry.shrink_after", ONE, DURATION, "30s", "0s-1h", \
	"How long a registry that lost more than half of its projects or slots is doubted.") \
X("registry.postgres", SECTION, NONE, NULL, NULL, \
	"PostgreSQL as a registry: being here, even empty, switches it on; so does " \
	"DATABASE_URL with the platform mvp.") \
X("registry.postgres.url", ONE, DATABASE, NULL, NULL, \
	"postgres://USER@HOST:PORT/DATABASE, or libpq's keywords; where neither this nor " \
	"url_file is given: DATABASE_URL.") \
X("registry.postgres.url_file", ONE, FILE, NULL, NULL, \
	"A file that holds the url, where the url has a password in it.") \
X("registry.postgres.password_file", ONE, FILE, NULL, NULL, \
	"A file that holds the password.") \
X("registry.postgres.sql", ONE, TEXT, NULL, NULL, \
	"One query whose rows are deployments; where not given: Waymark's own tables, with " \
	"the platform mvp else the MVP backend's.") \
X("registry.postgres.sql_file", ONE, FILE, NULL, NULL, \
	"A file that holds the query.") \
X("registry.postgres.channel", ONE, CHANNEL, NULL, NULL, \
	"A channel to LISTEN on, which the database notifies when the query's answer " \
	"changes.") \
X("registry.postgres.interval", ONE, DURATION, "1s", "100ms-1h", \
	"How often is asked where nothing notifies.") \
X("urls", SECTION, NONE, NULL, NULL, \
	"Host names by environment; {project}, {environment} and {base} may stand in each.") \
X("urls.production", ONE, TEMPLATE, "{project}.{base}", "project", \
	"The host of production.") \
X("urls.staging", ONE, TEMPLATE, "{project}-staging.{base}", "project", \
	"The host of staging.") \
X("urls.preview", ONE, TEMPLATE, "{project}-preview-{branch}.{base}", "project,branch", \
	"The host of a branch.") \
X("urls.slot", ONE, TEMPLATE, "{project}-{environment}-{slot}.{base}", "project,slot", \
	"The host of a slot, beside the one of its environment.") \
X("urls.service", ONE, TEMPLATE, "{project}-{service}.{base}", "project,service", \
	"The host of a compose service.") \
X("urls.*", ONE, TEMPLATE, NULL, "project", \
	"The host of another environment; {project}-{environment}.{base} where not given.") \
X("tokens", SECTIONS, NONE, NULL, NULL, \
	"Who may ask on addresses that are not loopback or a unix socket.") \
X("tokens[].name", ONE, NAME, NULL, NULL, \
	"Its name in logs.") \
X("tokens[].role", ONE, WORD, NULL, "viewer|provider", \
	"viewer for page and API, provider for /traefik and metrics.") \
X("tokens[].sha256", ONE, SHA256, NULL, NULL, \
	"The token's SHA-256 in hexadecimal: printf %s TOKEN | sha256sum.") \
X("probe", SECTION, NONE, NULL, NULL, \
	"How Waymark finds out whether a container is ready that has no health check.") \
X("probe.default", ONE, WORD, "connect", "connect|none", \
	"connect to its port, or none: what runs is ready.") \
X("probe.interval", ONE, DURATION, "5s", "100ms-1h", \
	"How often a container that is ready is tried again.") \
X("probe.timeout", ONE, DURATION, "2s", "10ms-1m", \
	"How long one attempt may take.") \
X("probe.rise", ONE, NUMBER, "1", "1-100", \
	"Answers in a row by which a container becomes ready.") \
X("probe.fall", ONE, NUMBER, "2", "1-100", \
	"Failures in a row by which one that was ready is ready no more.") \
X("probe.rate", ONE, NUMBER, "2000", "1-100000", \
	"How many attempts are begun in a second, at most.") \
X("slots", SECTION, NONE, NULL, NULL, \
	"Blue and green slots.") \
X("slots.grace", ONE, DURATION, "48h", "0s-365d", \
	"How long a grace period is that does not say its end.") \
X("slots.drain", ONE, DURATION, "30s", "0s-1h", \
	"How long a project that the registry no longer has is still served.") \
X("slots.auto_rollback", ONE, WORD, "none", "none|route|record", \
	"Where the active slot has no ready container and the one in grace has: leave it so, " \
	"route there until the next promote, or write that to the registry as well.") \
X("slots.cleanup", ONE, WORD, "manual", "manual|auto", \
	"What happens to a slot whose grace period has ended: it is shown, or set empty in " \
	"the registry.") \
X("preview", SECTION, NONE, NULL, NULL, \
	"Who may see previews and slots by their own URLs.") \
X("preview.noindex", ONE, BOOL, "true", NULL, \
	"Search engines are told to leave them out (X-Robots-Tag).") \
X("preview.basic_auth_file", ONE, FILE, NULL, NULL, \
	"A file of users as htpasswd -B writes it, who alone get in; where not given: all.") \
X("preview.allow", MANY, NETWORK, NULL, NULL, \
	"Networks that alone get in, such as 10.0.0.0/8; where not given: all.") \
X("traefik", OUTPUT, NONE, NULL, NULL, \
	"Traefik: one mapping, or a list of mappings with names.") \
X("traefik.name", ONE, NAME, "traefik", NULL, \
	"The output's name in logs and the API.") \
X("traefik.http", MANY, NAME, "web", NULL, \
	"Entry points for http.") \
X("traefik.https", MANY, NAME, NULL, NULL, \
	"Entry points for https; where not given there are no TLS routers.") \
X("traefik.redirect", ONE, BOOL, "true", NULL, \
	"Redirect http to https (308), where https is given.") \
X("traefik.tls", SECTION, NONE, NULL, NULL, \
	"Certificates of the TLS routers.") \
X("traefik.tls.resolver", ONE, NAME, NULL, NULL, \
	"The certificate resolver of Traefik's that gets them.") \
X("traefik.tls.domains", SECTIONS, NONE, NULL, NULL, \
	"Certificates to get instead of one for each host.") \
X("traefik.tls.domains[].main", ONE, DOMAIN, NULL, NULL, \
	"The certificate's first name; *.example.com is allowed.") \
X("traefik.tls.domains[].sans", MANY, DOMAIN, NULL, NULL, \
	"Its further names.") \
X("traefik.tls.default_certificate", SECTION, NONE, NULL, NULL, \
	"The certificate for hosts that have no other.") \
X("traefik.tls.default_certificate.cert_file", ONE, FILE, NULL, NULL, \
	"Its file, as Traefik sees it.") \
X("traefik.tls.default_certificate.key_file", ONE, FILE, NULL, NULL, \
	"Its key's file, as Traefik sees it.") \
X("traefik.push", ONE, ENDPOINT, NULL, NULL, \
	"Traefik's API, such as http://127.0.0.1:8080, to bring it each document by PUT " \
	"(providers.rest).") \
X("traefik.api", ONE, ENDPOINT, NULL, NULL, \
	"Traefik's API, such as http://127.0.0.1:8080, to read back what it runs; where not " \
	"given, a poll and 2.5 s stand for that.") \
X("caddy", OUTPUT, NONE, NULL, NULL, \
	"Caddy: being here switches it on; one mapping, or a list of mappings with names.") \
X("caddy.name", ONE, NAME, "caddy", NULL, \
	"The output's name in logs and the API.") \
X("caddy.sites", ONE, FILE, "/etc/caddy/sites", NULL, \
	"The directory of site files; relative paths start where this file is.") \
X("caddy.caddyfile", ONE, FILE, "/etc/caddy/Caddyfile", NULL, \
	"The main Caddyfile, which has to import SITES/*.caddy.") \
X("caddy.admin", ONE, ADMIN, "localhost:2019", NULL, \
	"Caddy's admin endpoint in Caddy's own words: localhost:2019 or " \
	"unix//run/caddy/admin.sock.") \
X("caddy.template", ONE, FILE, NULL, NULL, \
	"A template of one's own for site files; where not given: the built-in one.") \
X("caddy.tls", ONE, BOOL, "true", NULL, \
	"Sites have certificates; false: they are written as http://HOST.") \
X("caddy.write", ONE, WORD, "always", "always|never", \
	"never: another program writes the sites, and they are only watched.") \
X("caddy.reload_share", ONE, NUMBER, "20", "1-100", \
	"The part of Caddy's time, in percent, that may go into reloads.") \
X("caddy.stream_close_delay", ONE, DURATION, "0s", "0s-24h", \
	"How long WebSockets outlive a reload; Caddy 2.7 and later, 0s leaves it out.") \
X("powerdns", LATER, NONE, NULL, NULL, \
	"PowerDNS.") \
X("pages", SECTION, NONE, NULL, NULL, \
	"Pages for hosts that nothing serves: being here switches them on.") \
X("pages.listen", ONE, LISTEN, "127.0.0.1:9181", NULL, \
	"Where they are served, to everybody.") \
X("pages.url", ONE, UPSTREAM, NULL, NULL, \
	"That as the proxies see it; where not given: http:// and pages.listen.") \
X("pages.directory", ONE, FILE, NULL, NULL, \
	"A directory of one's own 503.html and 410.html; where not given: built-in ones.")
/* clang-format on */

enum config_shape {
	CONFIG_SECTION, /* a mapping */
	CONFIG_SECTIONS, /* a list of mappings */
	CONFIG_OUTPUT, /* a mapping, or a list of one */
	CONFIG_ONE, /* a value */
	CONFIG_MANY, /* a list of values, or one */
	CONFIG_LATER, /* known, and not in force in this version */
};

enum config_type {
	CONFIG_NONE,
	CONFIG_ADDRESS,
	CONFIG_ADMIN, /* Caddy's network address; canonical: as httpc_target */
	CONFIG_BOOL,
	CONFIG_CHANNEL, /* of PostgreSQL's NOTIFY */
	CONFIG_CONDITION,
	CONFIG_DATABASE, /* as database_url_check; no message shows it */
	CONFIG_DOMAIN, /* a host, or one with "*." before it */
	CONFIG_DURATION, /* argument: the least and the most, "100ms-1h"; canonical: milliseconds */
	CONFIG_ENDPOINT, /* as httpc_target */
	CONFIG_FILE,
	CONFIG_HOST,
	CONFIG_LABEL, /* of a host name */
	CONFIG_LISTEN,
	CONFIG_NAME, /* of engines, networks, entry points */
	CONFIG_NETWORK, /* an address, or one with its prefix's length */
	CONFIG_NUMBER, /* argument: the least and the most, "1-100" */
	CONFIG_PLACE,
	CONFIG_PLATFORM,
	CONFIG_SERVER, /* a host or an address */
	CONFIG_SHA256,
	CONFIG_TEMPLATE, /* argument: the placeholders it needs, "project,branch" */
	CONFIG_TEXT, /* any, but not blank */
	CONFIG_UPSTREAM,
	CONFIG_WORD, /* argument: the words, "network|published" */
	CONFIG_TYPE_COUNT
};

struct config_key {
	const char *path;
	enum config_shape shape;
	enum config_type type;
	const char *fallback; /* as text, a list with commas */
	const char *argument;
	const char *help;
};

/* The table, in the manual's order. */
const struct config_key *config_keys(size_t *ret_n);

/* The key of that name in a section: the one that is spelt so, else the one of "*".  parent is NULL
 * for the top.  NULL where the section has none. */
const struct config_key *config_key_child(const struct config_key *parent, const char *name);
/* Is it a key of that section?  *ret_name is the last part of its path then. */
bool config_key_is_child(
	const struct config_key *parent, const struct config_key *key, const char **ret_name);

/* The environment variable of a key, in the arena; NULL where it has none. */
const char *config_key_env(struct arena *a, const struct config_key *key);

/* Reads a value: its canonical text, in the arena. */
int config_type_parse(struct arena *a, const struct config_key *key, const char *text,
	const char **ret, struct err *reterr);
/* What to write instead, for a message. */
const char *config_type_remedy(struct arena *a, const struct config_key *key);
/* A regular expression for editors, which is no narrower than what is accepted; NULL: any. */
const char *config_type_pattern(enum config_type type);

/* The manual's table, as text. */
struct buf;
void config_keys_print(struct buf *b);
/* The JSON Schema. */
void config_schema_print(struct buf *b);

#endif
