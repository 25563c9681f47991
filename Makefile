# `make audit` and `make test` set up everything they need in .venv; nothing else has to be installed by hand, and after
# that nothing is asked of the network.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OUT := audit-out
PUBLISHED := crows_pairs stereoset winobias bbq weat

.PHONY: audit audit-full test test-slow test-data lint docs bench clean

# Models that come from the package index, on data that ship with auditkit: no network after the installation. A shut
# gate (1) is a finding; any other code stops here.
audit: $(INSTALLED)
	@$(call audits,minilm:examples/audits/minilm.yaml glove:examples/audits/glove.yaml minilm-mlm:audit.yaml smollm2:examples/audits/smollm2.yaml)

# The published benchmarks too, minutes more: each is fetched, and what cannot be had is a line in the report.
audit-full: $(INSTALLED)
	-$(BIN)/auditkit data fetch $(PUBLISHED)
	@$(call audits,full:examples/audits/full.yaml weat:examples/audits/weat.yaml)

define audits
for audit in $(1); do \
  $(BIN)/auditkit run "$${audit#*:}" --out "$(OUT)/$${audit%%:*}"; code=$$?; \
  test $$code -le 1 || exit $$code; \
done
endef

# Three workers for two cores and one thread in each: most tests are too small for two cores, and some only wait, for a
# browser or another process. A file stays together, for what its tests share.
WORKERS := $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(PYTEST) -m "not slow and not data"

test-slow: $(INSTALLED)
	$(PYTEST) -m "slow and not data"

# What only the published data can show: they must be here, in AUDITKIT_DATA or ../shared/data.
test-data: $(INSTALLED)
	$(PYTEST) -m data

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/run.py

$(INSTALLED): pyproject.toml
	@tools/install.sh $(PYTHON)

clean:
	rm -rf .venv $(OUT) dist build
