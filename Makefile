# Davy: `make demo` shows the whole loop on a real Go app, `make test` proves it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
ARCH := $(shell uname -m)
MUSL := $(ARCH)-unknown-linux-musl
export DAVY_CACHE ?= $(HOME)/.cache/davy
export GOTOOLCHAIN ?= local
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
export DAVY_COMMIT ?= $(COMMIT)
export DAVY_BUILD_TIME ?= $(shell git log -1 --format=%cI 2>/dev/null)

.PHONY: help
help: ## what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## watch a good release approved and a bad one rolled back, on a real Go app
	cargo build --locked --release -p davy-agent -p davy-gate -p davy-tests --bin davy-agent --bin davy-gate --bin davy-demo
	$${CARGO_TARGET_DIR:-target}/release/davy-demo

.PHONY: test
test: lint unit apps ## formatting, clippy, unit, property, doc and integration tests

.PHONY: lint
lint: ## rustfmt and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# Properties are tried, and rollouts drawn, from the same seed each time, so that what fails is what
# was changed; `cargo test` by itself draws others.
.PHONY: unit
unit: export PROPTEST_RNG_SEED ?= 1
unit: export DAVY_SEED ?= 1
unit: ## every Rust test
	cargo test --locked --workspace

.PHONY: apps
apps: ## the Go apps' own tests
	cd tests/apps && go vet ./... && go test ./...

# Relative relocations packed (DT_RELR, which musl reads since 1.2.4): a third of a megabyte less.
# Of zstd, the matchers that its fast levels don't use are left out: a fifth of a megabyte.
ZSTD_CFLAGS := $(foreach matcher,GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA,-DZSTD_EXCLUDE_$(matcher)_BLOCK_COMPRESSOR)
.PHONY: build
build: export CFLAGS_$(subst -,_,$(MUSL)) := $(ZSTD_CFLAGS)
build: export CARGO_TARGET_$(shell echo $(MUSL) | tr a-z- A-Z_)_RUSTFLAGS := -Clink-arg=-Wl,-z,pack-relative-relocs
build: musl ## static davy-agent and davy-gate for this machine
	cargo build --locked --release --target $(MUSL) -p davy-agent -p davy-gate
	@ls -l $${CARGO_TARGET_DIR:-target}/$(MUSL)/release/davy-{agent,gate}

.PHONY: musl
musl:
	@rustup target list --installed | grep -q $(MUSL) || rustup target add $(MUSL)
	@command -v musl-gcc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq musl-tools; \
	  else echo "musl-gcc is missing: install the package musl-tools" >&2; exit 1; fi; }

.PHONY: simulate
simulate: RUNS ?= 2000
simulate: ## how often the judge is wrong on simulated rollouts, into tests/record and docs/simulations.md
	cargo build --locked --release -p davy-gate
	@mkdir -p tests/record
	set -o pipefail; gate=$${CARGO_TARGET_DIR:-target}/release/davy-gate; record=tests/record/simulate; \
	started=$$(date +%s); $$gate simulate --runs $(RUNS) --output json > $$record.new && \
	{ printf '{"commit":"%s","machine":{"cpu":"%s","cores":%s,"kernel":"%s"},"command":"%s","seconds":%s,"result":' \
	    "$(COMMIT)" "$$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$$(nproc)" "$$(uname -r)" \
	    "davy-gate simulate --runs $(RUNS) --output json" "$$(( $$(date +%s) - started ))"; \
	  cat $$record.new; printf '}\n'; } > $$record.json && rm $$record.new && \
	$$gate simulate --from $$record.json --output svg > $$record.svg && \
	$$gate simulate --from $$record.json --output markdown > docs/simulations.md && \
	$$gate simulate --from $$record.json --output table > $$record.new && \
	sed -i -e '/^<!-- simulations -->$$/,/^<!-- end -->$$/{//!d}' -e "/^<!-- simulations -->$$/r $$record.new" README.md && \
	rm $$record.new

# Ten instances of one release recorded for AA_MINUTES under load, then a quarter as long beside
# worse ones, and AA_SPLITS random splits of them judged. What was recorded is kept in the cache:
# AA_FLAGS=--again judges it once more.
.PHONY: aa
aa: AA_MINUTES ?= 120
aa: AA_SPLITS ?= 2000
aa: ## how often the judge is wrong on real traffic, into tests/record/aa.json
	cargo build --locked --release -p davy-agent -p davy-gate -p davy-tests --bin davy-agent --bin davy-gate --bin davy-aa
	$${CARGO_TARGET_DIR:-target}/release/davy-aa --minutes $(AA_MINUTES) --splits $(AA_SPLITS) $(AA_FLAGS)

