# lead_qualify
#
#	make test			everything, from a bare machine: see scripts/test.sh
#	make demo			a sample CRM and the main job: see scripts/demo.sh
#	make bench			what things cost: see scripts/bench.sh
#
#	make && sudo make install	against the server of $(PG_CONFIG)
#	make installcheck		SQL, isolation and TAP tests against a running one
#	make test-regress | test-isolation | test-tap | test-laws | test-real
#					one layer of them
#
# WERROR=1 turns warnings into errors.

EXTENSION = lead_qualify
MODULE_big = lead_qualify

# the sources are beside this file, wherever make was called from
top := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
from_top = $(patsubst $(top)/%,%,$(wildcard $(top)/$(1)))

# the control file is the only place that states the version
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" \
	$(top)/$(EXTENSION).control 2>/dev/null)

OBJS = $(patsubst %.c,%.o,$(sort $(call from_top,src/*.c)))
DATA = $(sort $(call from_top,sql/$(EXTENSION)--*.sql))

PG_CPPFLAGS = -I$(srcdir)/src -DLQ_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers $(if $(WERROR),-Werror)

# Bitcode for the JIT compiler needs the very clang the server was built with,
# and there is nothing here to inline: only on demand (make with_llvm=yes).
ifeq ($(origin with_llvm),undefined)
override with_llvm := no
endif

# sanity first: when the catalog is wrong, the rest is noise
all_tests := $(sort $(filter-out $(EXTENSION)--%,\
	$(patsubst sql/%.sql,%,$(call from_top,sql/*.sql))))
REGRESS = $(filter sanity,$(all_tests)) $(filter-out sanity,$(all_tests))

ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,\
	$(call from_top,test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation

TAP_TESTS = 1
PROVE_TESTS ?= test/t/*.pl

# Layers beyond PGXS: each is a script that uses the server that PGHOST and
# PGPORT name, and prints "ok" or "not ok" lines.
.PHONY: test demo bench test-regress test-isolation test-tap test-laws test-real

test:
	@$(top)/scripts/test.sh

demo:
	@$(top)/scripts/demo.sh

bench:
	@$(top)/scripts/bench.sh

test-regress:
	$(MAKE) installcheck ISOLATION= TAP_TESTS=

test-isolation:
	$(MAKE) installcheck REGRESS= TAP_TESTS=

test-tap:
	$(MAKE) installcheck REGRESS= ISOLATION=

test-laws test-real: test-%:
	@if test -x $(top)/test/$*/run; then $(top)/test/$*/run; \
	else echo "1..0 # SKIP there is no test/$*/run"; fi

# "make test", "make demo" and "make bench" must work where there is no pg_config yet
ifneq ($(filter-out test demo bench,$(or $(MAKECMDGOALS),all)),)
.DEFAULT_GOAL := all
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(call from_top,src/*.h)
endif
