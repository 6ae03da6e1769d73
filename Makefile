# make serve | test are the two commands of a new machine; the rest is for who changes the code.
# Wants Debian or Ubuntu with Python >= 3.11 (venv and headers), g++ and make. pip brings the rest.

PYTHON ?= python3
MODEL ?= smollm2-135m
HOST ?= 127.0.0.1
PORT ?= 8000
PYTEST ?=
PEERS ?=

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
NATIVE := CMakeLists.txt $(shell find native -type f)
SOURCES := pyproject.toml $(NATIVE) \
	$(shell find src -type f -not -name '*.so' -not -path '*/__pycache__/*')

.PHONY: help install serve test test-slow check format dev bench bench-peers bench-peers-moe \
	bench-quality bench-learn headline clean

help:
	@echo 'make serve      install, fetch $(MODEL), serve it on http://$(HOST):$(PORT)'
	@echo 'make test       install what the tests need, and pass them (PYTEST="-k name" picks)'
	@echo 'make test-slow  the tests that take minutes'
	@echo 'make check      ruff, mypy, clang-format and the layers'
	@echo 'make bench      this machine'"'"'s limits, and how near farthing comes'
	@echo 'make bench-peers  the same beside llama.cpp and OpenVINO (PEERS=--quick: 6 minutes)'
	@echo 'make bench-peers-moe  random weights of a mixture of experts beside llama.cpp (PEERS=--quick)'
	@echo 'make bench-quality  what quantizing loses, beside llama.cpp'"'"'s quantizer (PEERS=--quick)'
	@echo 'make bench-learn  tokens/s of training, beside transformers'"'"' Trainer (PEERS=--quick)'
	@echo 'make headline   what an answer costs and keeps, beside transformers in bf16 (PEERS=--quick)'
	@echo 'make dev        build the extension in place, for PYTHONPATH=src'
	@echo 'make install    only install, into $(VENV); then ./farthing --help'

install: $(VENV)/.installed

serve: install
	@exec $(VENV)/bin/farthing serve $(MODEL) --host $(HOST) --port $(PORT)

test: $(VENV)/.test
	$(RUN) -m pytest $(PYTEST)

test-slow: $(VENV)/.test
	$(RUN) -m pytest -m slow $(PYTEST)

check: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	find native -name '*.h' -o -name '*.cpp' -o -name '*.inl' | xargs -r $(VENV)/bin/clang-format --dry-run -Werror
	$(RUN) -m pytest tests/test_layers.py

format: $(VENV)/.test
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	find native -name '*.h' -o -name '*.cpp' -o -name '*.inl' | xargs -r $(VENV)/bin/clang-format -i

bench: install
	$(VENV)/bin/farthing bench

# llama.cpp is built for this machine the first time, in .peers/: some ten minutes.
bench-peers: install
	$(RUN) peers/compare.py $(PEERS)

# Writes some 25 GB of random weights the first time, beside the models.
bench-peers-moe: install
	@$(RUN) -c 'import gguf' 2>/dev/null || $(PIP) install '.[gguf]'
	$(RUN) peers/compare_moe.py $(PEERS)

# Some twenty minutes; --quick six. PEERS='--others auto-round llmcompressor' adds those.
bench-quality: install
	@$(RUN) -c 'import gguf' 2>/dev/null || $(PIP) install '.[gguf]'
	$(RUN) peers/quality.py $(PEERS)

# Some twenty minutes, most of them to find what the Trainer is fastest with; --quick five.
bench-learn: $(VENV)/.test
	$(RUN) peers/learn.py $(PEERS)

# transformers and torch are what it races: they come with what the tests need.
headline: $(VENV)/.test
	$(RUN) peers/headline.py $(PEERS)

# The environment, with what pyproject says a build needs (cmake and ninja only if the system
# lacks them). Builds then go without isolation, so that build/ is reused and a second is short.
$(VENV)/.build: pyproject.toml
	@echo 'making $(VENV)'
	@$(PYTHON) .ci/ready.py
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(PIP) install $$($(RUN) -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
	@$(PIP) install $$($(RUN) -c 'from scikit_build_core.build import *; \
	  print(*get_requires_for_build_wheel({}))') pip
	@touch $@

$(VENV)/.installed: $(VENV)/.build $(SOURCES)
	@echo 'installing farthing (the first time builds its kernels: a minute or two)'
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PIP) install --no-build-isolation '.[plot]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.installed
	@echo 'installing what the tests need'
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PIP) install --no-build-isolation '.[plot,test]'
	@touch $@

dev: $(VENV)/.build
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake -S . -B build/dev -G Ninja \
	  -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE="$(CURDIR)/$(RUN)"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build build/dev
	@cmake --install build/dev --prefix src

clean:
	rm -rf build dist $(VENV)
