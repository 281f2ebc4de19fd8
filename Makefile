# Waymark.  `make` builds it; `make demo` shows it; `make test` tests all of it.
#
# CC=clang and SAN=1 (address, undefined behaviour and leak sanitizers) give builds of their own
# beside each other under build/.

CC = gcc
PREFIX = /usr/local
PKGS = libuv libcurl jansson libmicrohttpd yaml-0.1 nettle zlib libpq
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

VARIANT := $(notdir $(firstword $(CC)))$(if $(SAN),-san)
B := build/$(VARIANT)

WARN = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wwrite-strings -Wformat=2 -Wundef -Wvla -Wpointer-arith
OPT = $(if $(SAN),-O1 -g -fsanitize=address$(comma)undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer,-O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2)
comma := ,
CFLAGS = $(OPT) $(WARN)
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -I. -DWAYMARK_VERSION='"$(VERSION)"' \
	$(shell pkg-config --cflags $(PKGS)) $(CFLAGS) -MMD -MP
LDFLAGS = $(if $(SAN),-fsanitize=address$(comma)undefined)
LDLIBS = $(shell pkg-config --libs $(PKGS)) -linotifytools -lm

# Pure files touch nothing of the world; they are archived alone, and their tests link against this
# archive, jansson and nettle only, so that a stray call to the world fails to link.
PURE_SRC := $(addprefix reconciler/base/,arena.c buf.c err.c utf8.c json.c json_edit.c json_split.c mustache.c) \
	$(wildcard reconciler/model/*.c) \
	$(wildcard reconciler/*_parse.c reconciler/*/*_parse.c) \
	$(wildcard reconciler/*/*_render.c) \
	$(filter-out provider/cli/%,$(wildcard provider/*/*_render.c provider/*/*_check.c)) \
	provider/caddy/caddyfile.c
EDGE_SRC := $(filter-out $(PURE_SRC) provider/cli/main.c,\
	$(wildcard reconciler/*.c reconciler/*/*.c provider/*/*.c))
PURE_OBJ := $(PURE_SRC:%.c=$B/%.o) $B/provider/caddy/site_builtin.o
EDGE_OBJ := $(EDGE_SRC:%.c=$B/%.o) $B/provider/pages/page_builtin.o

# build/waymark is the one built last without sanitizers.
all: $B/waymark
	$(if $(SAN),,@ln -sfn $(VARIANT)/waymark build/waymark)

$B/waymark: $B/provider/cli/main.o $(EDGE_OBJ) $B/pure.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/pure.a: $(PURE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$B/edge.a: $(EDGE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The pages are built in.
PAGES := 503 410
$B/provider/pages/page_builtin.c: $(PAGES:%=templates/pages/%.html) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "provider/pages/page_builtin.h"'; for page in $(PAGES); do \
		echo "const char page_builtin_$$page[] = {"; \
		od -An -v -tu1 templates/pages/$$page.html | sed 's/  */, /g; s/^, //; s/$$/,/'; \
		echo "0};"; \
		echo "const size_t page_builtin_$${page}_size = sizeof(page_builtin_$$page) - 1;"; \
	done; } > $@
$B/provider/pages/page_builtin.o: $B/provider/pages/page_builtin.c
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The template of site files is built in.
SITE_TEMPLATE := templates/site.caddy.mustache
$B/provider/caddy/site_builtin.c: $(SITE_TEMPLATE) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "provider/caddy/site_inside.h"'; \
		echo 'const char site_builtin[] = {'; \
		od -An -v -tu1 $(SITE_TEMPLATE) | sed 's/  */, /g; s/^, //; s/$$/,/'; \
		echo '0};'; } > $@
$B/provider/caddy/site_builtin.o: $B/provider/caddy/site_builtin.c
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Unit tests: test_*.c are pure, edge_*.c use the loop and sockets on loopback.
UNIT := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
EDGE := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/edge_*.c))

$B/tests/test_%: $B/tests/unit/test_%.o $B/pure.a
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson nettle) -lcmocka

