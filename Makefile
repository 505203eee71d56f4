# The front door. `make` alone lists the wishes; each does its own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export JOBS

define HELP
  make setup        install the Debian packages that are missing, all groups
  make build        build/release, binaries in build/release/bin
  make test         set-up, build, all tests (REQUIRE_ALL=1: a skipped test fails)
  make check        sanitizers, models, static analysis, short fuzzing
  make check-full   the same with longer bounds, for acceptance
endef

.PHONY: help setup build test check check-full clean
help:
	$(info $(HELP))
	@:

setup:
	@packaging/setup.sh build test check

build: | setup-test
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release -j $(JOBS)

test: build
	@tests/check/ctest.sh release -LE '^check$$'

check: build | setup-check
	@tests/check/run.sh quick

check-full: build | setup-check
	@tests/check/run.sh full

clean:
	rm -rf build

# The release preset holds tests, so building needs the test libraries too.
.PHONY: setup-build setup-test setup-check
setup-build:
	@packaging/setup.sh build
setup-test:
	@packaging/setup.sh build test
setup-check:
	@packaging/setup.sh build test check

# What comes with its room.
ifneq ($(wildcard packaging/demo-log/run.sh),)
define HELP +=

  make demo-log     the broker alone: real retail orders, three consumers, two kills, an auditor's report
                    (ORDERS=file.csv for others, SABOTAGE=drop|double|reorder to see it fail)
endef
.PHONY: demo-log
demo-log: | setup-build
	@cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DMALLBOTS_TESTS=OFF -DMALLBOTS_BENCH=OFF --log-level=WARNING
	@cmake --build build/demo -j $(JOBS) --target mallbotsd mallbots
	@BIN=build/demo/bin packaging/demo-log/run.sh
endif
ifneq ($(wildcard packaging/demo/run.sh),)
define HELP +=

  make demo         the mall: 1,000 real invoices through kiosks, robots and staff, and an auditor's report (ORDERS=file.csv, LIMIT=n,
                    MODE=separate, KILLS=1, SABOTAGE=drop|double|reorder|penny|answer to see it fail)
  make up           a mall that stays open, to try: prints the kiosk's page, the staff's page, and how to sign in
  make down, reset  closes it; also removes its data, after asking
endef
.PHONY: demo demo-build up down reset
demo:
	@echo "make demo installs what is missing of the Debian packages of group 'build' in packaging/debian-packages.txt, builds into build/demo"
	@echo "(the first time 20 to 30 minutes on 2 cores), and then opens the mall for 2 to 5 minutes. Ctrl-C ends it at any time."
	@$(MAKE) --no-print-directory demo-build
	@BIN=build/demo/bin packaging/demo/run.sh
demo-build: | setup-build
	@cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DMALLBOTS_TESTS=OFF -DMALLBOTS_BENCH=OFF --log-level=WARNING
	@cmake --build build/demo -j $(JOBS) --target mallbotsd mallbots mall shoppers_program staff_program
up: demo-build
	@packaging/demo/up.sh up
down reset:
	@packaging/demo/up.sh $@
endif
ifneq ($(wildcard bench/run.sh),)
define HELP +=

  make bench        the figures beside the machine's limits (ROW=name for one row)
endef
.PHONY: bench
bench: build
	@bench/run.sh
endif
ifneq ($(wildcard tests/soak/main.cpp),)
define HELP +=

  make soak         everybody killed at random for ten minutes, the history checked (SOAK_SECONDS=600, SEED=number,
                    SABOTAGE=drop|double|swap to see it fail)
endef
.PHONY: soak
soak: build
	@build/release/bin/soak
endif
ifneq ($(wildcard tests/browser/package.json),)
define HELP +=

  make browser      the pages in Chromium, against a mall that is made up, and after `make build` against a real one (some 20 minutes;
                    PICTURES=1: every view and state as PNG in build/browser)
endef
.PHONY: browser
browser:
	@{ command -v npm && command -v chromium-headless-shell; } >/dev/null || packaging/setup.sh browser
	@tests/check/browser.sh full
endif
