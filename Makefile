# Two commands do it all: `make demo` runs the main job, `make test` passes the tests.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench fuzz clean

# Test builds have the kill points of the crash tests compiled in; the demo and releases do not.
CRASH := --features truc-server/crash-points,truc-folder/crash-points
PROGRAMS := -p truc-server -p truc-folder

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: ## Signed documents cross a province, on a private broker, through a kill -9
	@.ci/install-parts demo
	@cargo build $(PROGRAMS)
	@target/debug/truc demo

test: ## All tests, against a private RabbitMQ, with nothing running beforehand
	@.ci/install-parts test
	cargo build $(PROGRAMS) $(CRASH)
	cargo test --workspace --no-fail-fast $(CRASH)

lint: ## Format check and lints, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(CRASH) -- -D warnings
	@if cargo tree --workspace -i aws-lc-rs >/dev/null 2>&1; then echo 'aws-lc-rs is in the tree: ring is the only crypto provider' >&2; exit 1; fi

format: ## Format the sources
	cargo fmt --all

bench: ## What this machine can carry: the hub under load beside a bare forwarder, the whole matrix
	@.ci/install-parts bench
	cargo build --release -p truc-server
	target/release/truc bench matrix

fuzz: ## Every fuzz target for FUZZ_SECONDS (1800), FUZZ_JOBS at a time; fails on a finding
	@.ci/install-parts fuzz
	@tests/fuzz/run

clean: ## Remove what was built
	cargo clean