$B/tests/edge_%: $B/tests/unit/edge_%.o $B/edge.a $B/pure.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# `make check` runs what needs no server; the rest is `make test`.  One line a suite, and a last one
# that counts them.
HEADERS := $(wildcard reconciler/*.h reconciler/*/*.h provider/*/*.h)
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ:%=$B/tests/replay_%)
PROPERTY_SEQUENCES = 300

check: all $(UNIT) $(EDGE) $(REPLAY) check-headers check-pure
	@tests/check $B $(PROPERTY_SEQUENCES) $(FUZZ)

$B/tests/replay_%: $B/tests/fuzz/fuzz_%.o $B/tests/fuzz/replay.o $B/pure.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson nettle)

# Every header compiles alone.
check-headers: $(HEADERS:%=$B/%.alone)
$B/%.h.alone: %.h
	@mkdir -p $(@D)
	@echo '#include "$<"' | $(CC) $(ALL_CFLAGS) -MF $@.d -MT $@ -fsyntax-only -x c - && touch $@

# What a pure file must not call.
IMPURE = socket|connect|open|openat|read|write|time|clock_gettime|gettimeofday|epoll_.*|uv_.*|curl_.*|MHD_.*|PQ.*|log_write
check-pure: $B/pure.a
	@if nm -u $B/pure.a | grep -wE '$(IMPURE)'; then echo 'a pure file touches the world'; exit 1; fi

# One target under libFuzzer: make fuzz T=labels SECONDS=600
T = labels
SECONDS = 60
fuzz: build/fuzz/fuzz_$T
	@mkdir -p tests/fuzz/$T.crash build/fuzz/$T.found
	build/fuzz/fuzz_$T -max_total_time=$(SECONDS) -timeout=1 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix=tests/fuzz/$T.crash/ build/fuzz/$T.found tests/fuzz/$T.in

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(PURE_SRC) $B/provider/caddy/site_builtin.c
	@mkdir -p $(@D)
	clang -std=c17 -D_GNU_SOURCE -I. $(shell pkg-config --cflags jansson nettle) -g -O1 \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $^ \
		$(shell pkg-config --libs jansson nettle)

FORMATTED = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run -Werror $(FORMATTED)

-include $(shell find $B -name '*.d' 2>/dev/null)

# Tests and demo.  tests/install brings what is missing and is done at once where all is there;
# the recipes build in a make of their own, because pkg-config and headers may have come just now.
demo:
	@tests/install build demo
	@$(MAKE) --no-print-directory all
	@examples/demo

test:
	@tests/install build test
	@$(MAKE) --no-print-directory all bench-programs
	@tests/run

soak:
	@tests/install build test
	@$(MAKE) --no-print-directory all bench-programs
	@WAYMARK_SOAK=1 tests/run

install-deps:
	@tests/install build

# The fake engine and the bench.  Needs: python3; for `make bench` also golang-go, caddy, wrk.
BENCH := tests/bench
BENCH_BASE := $(patsubst %,$B/reconciler/base/%.o,arena buf err utf8)

# The shapes are compiled into the fake engine, which dependency files do not say.
$B/$(BENCH)/fake_render.o: $(wildcard $(BENCH)/shapes/*.json)

$B/fake_engine: $(patsubst %.c,$B/%.o,$(wildcard $(BENCH)/fake_*.c)) $(BENCH_BASE)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libuv jansson)

$B/bench_client: $B/$(BENCH)/bench_client.o $(BENCH_BASE)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs zlib)

$B/bench_backends: $B/$(BENCH)/bench_backends.o $(BENCH_BASE)
	$(CC) $(LDFLAGS) -o $@ $^

$B/bench_baseline: $(BENCH)/baseline/main.go
	GO111MODULE=off go build -o $@ $<

BENCH_PROGRAMS := $B/fake_engine $B/bench_client $B/bench_backends

# BENCH_QUICK=1: under a minute, and only the counts are judged.
bench-programs: $(BENCH_PROGRAMS)
bench: all $(BENCH_PROGRAMS) $B/bench_baseline
	@mkdir -p docs
	WAYMARK_BUILD=$B $(BENCH)/bench.py --json build/bench.json --markdown docs/benchmarks.md

schema: all
	build/waymark check --schema > schema/config.schema.json

install: all
	install -D -m 0755 $B/waymark $(DESTDIR)$(PREFIX)/bin/waymark
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/waymark
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/waymark/templates $(SITE_TEMPLATE) templates/README.md
	sed 's|@PREFIX@|$(PREFIX)|' packaging/waymark.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/waymark.service
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/waymark/pages templates/pages/*
	install -m 0644 README.md docs/registry.md docs/slots.md packaging/waymark.yaml schema/*.schema.json \
		schema/registry.sql $(DESTDIR)$(PREFIX)/share/doc/waymark
	@[ -e $(DESTDIR)/etc/waymark/waymark.yaml ] || \
		install -D -m 0644 packaging/waymark.yaml $(DESTDIR)/etc/waymark/waymark.yaml

clean:
	rm -rf build

.PHONY: all install demo test soak install-deps bench bench-programs schema check check-headers check-pure clean format format-check fuzz
