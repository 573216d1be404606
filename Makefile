# Every target needs .venv, which `make env` creates; a stamp file keeps it from being rebuilt.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
FFCV_STAMP := .venv/.ffcv-stamp
DOCS_STAMP := .venv/.docs-stamp
FFCV_PACKAGES := pkg-config g++ libturbojpeg0-dev libopencv-imgproc-dev
FFCV_BUILD := build/ffcv
OPENCV := /usr/include/opencv4
DEMO := runs/demo
REHEARSAL := runs/rehearsal
# Batches of 8: 1,437 digits give too few steps to learn anything in batches of 32.
REHEARSED := data=digits tracking.wandb=false model=alexnet,resnet18,mobilenet_v1,shufflenet_v2_x1_0 \
  recipe.batch_size=8 target.baseline_epochs=12 threads=1
BENCH := runs/bench
CAMPAIGN := runs/campaign
CAMPAIGN_ON = hydra/launcher=cores threads=1 tracking.wandb=false data.root=$(ROOT)
CAMPAIGN_ON100 = hydra/launcher=cores threads=1 tracking.wandb=false rates=cifar10 data=cifar100 data.train_images=10000 data.root=$(ROOT100)

.DEFAULT_GOAL := help
.PHONY: help env ffcv docs demo smoke rehearsal campaign result reproduce check test lint bench soak gpu-check format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## create .venv with the project and its extras, at the tested versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed; $(PYTHON) is another: make env PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,models,cluster,gpu]'
	@touch $(STAMP)

ffcv: $(FFCV_STAMP) ## install FFCV for data=imagenet_ffcv: Debian packages (as root), then compile

# FFCV includes all of OpenCV, which needs libopencv-dev (689 MB).  Two small files written here
# replace its pkg-config file and header, so that core and imgproc (49 MB) are enough.
# No pip cache: a wheel of FFCV works only with the libraries it was built against.
$(FFCV_STAMP): $(STAMP)
	@headers=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))'); \
	packages="$(FFCV_PACKAGES)"; \
	test -f $$headers/Python.h || packages="$$packages $$(basename $$headers)-dev"; \
	command -v g++ >/dev/null && pkg-config --exists libturbojpeg && test -f $$headers/Python.h && \
	  { pkg-config --exists opencv4 || test -f $(OPENCV)/opencv2/imgproc.hpp; } && exit 0; \
	echo "FFCV is compiled here and needs Debian packages: $$packages"; \
	command -v apt-get >/dev/null || \
	  { echo "without apt-get: a C++ compiler, pkg-config, libturbojpeg, OpenCV 4, Python's headers"; exit 1; }; \
	test "$$(id -u)" = 0 || { echo "sudo asks for your password to install them with apt-get"; root=sudo; }; \
	$$root apt-get update -qq && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$packages
	@mkdir -p $(FFCV_BUILD)/pc $(FFCV_BUILD)/shim/opencv2
	@printf '%s\n' 'Name: OpenCV' 'Description: core and imgproc' 'Version: 4' \
	  'Cflags: -I$${pcfiledir}/../shim -I$(OPENCV)' \
	  'Libs: -lopencv_imgproc -lopencv_core' > $(FFCV_BUILD)/pc/opencv4.pc
	@printf '#include <opencv2/%s.hpp>\n' core imgproc > $(FFCV_BUILD)/shim/opencv2/opencv.hpp
	pkg-config --exists opencv4 || export PKG_CONFIG_PATH=$(abspath $(FFCV_BUILD)/pc); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
	  -c constraints.txt -e '.[fast-data]'
	$(BIN)/python -c 'import ffcv'
	@touch $(FFCV_STAMP)

demo: $(STAMP) ## run everything on handwritten digits: five families, ledger, fit, report
	$(BIN)/efficiency-bench train -m suite=card data=digits tracking.wandb=false ledger_dir=$(DEMO)/ledger
	$(BIN)/efficiency-bench fit $(DEMO)/ledger --chart $(DEMO)
	$(BIN)/efficiency-bench verify --ledger $(DEMO)/ledger
	$(BIN)/efficiency-bench report --ledger $(DEMO)/ledger --out $(DEMO)/report
	@echo "Digits are a rehearsal of the chain: small images say nothing about ImageNet. All forms at model.$$(grep -o 'scale: [0-9.]*' configs/suite/card.yaml)"

smoke: $(STAMP) ## train the five families on a CIFAR-10 subset to a fixed accuracy (ROOT=folder)
	$(BIN)/efficiency-bench train -m suite=smoke tracking.wandb=false ledger_dir=runs/smoke/ledger $(if $(ROOT),data.root=$(ROOT))
	$(BIN)/efficiency-bench fit runs/smoke/ledger --chart runs/smoke

