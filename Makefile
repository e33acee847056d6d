# make demo and make test need Python 3.11 or newer and nothing else: they set up .venv themselves.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check check-code check-deploy screenshots site bench bench-peers interop soak sbom release bundle test-image lock clean
SHELL := /bin/sh

PYTHON ?=
SECONDS ?=
MINUTES ?= 60
ARGS ?=
BASE ?=
ARCH ?=
export PYTHON
# compiled once, not at every start of every agent that a test starts: that was a third of its CPU
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PAGE := $(shell find agent/web/page -type f) deploy/page.py
PYTEST_ARGS ?= -n 6 --dist worksteal

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

$(VENV)/.demo.stamp: deploy/lock/demo.txt pyproject.toml .ci/setup
	@[ -e $(VENV)/.test.stamp ] || .ci/setup demo
	@[ ! -e $(VENV)/.test.stamp ] || $(MAKE) --no-print-directory $(VENV)/.test.stamp
	@touch $@

$(VENV)/.test.stamp: deploy/lock/test.txt pyproject.toml .ci/setup
	@.ci/setup test
	@touch $@

# what is bundled is never committed
$(VENV)/.page.stamp: $(PAGE) | $(VENV)/.demo.stamp
	@$(BIN)/python deploy/page.py --lenient
	@touch $@

setup: $(VENV)/.test.stamp $(VENV)/.page.stamp ## .venv with all that tests and checks need

demo: $(VENV)/.demo.stamp $(VENV)/.page.stamp ## broker, simulated plant, agent and a live view; SECONDS=20 ends by itself
	@$(BIN)/edge-agent demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

test: $(VENV)/.test.stamp $(VENV)/.page.stamp ## all tests; ARGS="tests/unit -k outbox" chooses
	@.ci/tools chromium=chromium mosquitto=mosquitto faketime=faketime mbpoll=mbpoll socat=socat gcc=gcc \
	    /usr/lib/postgresql=postgresql \
	    /usr/include/stdio.h=libc6-dev /usr/include/modbus/modbus.h=libmodbus-dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS) $(ARGS)

check: check-code check-deploy ## lint, types, floors, deployment files

check-code: $(VENV)/.test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python deploy/page.py check

check-deploy: $(VENV)/.test.stamp
	@.ci/tools systemd-analyze=systemd promtool=prometheus
	@.ci/check-deploy

screenshots: $(VENV)/.test.stamp $(VENV)/.page.stamp ## docs/images: the page in light, dark and Chinese; a terminal
	@.ci/tools chromium=chromium mosquitto=mosquitto /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc=fonts-noto-cjk
	@$(BIN)/python -m tests.page.screenshots

build/site/.stamp: deploy/lock/docs.txt
	@$$(.ci/python) -m venv --clear build/site
	@build/site/bin/pip install -q --disable-pip-version-check --require-hashes -r deploy/lock/docs.txt
	@touch $@

site: build/site/.stamp ## site/: the documentation with navigation and search; a dead link fails
	@NO_MKDOCS_2_WARNING=1 build/site/bin/mkdocs build --strict --config-file deploy/site/mkdocs.yml
	@echo "site: $(CURDIR)/site/index.html (with its search: python3 -m http.server -d site)"

interop: $(VENV)/.test.stamp ## OPC UA servers nobody here wrote, every security and user, 10,000 nodes; ARGS="o6" chooses
	@$(BIN)/python -m tests.interop $(ARGS)

bench: $(VENV)/.test.stamp ## benchmarks: printed, never asserted; ARGS="outbox" chooses; BASE=rev compares with that commit
	@.ci/tools mosquitto=mosquitto gcc=gcc /usr/include/stdio.h=libc6-dev /usr/include/modbus/modbus.h=libmodbus-dev
	@$(BIN)/python -m tests.bench$(if $(BASE),.compare $(BASE)) $(ARGS)

