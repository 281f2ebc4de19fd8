/* The commands' way to the running Waymark: one GET of its API. */
#include "provider/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define LAST_RESORT "127.0.0.1:9180"
#define TOKEN_MAX 512
#define GET_TIMEOUT_MS 15000
#define BODY_MAX (64 * 1024 * 1024)

struct request {
	CURL *curl;
	struct curl_slist *headers;
	char *url;
	char *socket; /* NULL: TCP */
	unsigned timeout_ms;
	struct buf body;
};

static size_t
on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct buf *body = arg;
	if (body->n + size * n > BODY_MAX)
		return 0;
	buf_add(body, bytes, size * n);
	return size * n;
}

static bool
begins(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* "unix:/path", "host:port" or a URL, and the path to ask for. */
static void
request_aim(struct request *r, const char *address, const char *path)
{
	struct buf url = {0};
	if (begins(address, "unix:")) {
		const char *socket = address + strlen("unix:");
		r->socket = xstrdup(begins(socket, "//") ? socket + 2 : socket);
		buf_addf(&url, "http://localhost%s", path);
	} else {
		bool whole = begins(address, "http://") || begins(address, "https://");
		size_t n = strlen(address);
		while (n > 0 && address[n - 1] == '/')
			n--;
		buf_addf(&url, "%s%.*s%s", whole ? "" : "http://", (int)n, address, path);
	}
	r->url = buf_steal(&url, NULL);
}

/* The first line of the token's file as a header, where there is a token to send. */
static int
request_authorize(struct request *r, struct err *reterr)
{
	const char *path = getenv("WAYMARK_TOKEN_FILE");
	char token[TOKEN_MAX] = "";
	if (!path || !path[0])
		return 0;
	FILE *f = fopen(path, "re");
	if (!f || !fgets(token, sizeof(token), f)) {
		err_set(reterr, EACCES, "the token's file %s cannot be read: %s", path,
			f ? "it is empty" : strerror(errno));
		if (f)
			fclose(f);
		return -EACCES;
	}
	fclose(f);
	token[strcspn(token, "\r\n")] = '\0';

	struct buf header = {0};
	buf_addf(&header, "Authorization: Bearer %s", token);
	r->headers = curl_slist_append(r->headers, header.p);
	buf_finish(&header);
	return 0;
}

static void
request_set(struct request *r, char *error)
{
	curl_easy_setopt(r->curl, CURLOPT_URL, r->url);
	if (r->socket)
		curl_easy_setopt(r->curl, CURLOPT_UNIX_SOCKET_PATH, r->socket);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, &r->body);
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "waymark/" WAYMARK_VERSION);
}

/* The API's own complaint, {"error":…}: what was asked is wrong, or cannot be told yet. */
static enum cli_exit
judge_refusal(long status, const json_t *json, struct err *reterr)
{
	const char *text = json_string_value(json_object_get(json, "error"));
	if (!text || (status != 400 && status != 503))
		return CLI_UNREACHED;
	err_set(reterr, EINVAL, "%.200s", text);
	return status == 400 ? CLI_USAGE : CLI_NO;
}

/* 200 with JSON is an answer. */
static enum cli_exit
request_judge(struct request *r, const char *address, json_t **ret_json, struct err *reterr)
{
	long status = 0;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 401 || status == 403) {
		err_set(reterr, EACCES,
			"%s wants a token (%ld); name the file of one of role viewer in "
			"WAYMARK_TOKEN_FILE",
			address, status);
		return CLI_USAGE;
	}
	json_error_t error = {.text = "not its API"};
	json_t *json = json_loadb(r->body.p ? r->body.p : "", r->body.n, 0, &error);
	if (json && status == 200) {
		*ret_json = json;
		return CLI_DONE;
	}
	enum cli_exit result = judge_refusal(status, json, reterr);
	json_decref(json);
	if (result == CLI_UNREACHED)
		err_set(reterr, EPROTO, "what answers at %s is no Waymark (%ld: %s)", address,
			status, status == 200 ? error.text : "not its API");
	return result;
}

static enum cli_exit
request_do(struct request *r, const char *address, json_t **ret_json, struct err *reterr)
{
	char error[CURL_ERROR_SIZE] = "";
	int result = request_authorize(r, reterr);
	if (result < 0)
		return CLI_USAGE;
	request_set(r, error);
	CURLcode code = curl_easy_perform(r->curl);
	if (code == CURLE_OK)
		return request_judge(r, address, ret_json, reterr);
	err_set(reterr, ECONNREFUSED,
		"%s cannot be reached: %s; is Waymark running, and does it listen there?", address,
		error[0] ? error : curl_easy_strerror(code));
	return CLI_UNREACHED;
}

/* Where one that listens on every address is reached from here. */
static char *
listen_address(const char *listen)
{
	static const char *const any[][2] = {{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}};
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
		if (begins(listen, any[i][0])) {
			struct buf b = {0};
			buf_addf(&b, "%s%s", any[i][1], listen + strlen(any[i][0]));
			return buf_steal(&b, NULL);
		}
	return xstrdup(listen);
}

char *
cli_address(const char *address, const char *file)
{
	const char *env = getenv("WAYMARK_ADDRESS");
	if (!address && env && env[0])
		address = env;
	if (address)
		return xstrdup(address);

	struct config_errors errors;
	struct config *c = config_load(file, &errors);
	char *found = NULL;
	if (c)
		found = listen_address(c->nlisten > 0 ? c->listen[0] : LAST_RESORT);
	else if (file || (getenv("WAYMARK_CONFIG") && getenv("WAYMARK_CONFIG")[0]))
		config_errors_show(&errors, stderr);
	else
		found = xstrdup(LAST_RESORT);
	config_errors_finish(&errors);
	config_destroy(c);
	return found;
}

enum cli_exit
cli_ask(const char *address, const char *path, unsigned timeout_ms, json_t **ret_json,
	struct err *reterr)
{
	struct request r = {.curl = curl_easy_init(), .timeout_ms = timeout_ms};
	if (!r.curl)
		abort();
	request_aim(&r, address, path);
	enum cli_exit result = request_do(&r, address, ret_json, reterr);
	curl_easy_cleanup(r.curl);
	curl_slist_free_all(r.headers);
	buf_finish(&r.body);
	free(r.url);
	free(r.socket);
	return result;
}

enum cli_exit
cli_get(const char *address, const char *file, const char *path, json_t **ret_json)
{
	struct err e;
	char *aim = cli_address(address, file);
	if (!aim)
		return CLI_USAGE;
	enum cli_exit result = cli_ask(aim, path, GET_TIMEOUT_MS, ret_json, &e);
	if (result != CLI_DONE)
		fprintf(stderr, "waymark: %s\n", e.text);
	free(aim);
	return result;
}
