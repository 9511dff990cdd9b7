# Every target calls tools/course.py, which does the same on Windows without make.
# Further flags go into ARGS: make lab ARGS=--port=9999

PYTHON ?= $(shell command -v python3 2>/dev/null || command -v python 2>/dev/null || echo python3)
COURSE = $(PYTHON) tools/course.py

.DEFAULT_GOAL := help
.PHONY: help setup lab test test-browser notebooks exercises bench bench-gpu results slides book lint clean

help:
	@echo "make lab             open the course in JupyterLab (the first time it installs everything into .venv)"
	@echo "make setup           only install"
	@echo "make test            run every test and every notebook"
	@echo "make test-browser    test the explorers in a real JupyterLab and browser (needs playwright and a Chromium)"
	@echo "make lint            run ruff over code and notebooks"
	@echo "make notebooks       run the notebooks whose code changed, and normalise them"
	@echo "make exercises       write exercises/ from solutions/"
	@echo "make bench           time training steps and their parts, several processes, clips"
	@echo "make bench-gpu       make the two measurements that need a GPU"
	@echo "make results         draw the recorded results into docs/results"
	@echo "make slides          write slides of the notebooks into slides/"
	@echo "make book            build the book, a static site of notebooks and package, in book/_build/html"
	@echo "make clean           delete caches (not .venv, data/ or runs/)"

setup lab test test-browser lint notebooks exercises bench bench-gpu results slides book:
	@$(COURSE) $@ $(ARGS)

clean:
	rm -rf .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -path ./.venv -prune -o -path ./.git -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
