# `make run` needs Rust and nothing else. `make help` lists the rest.

.PHONY: help run test test-fuzz bench fuzz lint audit ci

help: ## List what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16

run: ## Run the main job on an embedded store: an administration, its students, their counts; then serve
	rm -rf .roar-demo
	cargo run --release -- demo --data-dir .roar-demo

test: ## Run all tests, on real emulators and with the real Firebase SDKs (needs Java 17, Node 20, the Google Cloud CLI's Firestore emulator)
	scripts/test

test-fuzz: ## Call a server with requests made from its OpenAPI document (needs Python 3, with venv)
	scripts/test-fuzz

bench: ## Run the benchmarks
	cargo bench --locked --bench '*'

fuzz: ## Feed parsers with made-up input, each for a minute (installs cargo-fuzz if it's missing)
	scripts/fuzz

lint: ## Check format, lints, licences and sources of dependencies (needs cargo-deny)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny --locked check bans licenses sources

audit: ## Look for known vulnerabilities in dependencies (fetches the advisory database)
	cargo deny --locked check advisories

ci: ## What continuous integration runs
	.ci/run