# aarch64 runs under qemu where the machine is another one; the linker is Rust's own, since the judge
# has no C in it.
.PHONY: machines
machines: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER := rust-lld
machines: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER := $(if $(filter aarch64,$(ARCH)),,qemu-aarch64)
machines: ## the same verdicts, bit for bit, on glibc and musl, x86-64 and aarch64 (qemu)
	@rustup -q target add $(MUSL) aarch64-unknown-linux-musl
	@[ $(ARCH) = aarch64 ] || command -v qemu-aarch64 >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq qemu-user; \
	  else echo "qemu-aarch64 is missing: install the package qemu-user" >&2; exit 1; fi; }
	cargo test --locked -p davy-gate-sim --test portable
	cargo test --locked -p davy-gate-sim --test portable --target $(MUSL)
	cargo test --locked -p davy-gate-sim --test portable --target aarch64-unknown-linux-musl
	cargo test --locked -p davy-gate-sim --test portable --release

# What libFuzzer needs to see which code an input reaches; stable rustc has these passes too. Of the
# sanitizers, which it has not, there is none: the tree has no unsafe code.
FUZZ_RUSTFLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
FUZZ_HOST := $(ARCH)-unknown-linux-gnu
FUZZ_PLACES = --programs $${CARGO_TARGET_DIR:-target}/$(FUZZ_HOST)/fuzz --corpora $(DAVY_CACHE)/fuzz $(if $(FUZZ_TARGETS),--targets $(FUZZ_TARGETS))

# Each target for FUZZ_SECONDS of CPU or FUZZ_EXECUTIONS, two at a time, from what earlier runs
# found (in the cache) and the committed seeds. A finding goes into fuzz/seeds, where tests see it.
# Runs of the same code add up in the record. With FUZZ_TARGETS the rows of other targets stay.
.PHONY: fuzz
fuzz: FUZZ_SECONDS ?= 3600
fuzz: FUZZ_EXECUTIONS ?= 100000000
fuzz: fuzz-programs ## every parser and reader under libFuzzer, into tests/record/fuzz.json
	cargo run --locked -p davy-fuzz-run -- run $(FUZZ_PLACES) --seconds $(FUZZ_SECONDS) --executions $(FUZZ_EXECUTIONS) \
	  --record tests/record/fuzz.json \
	  --command 'make fuzz $(if $(FUZZ_TARGETS),FUZZ_TARGETS=$(FUZZ_TARGETS) )FUZZ_SECONDS=$(FUZZ_SECONDS)'

# Replaces fuzz/seeds by what of the found reaches most: at most 40 files and 15 KiB a target.
.PHONY: fuzz-keep
fuzz-keep: fuzz-programs ## commit the few and small inputs that reach most
	cargo run --locked -p davy-fuzz-run -- keep $(FUZZ_PLACES)

.PHONY: fuzz-programs
fuzz-programs: FUZZ_BINS = $(if $(FUZZ_TARGETS),$(patsubst %,--bin fuzz-%,$(subst $(COMMA), ,$(FUZZ_TARGETS))),--bins)
fuzz-programs: COMMA := ,
fuzz-programs:
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing: install the package g++" >&2; exit 1; }
	CARGO_TARGET_$(shell echo $(FUZZ_HOST) | tr a-z- A-Z_)_RUSTFLAGS="$(FUZZ_RUSTFLAGS)" \
	  cargo build --locked --profile fuzz --target $(FUZZ_HOST) -p davy-fuzz --features libfuzzer $(FUZZ_BINS)

.PHONY: bench
bench: build ## benches of every stage, and the agent beside the OpenTelemetry Collector
	cargo bench --locked -p davy-benches
	cargo run --locked --profile bench -p davy-benches --example fleet
	cargo run --locked -p davy-side-by-side

# All four side by side for ten minutes a size of page, then each alone at its limit: 35 minutes.
.PHONY: bench-scrape
bench-scrape: build ## what a scrape costs, beside three others, into tests/record/scrape.json
	cargo run --locked -p davy-scrape-beside -- $(BENCH_FLAGS)

.PHONY: callgrind
callgrind: ## instructions a sample and of a judge's step, as valgrind counts them
	cargo run --locked --profile bench -p davy-benches --example instructions