rehearsal: $(STAMP) ## run the whole protocol on digits: rate search, ladder of budgets, fit, export
	$(BIN)/efficiency-bench train -m suite=tuning $(REHEARSED) budget=0.5 recipe.optimizer.lr=0.00125,0.00395285,0.0125 ledger_dir=$(REHEARSAL)/tuning
	$(BIN)/efficiency-bench ledger rates $(REHEARSAL)/tuning --out $(REHEARSAL)/rates.yaml
	$(BIN)/efficiency-bench train -m suite=ladder $(REHEARSED) rates=$(REHEARSAL)/rates.yaml ledger_dir=$(REHEARSAL)/ledger
	$(BIN)/efficiency-bench train -m suite=ladder $(REHEARSED) model=alexnet budget=1 seed=1,2 rates=$(REHEARSAL)/rates.yaml ledger_dir=$(REHEARSAL)/ledger
	$(BIN)/efficiency-bench verify --ledger $(REHEARSAL)/ledger
	$(BIN)/efficiency-bench fit $(REHEARSAL)/ledger --chart $(REHEARSAL)
	$(BIN)/efficiency-bench ledger export --ledger $(REHEARSAL)/ledger --out $(REHEARSAL)/export
	@echo "A rehearsal: four networks, three rates and one seed on small digits measure nothing."

# What docs/protocol.md describes; each line resumes where it stopped.  Diverged runs (exit code 1) are
# results of the search.  The file of rates is named like the committed one, whose head has its name.
campaign: $(STAMP) ## search the rates and run the ladder of suite=ladder on CIFAR-10, for hours (ROOT=folder; ROOT100=folder adds CIFAR-100)
	@test -n "$(ROOT)" || { echo "name the folder with the images: make campaign ROOT=data/cifar10-subset"; exit 2; }
	$(BIN)/efficiency-bench train -m suite=tuning $(CAMPAIGN_ON) ledger_dir=$(CAMPAIGN)/tuning || test $$? = 1
	$(BIN)/efficiency-bench ledger rates $(CAMPAIGN)/tuning --out $(CAMPAIGN)/cifar10.yaml 2>&1 | \
	  sed -n 's|^  efficiency-bench train \(.*\)|$(BIN)/efficiency-bench train -m \1 $(CAMPAIGN_ON)|p' | sh -e || test $$? = 1
	$(BIN)/efficiency-bench ledger rates $(CAMPAIGN)/tuning --out $(CAMPAIGN)/cifar10.yaml
	diff --brief --ignore-matching-lines='^also_for' $(CAMPAIGN)/cifar10.yaml configs/tuned_rates/cifar10.yaml || echo "these rates differ from the committed ones, which are used"
	$(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON) rates=cifar10 model=alexnet budget=1 seed=0,1,2,3,4
	$(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON) rates=cifar10
	$(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON) rates=cifar10 model=alexnet,resnet18,mobilenet_v2,shufflenet_v2_x1_0 model.scale=0.5,2
	test -z "$(ROOT100)" || $(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON100) model=alexnet budget=1 seed=0,1,2
	test -z "$(ROOT100)" || $(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON100)
	$(BIN)/efficiency-bench train -m suite=ladder $(CAMPAIGN_ON) rates=cifar10 seed=1

result: $(STAMP) ## verify the committed ledger against its registration and write its report to build/result
	$(BIN)/efficiency-bench verify $(addprefix --registered ,$(sort $(wildcard runs/registered/*.yaml)))
	$(BIN)/efficiency-bench report --out build/result

reproduce: $(STAMP) ## train a committed run again and compare (RUN=id, ROOT=folder of images)
	@test -n "$(RUN)" || { echo "name a run of runs/ledger: make reproduce RUN=id"; exit 2; }
	test -n "$(ROOT)" || { $(BIN)/efficiency-bench data fetch cifar10 --root data && \
	  $(BIN)/efficiency-bench data cut-cifar10 data/cifar10-subset; }
	$(BIN)/efficiency-bench reproduce $(RUN) --data-root $(or $(ROOT),data/cifar10-subset)

docs: $(DOCS_STAMP) ## build the docs as an offline site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $(DOCS_STAMP)

check: lint ## run the linters and the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test: $(STAMP) ## run all tests that this machine can run
	$(BIN)/python -m pytest -n 3 --dist worksteal

lint: $(STAMP) ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## run every benchmark and rewrite the tables of docs/performance.md
	mkdir -p $(BENCH)
	set -e; for name in overhead numerics cpu_choices evaluation counting startup scale loaders; do \
	  $(BIN)/python benchmarks/$$name.py --json > $(BENCH)/$$name.json.part; \
	  mv $(BENCH)/$$name.json.part $(BENCH)/$$name.json; done
	$(BIN)/python benchmarks/write_tables.py $(BENCH)
	$(BIN)/python benchmarks/fit_coverage.py
	$(BIN)/python benchmarks/crossing_coverage.py

soak: $(STAMP) ## kill and resume runs of three recipes, 200 times each (about two hours)
	for experiment in alexnet resnet18 efficientnet_b0; do \
	  $(BIN)/efficiency-bench verify-resume experiment=$$experiment data=digits target.value=0.99 \
	    --kills 200 --out runs/soak/$$experiment || exit 1; done

gpu-check: $(STAMP) ## run the checks that need a GPU and write their table (PART=tests, imagenet, small, choices, limits)
	$(BIN)/python benchmarks/gpu_check.py $(PART) --out $(BENCH)/gpu

format: $(STAMP) ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, builds and caches, but not runs
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
