# Thin: every target is tools/course.py, which does the same on Windows without make.
# Flags go in ARGS: make lab ARGS=--port=9999

PYTHON ?= $(shell command -v python3 2>/dev/null || command -v python 2>/dev/null || echo python3)
COURSE = $(PYTHON) tools/course.py

.DEFAULT_GOAL := help
.PHONY: help setup lab test test-browser notebooks exercises bench bench-gpu results lint clean

help:
	@echo "make lab        open the course in JupyterLab (the first time it installs everything into .venv)"
	@echo "make setup      only install"
	@echo "make test       every test and every notebook"
	@echo "make test-browser    the explorers in a real JupyterLab and browser (needs playwright and a Chromium)"
	@echo "make lint       ruff over code and notebooks"
	@echo "make notebooks  run again and normalise the notebooks that changed"
	@echo "make exercises  write exercises/ from solutions/"
	@echo "make bench      time training steps, in parts, with processes, with clips"
	@echo "make bench-gpu  the two records that need a GPU"
	@echo "make results    draw the recorded results into docs/results"
	@echo "make clean      delete caches (not .venv, data/ or runs/)"

setup lab test test-browser lint notebooks exercises bench bench-gpu results:
	@$(COURSE) $@ $(ARGS)

clean:
	rm -rf .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -path ./.venv -prune -o -path ./.git -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
