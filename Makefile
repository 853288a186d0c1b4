# make run [PORT=8501]    start Eidoscope and open it in the browser
# make test               the fast tests, with one short browser journey where Chromium is present
# make check              lint, format, types, import rules
# make e2e                all browser journeys; installs Chromium where it can
# make bench [ONLY=name]  benchmarks, see benchmarks/README.md
# make embedded           train the embedded model again from its settings
# make clean              remove caches and benchmark environments

PORT ?= 8501
JOBS ?= 2
ONLY ?=
ARGS ?=

PYTHON := .venv/bin/python
RUNTIME := .venv/.installed
DEV := .venv/.installed-dev
# One thread per test process: two of them fill two cores, and sums keep their order.
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(PYTHON) -m pytest

.PHONY: run test check e2e bench embedded clean
.DELETE_ON_ERROR:

run: $(RUNTIME)
	@echo "Eidoscope: http://127.0.0.1:$(PORT)   (Ctrl+C stops it)"
	@exec $(PYTHON) -m streamlit run app.py --server.address 127.0.0.1 --server.port "$(PORT)" \
		--server.fileWatcherType none --server.showEmailPrompt false \
		--browser.gatherUsageStats false

test: $(DEV)
	@$(PYTEST) -n $(JOBS) --dist loadfile $(ARGS)

check: $(DEV)
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .
	@$(PYTHON) -m mypy --no-error-summary
	@$(PYTEST) -q tests/contracts

e2e: $(DEV)
	@sh tools/setup.sh chromium
	@EIDOSCOPE_E2E_MUST_RUN=1 $(PYTEST) -m "e2e or journey" tests/e2e $(ARGS)

bench: $(DEV)
	@$(PYTHON) -m benchmarks.run $(ONLY) $(ARGS)

embedded: $(RUNTIME)
	@$(PYTHON) -m tools.embedded all

clean:
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .bench-venvs build tests/e2e/shots
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

$(RUNTIME): requirements.txt constraints.txt tools/setup.sh
	@sh tools/setup.sh requirements.txt
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt
	@sh tools/setup.sh requirements.txt requirements-dev.txt
	@touch $@
