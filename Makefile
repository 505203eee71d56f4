# The front door. `make` alone lists the wishes; each does its own set-up.
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+: .*## ' Makefile | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

.PHONY: build
build: ## configure and build the release in build/release, binaries in build/release/bin
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release -j $(JOBS)
