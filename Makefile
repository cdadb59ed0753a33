# `make demo` and `make test` set up all they need in .venv; Python >= 3.11 and a Rust toolchain must be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find src python -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi')

.PHONY: demo test lint test-rust test-python faults bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/weft demo

test: lint test-rust test-python

lint: $(VENV)/test.stamp
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check python tests benches
	$(BIN)/ruff format --check python tests benches
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest weft._native

test-rust:
	cargo test --locked

test-python: $(VENV)/test.stamp
	$(BIN)/pytest

# Each patch in tests/faults breaks one promise; each must turn a test red.
faults:
	tests/faults/sabotage.sh

bench: $(VENV)/test.stamp
	cargo bench --locked

$(VENV)/demo.stamp: $(SOURCES) | $(VENV)
	$(BIN)/pip install --quiet '.[demo]'
	touch $@

$(VENV)/test.stamp: $(SOURCES) | $(VENV)
	$(BIN)/pip install --quiet '.[test]'
	touch $@

$(VENV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "weft needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) target
