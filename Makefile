# SPDX-License-Identifier: Apache-2.0
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
Q := $(if $(V),,@)

PYTHON := .venv/bin/python
KERNELS ?= all
ARCH ?=
FUZZ_SECONDS ?= 600
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Without sudo the command itself says which privileges it lacks.
SUDO := $(if $(filter-out 0,$(shell id -u)),$(if $(shell command -v sudo),sudo env PATH="$(PATH)"))
export V
SOURCES := $(wildcard bpf/*) build.py setup.py pyproject.toml $(wildcard src/container_oomkill/*/*.[ch] src/container_oomkill/*/*/*.[ch])
CLANG_FORMATTED := bpf/*.[ch] src/container_oomkill/libbpf/*.[ch] src/container_oomkill/system/*.[ch] tests/support/*/*.c
# These need container engines, a browser or much time, and have targets of their own.
APART := --ignore tests/runtimes --ignore tests/images --ignore tests/browser --ignore tests/chaos \
	--ignore tests/cluster --ignore tests/prometheus --ignore tests/packages --ignore tests/collector \
	--ignore tests/release

.PHONY: help run demo docs build wheel clean bench bench-gate bench-ratios bench-scale chaos soak node-kills causes shapes lint format dashboard fuzz reproducible \
	image push up down test test-unit coverage test-browser test-prometheus test-otlp test-runtimes test-images \
	test-kernels test-releases test-cluster packages krew test-packages version release \
	wheels push-chart test-release

help: ## Show this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-15s %s\n' "$$name" "$$text"; done

run: build ## Watch this machine, serve metrics on port 9262 (installs what it needs); ARGS: the exporter's options
	$(Q)$(SUDO) .venv/bin/container-oomkill exporter $(ARGS)

demo: build ## Provoke one kill in a 32 MiB cgroup and show its record
	$(Q)$(SUDO) $(PYTHON) -m tests.support.kernel.demo

test: .venv/dev ## Run the unit tests, and real kills on this kernel and, in a guest, on the oldest and newest
	$(Q)$(SUDO) tools/kubernetes-tools.sh
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider $(APART)
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix --kernels quick --plain

test-unit: .venv/dev ## Run the tests that need no root, in seconds; show the slowest ones and the total time
	$(Q)tools/kubernetes-tools.sh
	$(Q)$(PYTHON) -m pytest --ignore tests/kernel --durations 5 --durations-min 1 $(APART)

coverage: .venv/dev ## Print the unit tests' line coverage; fails below 80 % for commands, probe and doctor
	$(Q).venv/bin/coverage erase
	$(Q).venv/bin/coverage run -m pytest -q --ignore tests/kernel $(APART)
	$(Q).venv/bin/coverage combine -q
	$(Q).venv/bin/coverage report
	$(Q).venv/bin/coverage report --fail-under=80 --format=total --include='*/cli/*,*/probe/*,*/doctor/*'

test-browser: .venv/dev ## Test the pages in headless Chromium, with real kills; screenshots go to build/
	$(Q)tools/system-packages.sh browser
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider tests/browser

test-prometheus: .venv/dev ## Test metrics and alerts with the distribution's Prometheus, a current one (built by Go) and Alertmanager
	$(Q)tools/prometheus-tools.sh
	$(Q)$(SUDO) env XDG_CACHE_HOME="$${XDG_CACHE_HOME:-$$HOME/.cache}" $(PYTHON) -m pytest -p no:cacheprovider tests/prometheus

test-otlp: .venv/dev ## Test OTLP with a real OpenTelemetry Collector and a real Loki (built by Go, once: ten minutes or more)
	$(Q)tools/collector-tools.sh
	$(Q)$(PYTHON) -m pytest -p no:cacheprovider tests/collector

test-runtimes: .venv/dev ## Test container names with real Docker, Podman and containerd (installs them, starts no service)
	$(Q)tools/system-packages.sh runtimes
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider tests/runtimes

test-images: .venv/dev ## Test the images in a Docker started for the test; ARCH=arm64: built and run under emulation
	$(Q)tools/system-packages.sh runtimes
	$(Q)$(if $(ARCH),tools/system-packages.sh $(ARCH)-guests)
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider -rP tests/images$(if $(ARCH),/foreign.py)

test-kernels: .venv/dev ## Test on every kernel of tests/vm/kernels.toml, each hook forced; ARCH=arm64: its kernels
	$(Q)$(if $(ARCH),tools/system-packages.sh $(ARCH)-guests)
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix $(if $(ARCH),--arch $(ARCH)) --kernels $(KERNELS) \
		$(if $(PUBLISH),--publish)

docs: .venv/built ## Build the documentation as a site into build/docs; a link that leads nowhere is an error
	$(Q).venv/bin/pip install -q --no-build-isolation -e '.[docs]'
	$(Q).venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site docs build/docs
	$(Q)echo "file://$(CURDIR)/build/docs/index.html"

