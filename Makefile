# Short names for what the project does. Each target is one command that can also be typed by hand.
SHELL := bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MOLECULE_COMMAND_BORDERS := false
.DEFAULT_GOAL := help
.NOTPARALLEL:
# What each test run has, and what only test-all has: the other scenarios.
SCENARIOS := bare default
THOROUGH := $(filter-out $(SCENARIOS),$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
.PHONY: help demo demo-down tools lint unit molecule test test-all mutants judge bench bench-jwt bench-deploy bench-before bench-public bench-words bench-fleet bench-audit user docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a Debian server in a container on this machine, and the app on it, in a few minutes
	@molecule/shared/demo run

demo-down: ## remove the demo and its data
	@molecule/shared/demo down

test: lint unit molecule ## every check; the servers are Debian 13

# Of the steps of a deploy that molecule/kills kills, each so many-th; each one of them takes hours: EVERY=1.
test-all: export EVERY ?= 8
test-all: test ## every check: what takes long as well, and the servers once more on Debian 12
	pytest app/tests/package.py app/tests/side_by_side.py
	$(MAKE) molecule SCENARIOS="$(THOROUGH)"
	MOLECULE_SUITE=bookworm $(MAKE) molecule

lint: tools ## ansible-lint, yamllint, ruff, hadolint, shellcheck
	ANSIBLE_HOST_PATTERN_MISMATCH=warning ansible-lint # it checks playbooks without an inventory
	yamllint --strict .
	ruff check
	ruff format --check
	git ls-files -z '*Dockerfile' | xargs -0 hadolint
	git grep -lzE '^#!.*\bbash$$|^# shellcheck shell=bash' | xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR

unit: tools ## the tests that need no machine: rendered templates, role contracts, modules, the app
	pytest -n 4 --dist worksteal # most of them wait: more than there are processors

molecule: tools ## the tests on a Debian server, made for each run: SCENARIOS="bare default"
	set -e; for scenario in $(SCENARIOS); do molecule/shared/scenario $$scenario; done

mutants: tools ## what the tests do not notice of thousands of small changes; one a second, so by night: FILES="switch.py"
	@python tests/mutants.py $(FILES)

judge: tools ## deploys and rollbacks under load on the demo, and what was lost: SWITCHES=20 ARM=quiet|hogs|reload|noise
	@python -m bench.command --switches $(or $(SWITCHES),20) --arm $(or $(ARM),quiet)

bench: tools ## this project beside the copy-paste recipe on the demo: CASES="page slow" SIDES="recipe project" ROUNDS=5 QUICK=1 DOCS=1
	@python -m bench.compare --cases "$(CASES)" --sides "$(SIDES)" $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(QUICK),--quick) $(if $(DOCS),--docs)

bench-jwt: tools ## what tokens and logins cost, in process and through nginx on the demo
	@python -m bench.logins

bench-deploy: tools ## how long deploys and rollbacks take on the demo, by step, beside what no deploy can do without
	@python -m bench.deploys

bench-public: tools ## public Flask applications on the demo, unmodified: what each needs, takes and loses; NAMES="tutorial isso"
	@python -m bench.public $(NAMES)

bench-before: tools ## seconds and tasks of the same runs by an earlier commit, beside this one's: BEFORE=<commit>
	@python -m bench.before "$(BEFORE)"

bench-words: tools ## seconds and tasks of site.yml where nothing changes, with all words on and with each of them off
	@python -m bench.words

bench-fleet: tools ## a model of deploys to 3, 25, 50 and 500 hosts; MEASURE=1 checks it by 3 and 25 stand-in hosts; FORKS=20
	@python -m bench.fleet_model $(if $(MEASURE),--measure) $(if $(FORKS),--forks $(FORKS))

bench-audit: tools ## what lynis, ssh-audit, testssl and docker-bench-security say of a server before and after, and what has no reason
	@python -m bench.audit

user: ## a user of the bundled app as a line for the vault: NAME=alice; asks for the password
	@molecule/shared/user line "$(NAME)"

docs: tools ## the site of docs/, its links checked: open build/docs/index.html
	@NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict --config-file .config/mkdocs/mkdocs.yml

tools: ## the locked Python tools in .venv, a Docker engine, shellcheck, brotli, git-lfs, restic, redis, PostgreSQL, nft, monit, promtool, strace, a browser
	@molecule/shared/tools shellcheck=shellcheck openssl=openssl chromium=chromium chromedriver=chromium-driver \
	  brotli=brotli git-lfs=git-lfs restic=restic redis-server=redis-server pg_lsclusters=postgresql nft=nftables monit=monit \
	  strace=strace
	@molecule/shared/engine

lock: tools ## choose the newest versions of the Python tools again
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links tests/requirements.in --output-file tests/requirements.txt

clean: ## demo-down, and no image or cache of ours stays
	@molecule/shared/demo clean
