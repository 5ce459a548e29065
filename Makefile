# Every target uses .venv; `make .venv` makes it. `make check` is the whole check, as CI runs it.
.PHONY: fast test lint check
# Tests start many processes: without cached bytecode each of them compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

fast: .venv
	.venv/bin/python -m pytest -q -m "not slow"

test: .venv
	.venv/bin/python -m pytest -q

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

check:
	bash .ci/run

.venv:
	python3 -m venv .venv
	.venv/bin/pip install -q -r requirements-dev.lock -e .