fuzz: .venv/dev ## Fuzz what takes foreign input for FUZZ_SECONDS (600) in all, by coverage; a fault's input is in build/fuzz
	$(Q).venv/bin/pip install -q --no-build-isolation -e '.[fuzz]'
	$(Q)$(PYTHON) -m tests.fuzz --seconds $(FUZZ_SECONDS)

test-releases: .venv/dev ## Build the wheel, record a kill, run the unit tests: libbpf 1.1 to the newest, Python 3.11 to 3.14
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.releases

test-cluster: .venv/dev ## Test in a real Kubernetes, oldest and newest: on this machine and in a guest with cgroup v2
	$(Q)tools/system-packages.sh cluster
	$(Q)$(SUDO) tools/kubernetes-tools.sh
	$(Q)$(SUDO) $(PYTHON) -m tests.cluster $(if $(VERSIONS),--versions $(VERSIONS))

chaos: .venv/dev ## Kill readers, fill disks and rings, run a node out of memory; print the numbers
	$(Q)$(SUDO) $(PYTHON) -m pytest -q -p no:cacheprovider tests/chaos
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix --kernels 6.12 --plain --hooks fentry --timeout 3600 \
		--tests tests/chaos --out build/chaos/matrix.json
	$(Q)sed -n '/^=.* numbers =/,/^=.* passed/p' build/chaos/vm/6.12/log

soak: .venv/dev ## Every attack at once for ten minutes, at the memory limit that is shipped; print the numbers
	$(Q)$(SUDO) $(PYTHON) -m tests.chaos.soak

node-kills: .venv/dev ## Run a guest's node out of memory twenty times: who is named, and whether all adds up
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix --kernels 5.10.223,7.3 --plain --hooks fentry \
		--tests tests/kernel/test_node_kills.py --out build/node-kills/matrix.json -- --node-kills 20 -rP

causes: .venv/dev ## Show who sends SIGKILL on four kernels by each hook, and write the table of docs/exit-137.md
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix --kernels 5.10.223,6.1,6.12,7.3 --plain \
		--tests tests/kernel/test_causes.py --out build/causes/matrix.json
	$(Q)$(PYTHON) -m tests.vm.causes build/causes/matrix.json

