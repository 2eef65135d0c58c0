# The two things to do on a fresh machine are `make demo` and `make test`.
.PHONY: help demo test fuzz clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## install the reader, read the sample films, write an HTML report
	@scripts/setup.sh base
	@scripts/demo.sh

test: ## install everything the tests need, then lint, types and tests
	@scripts/setup.sh test
	@scripts/check.sh

fuzz: ## after make test: read 100,000 broken films, keep what came of them (half an hour)
	@.venv/bin/python scripts/fuzz.py --films 100000 --json docs/results/fuzz.json

clean: ## remove what the two above made, the environment included
	rm -rf .venv demo-out build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
