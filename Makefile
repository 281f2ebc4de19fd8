# Waymark.  `make` builds it; `make demo` shows it; `make test` tests all of it.
#
# CC=clang and SAN=1 (address, undefined behaviour and leak sanitizers) give builds of their own
# beside each other under build/.

CC = gcc
PREFIX = /usr/local
PKGS = libuv libcurl jansson libmicrohttpd yaml-0.1 nettle zlib
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
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm

# Pure files touch nothing of the world; they are archived alone, and their tests link against this
# archive, jansson and nettle only, so that a stray call to the world fails to link.
PURE_SRC := $(addprefix reconciler/base/,arena.c buf.c err.c utf8.c json_split.c) \
	$(wildcard reconciler/model/*.c) \
	$(wildcard reconciler/*_parse.c reconciler/*/*_parse.c) \
	$(wildcard provider/*/*_render.c provider/*/*_check.c)
EDGE_SRC := $(filter-out $(PURE_SRC) provider/cli/main.c,\
	$(wildcard reconciler/base/*.c reconciler/sources/*.c reconciler/*.c provider/*/*.c))
PURE_OBJ := $(PURE_SRC:%.c=$B/%.o)
EDGE_OBJ := $(EDGE_SRC:%.c=$B/%.o)

all: build/waymark

build/waymark: $B/waymark
	@ln -sf $(VARIANT)/waymark $@

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

# Unit tests: test_*.c are pure, edge_*.c use the loop and sockets on loopback.
UNIT := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
EDGE := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/edge_*.c))

$B/tests/test_%: $B/tests/unit/test_%.o $B/pure.a
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson nettle) -lcmocka

$B/tests/edge_%: $B/tests/unit/edge_%.o $B/edge.a $B/pure.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

-include $(shell find $B -name '*.d' 2>/dev/null)

clean:
	rm -rf build

.PHONY: all clean