# each with what its connectors would install by themselves when they are first used
build/peers/.stamp:
	@PYTHON=$$(.ci/python); for peer in "thingsboard-gateway==3.8.5 pymodbus==3.9.2 pyserial pyserial-asyncio asyncua==1.1.5" "modpoll==1.6.0"; do \
	    $$PYTHON -m venv --clear build/peers/$${peer%%==*} && build/peers/$${peer%%==*}/bin/pip install -q --disable-pip-version-check $$peer || exit 1; done
	@touch $@

bench-peers: $(VENV)/.test.stamp build/peers/.stamp ## the agent beside thingsboard-gateway and modpoll in one run; ARGS="opcua" chooses
	@.ci/tools mosquitto=mosquitto gcc=gcc /usr/include/stdio.h=libc6-dev /usr/include/modbus/modbus.h=libmodbus-dev
	@$(BIN)/python -m tests.bench.peers build/peers $(ARGS)

soak: export EDGE_SOAK := 1
# Python 3.11 may crash while it writes down where everything stands, and many of these take longer than that bound
soak: export PYTEST_ADDOPTS := -o faulthandler_timeout=0
soak: $(VENV)/.test.stamp ## kills and power cuts by the hundred, bad weather, bent bytes, then MINUTES=60 of Modbus faults and the demo with its audit
	@EDGE_AGENT_KILLS=200 EDGE_WRITER_KILLS=2000 EDGE_POWER_CUTS=30 EDGE_OUTAGE_SECONDS=60 \
	    $(BIN)/python -m pytest -q -o log_cli=true tests/faults/outbox tests/faults/power
	@$(BIN)/python -m pytest -q -m soak
	@EDGE_HISTORIAN_KILLS=200 EDGE_HISTORIAN_TAGS=125 $(BIN)/python -m pytest -q -o log_cli=true tests/faults/historian/test_kills.py
	@EDGE_WEATHER_SECONDS=120 $(BIN)/python -m pytest -q -o log_cli=true tests/faults/northbound/test_weather.py
	@TOPOLOGY_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/unit/runtime/test_topology.py
	@RELOAD_PAIRS=200 $(BIN)/python -m pytest -q tests/faults/reload/test_pairs.py --timeout=1200
	@FUZZ_SECONDS=$$(( $(MINUTES) * 2 )) FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest -q -p no:xdist -s \
	    --timeout 1800 -o faulthandler_timeout=0 tests/field/hostile/test_streams.py tests/field/hostile/test_login_fuzz.py
	@SOAK_SECONDS=$$(( $(MINUTES) * 12 )) $(BIN)/python -m pytest -q tests/faults/modbus/test_soak.py
	@$(BIN)/edge-agent demo --seconds $$(( $(MINUTES) * 48 )) $(ARGS)

sbom: ## dist/edge-agent.cdx.json (CycloneDX, from the lock file) and dist/NOTICES (licences of others)
	@mkdir -p dist
	@PYTHON=$$(.ci/python); $$PYTHON deploy/sbom.py > dist/edge-agent.cdx.json
	@$(BIN)/python deploy/notices.py > dist/NOTICES

release: $(VENV)/.test.stamp $(VENV)/.page.stamp ## dist/release of the tag here: wheel, sdist, bundle, image, SBOM, licences, checksums
	@.ci/release

bundle: $(VENV)/.test.stamp $(VENV)/.page.stamp ## dist/edge-agent-….tar.gz for gateways without internet: wheels with hashes, image, docs, install.sh
	@.ci/bundle

test-image: $(VENV)/.test.stamp $(VENV)/.page.stamp ## the container image built, run and held to its promises, as root; MINUTES=30 of kills and cuts too; ARCH=arm64
	@MINUTES=$(if $(filter command line environment,$(origin MINUTES)),$(MINUTES),0) ARCH="$(ARCH)" .ci/test-image

lock: ## write deploy/lock anew from pyproject.toml; UPGRADE=1 takes newer versions
	@PYTHON=$$(.ci/python) .ci/lock

clean: ## remove what make made
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find agent tests -name __pycache__ -prune -exec rm -rf {} +
