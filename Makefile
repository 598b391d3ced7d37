# The one front door. Every target works on a fresh clone: tools/setup installs what is missing.
.PHONY: help demo test build bench bench-models bench-operators bench-peers format lint asan tsan aarch64 install clean
.DEFAULT_GOAL := help

JOBS  ?= $(shell nproc)
VENV  := .venv/bin/python
BUILD := build/release
export PATH := $(PATH):/usr/local/go/bin
export CTEST_OUTPUT_ON_FAILURE := 1

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:  ## build, then recognise handwritten digits in the terminal
	@tools/setup demo
	@cmake --preset release -DTENON_BUILD_TESTS=OFF >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS)
	@PYTHONPATH=$(BUILD)/python $(VENV) examples/digits/demo.py
	@$(BUILD)/bin/tenon bench examples/digits/digits.onnx --seconds 2

build:  ## the library, the command line and the Python module, in build/release
	@tools/setup build
	@cmake --preset release -DTENON_BUILD_TESTS=OFF >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS)

test:  ## build and run every test, sanitizers included
	@tools/setup test
	@tools/run_tests $(JOBS)

bench-models:  ## Tenon beside onnxruntime: latency, load time, memory
	@tools/setup bench
	@cmake --preset release -DTENON_BUILD_TESTS=OFF >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS) --target all probe
	@PYTHONPATH=$(BUILD)/python $(VENV) benchmarks/compare.py --json build/bench.json $(BENCH_ARGS)

bench-peers:  ## Tenon beside all other engines, into docs/benchmarks.md; an hour or two, --quick a quarter
	@tools/setup bench-peers
	@cmake --preset release -DTENON_BUILD_TESTS=OFF >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS) --target all probe kernel_benchmarks
	@PYTHONPATH=$(BUILD)/python:benchmarks:tools $(VENV) -m peers $(BENCH_ARGS)

bench-operators:  ## operators one by one beside onnxruntime
	@tools/setup bench
	@cmake --preset release -DTENON_BUILD_TESTS=OFF >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS)
	@PYTHONPATH=$(BUILD)/python $(VENV) benchmarks/operators.py $(BENCH_ARGS)

bench:  ## every kernel alone, beside oneDNN, the plain reference and the machine's peak
	@tools/setup build
	@cmake --preset release >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS) --target kernel_benchmarks
	@for program in $(BUILD)/benchmarks/*_benchmark; do $$program $(BENCH_ARGS) || exit 1; done

asan:  ## the C++ tests under the address and undefined-behaviour sanitizers
	@tools/setup build
	@cmake --preset asan >build/configure-asan.log || { cat build/configure-asan.log; exit 1; }
	@cmake --build build/asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

tsan:  ## the C++ tests under the thread sanitizer, with std::thread instead of OpenMP
	@tools/setup build
	@cmake --preset tsan >build/configure-tsan.log || { cat build/configure-tsan.log; exit 1; }
	@cmake --build build/tsan -j $(JOBS)
	@ctest --preset tsan -j $(JOBS)

aarch64:  ## build for 64-bit Arm and run the C++ tests in an emulator; about twenty minutes
	@tools/setup aarch64
	@cmake --preset aarch64 >build/configure-aarch64.log || { cat build/configure-aarch64.log; exit 1; }
	@cmake --build build/aarch64 -j $(JOBS)
	@ctest --preset aarch64 -j $(JOBS)

format:  ## clang-format the files that differ from the last commit (all of them: make format ALL=1)
	@tools/setup lint
	@tools/format $(if $(ALL),--all)

lint:  ## layer check, clang-format check, clang-tidy, go vet of what differs from the last commit (of everything: make lint ALL=1)
	@tools/setup build
	@tools/setup lint
	@tools/lint $(JOBS)

install: build  ## install into PREFIX (default /usr/local)
	cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

clean:  ## remove build/ (the virtual environment stays)
	rm -rf build