shapes: .venv/dev ## Provoke a hundred scripted kills here and on each kernel with a flight recorder; write docs/shapes.md
	$(Q)rm -rf build/shapes && mkdir -p build/shapes/vm/here
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider tests/kernel/test_many_shapes.py \
		--shapes 100 -rP --results build/shapes/vm/here/results
	$(Q)$(SUDO) $(PYTHON) -m tests.vm.matrix --kernels 6.1,6.12,6.18,7.3 --plain --hooks fentry \
		--tests tests/kernel/test_many_shapes.py --out build/shapes/matrix.json -- --shapes 100 -rP
	$(Q)$(PYTHON) -m tests.vm.shapes_page build/shapes/vm/*/shapes-*.json

lint: .venv/dev ## Check style and types; compile the BPF object with every clang for every architecture
	$(Q).venv/bin/ruff check .
	$(Q).venv/bin/ruff format --check .
	$(Q).venv/bin/mypy
	$(Q)clang-format --dry-run -Werror $(CLANG_FORMATTED)
	$(Q)$(PYTHON) -m tests.vm.compilers

dashboard: .venv/dev ## Write deploy/grafana from deploy/mixin
	$(Q)tools/kubernetes-tools.sh
	$(Q)tools/dashboard.sh

format: .venv/dev ## Format Python and C
	$(Q).venv/bin/ruff check --fix .
	$(Q).venv/bin/ruff format .
	$(Q)clang-format -i $(CLANG_FORMATTED)

build: .venv/built ## Build into .venv/bin/container-oomkill

wheel: .venv/package ## Build dist/*.whl, with libbpf, libseccomp and libxcrypt inside
	$(Q)rm -rf build/wheel build/lib.* build/temp.* build/bdist.* dist/container_oomkill-*.whl
	$(Q)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 0)} \
		$(PYTHON) -m pip wheel -q --no-deps --no-build-isolation -w build/wheel .
	$(Q)$(PYTHON) -m auditwheel repair -w dist build/wheel/*.whl

wheels: .venv/package ## Build dist/*.whl for x86-64 and arm64 and every glibc from 2.28 on, with a compiler from PyPI
	$(Q)tools/system-packages.sh wheels
	$(Q)tools/wheel/build.sh x86_64 aarch64

packages: ## Build dist/*.deb and dist/*.rpm of the wheel (nfpm, by Go)
	$(Q)tools/nfpm.sh >/dev/null # without Go all else would be in vain
	$(Q)$(MAKE) wheel
	$(Q)tools/packages.sh

krew: wheel ## Build what `kubectl krew install` takes, and its manifest, into dist/: URL=https://HOST/PATH
	$(Q)URL=$(URL) tools/krew.sh

test-packages: packages ## Install them in fresh roots of Debian 12 and 13 and record a real kill there
	$(Q)tools/system-packages.sh packages
	$(Q)$(SUDO) env PATH="$(PATH)" $(PYTHON) -m pytest -p no:cacheprovider tests/packages

version: ## Cut a version: write it wherever one stands, and into the changelog: VERSION=0.1.0
	$(Q)python3 tools/version.py $(or $(VERSION),$(error which: make version VERSION=0.1.0)) $$(date -u +%Y-%m-%d)

release: .venv/package ## Make all of a release but its images in dist/, publish nothing: VERSION=0.1.0
	$(Q)tools/system-packages.sh wheels
	$(Q)tools/release.sh $(or $(VERSION),$(error which: make release VERSION=0.1.0))

push-chart: ## Push the chart in dist/ to a registry, as an OCI artifact: REGISTRY=HOST/PATH
	$(Q)REGISTRY=$(REGISTRY) tools/push-chart.sh

test-release: .venv/dev ## Make a release twice; install it in roots of an older Debian and of arm64, from a local index and registry
	$(Q)tools/system-packages.sh wheels
	$(Q)tools/system-packages.sh packages
	$(Q)$(if $(filter x86_64,$(shell uname -m)),tools/system-packages.sh arm64-guests)
	$(Q)$(SUDO) env PATH="$(PATH)" $(PYTHON) -m pytest -p no:cacheprovider -rP tests/release

reproducible: .venv/dev ## Build the wheel and the images twice, elsewhere and at other times; fail unless they are the same
	$(Q)tools/reproducible.sh
	$(Q)tools/system-packages.sh runtimes
	$(Q)$(SUDO) $(PYTHON) -m pytest -q -p no:cacheprovider tests/images/test_contents.py -k the_same_again

image: ## Build the images, print their sizes, write their SBOMs to dist/
	$(Q)tools/image.sh build

push: image ## Push them, tagged with version and commit: REGISTRY=HOST/PATH
	$(Q)REGISTRY=$(REGISTRY) tools/image.sh push

up: ## Start exporter, Prometheus, Grafana and a memory hog: http://localhost:3000
	$(Q)docker image inspect container-oomkill-exporter >/dev/null 2>&1 || $(MAKE) image
	$(Q)docker compose up -d --no-build
	$(Q)echo "open http://localhost:3000 (Grafana: admin, admin) or http://localhost:9262 (what was killed)"
	$(Q)echo "or: docker compose exec exporter container-oomkill show; a kill comes every half minute"

down: ## Stop them
	$(Q)docker compose down --volumes

bench-gate: .venv/dev ## Count what a change must not make worse: verifier steps, call paths, imports, calls and bytes of a kill; a part of test
	$(Q)$(SUDO) $(PYTHON) -m pytest -p no:cacheprovider tests/bench/test_gate.py tests/bench/test_call_paths.py \
		tests/kernel/test_verifier.py

bench-ratios: .venv/dev ## Compare with the build of BASE=COMMIT, in turn, and write the table into docs/benchmarks.md
	$(Q)$(SUDO) $(PYTHON) -m bench.ratios $(if $(BASE),--base $(BASE)) --publish

bench: wheel ## Compare with what people would use instead, write docs/benchmarks.*; QUICK=1: fewer rounds; KERNEL=6.1: another guest
	$(Q)tools/system-packages.sh bench
	$(Q)$(SUDO) $(PYTHON) -m bench $(if $(QUICK),--quick) $(if $(KERNEL),--kernel $(KERNEL))

bench-scale: .venv/dev ## Measure what many nodes cost a Prometheus
	$(Q)$(PYTHON) -m bench.scale

clean: ## Remove what was built here, images and containers too
	$(Q)tools/image.sh clean
	rm -rf .venv build dist src/*.egg-info src/container_oomkill/oomkill.bpf.o
	find src -name '*.so' -delete -o -name '_wire.c' -delete -o -name '_libbpf.c' -delete -o -name '_inotify.c' -delete -o -name '_privileges.c' -delete -o -name '_crypt.c' -delete

.venv/built: $(SOURCES)
	$(Q)tools/system-packages.sh build
	$(Q)test -x $(PYTHON) || tools/step.sh "creating .venv" python3 -m venv .venv
	$(Q)tools/step.sh "installing what builds it into .venv" \
		.venv/bin/pip install -U pip setuptools wheel cffi
	$(Q)tools/step.sh "compiling the BPF object and the extensions, installing container-oomkill" \
		.venv/bin/pip install --no-build-isolation -e .
	$(Q).venv/bin/python -m compileall -q src # or each start would, where PYTHONDONTWRITEBYTECODE is set
	$(Q)touch $@

.venv/package: .venv/built pyproject.toml
	$(Q)tools/step.sh "installing what packs it into .venv" .venv/bin/pip install --group package
	$(Q)touch $@

.venv/dev: .venv/package pyproject.toml
	$(Q)tools/system-packages.sh test
	$(Q)tools/step.sh "installing what tests it into .venv" \
		.venv/bin/pip install --no-build-isolation -e '.[dev]'
	$(Q)touch $@
