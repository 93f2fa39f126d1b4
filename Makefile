# The one build of tenon.  `make help` lists what it does.
#
#   make CC=clang SAN=address,undefined DRIVER=epoll T=name test
#
# Each compiler and sanitizer builds into its own folder below build/.

VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=

# make itself presets CC, so `CC ?= gcc` would never take effect.
ifeq ($(origin CC),default)
CC := gcc
endif
CXX ?= g++
SAN ?=
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

empty :=
comma := ,
variant := $(subst $(comma),-,$(if $(filter-out gcc,$(CC)),$(notdir $(CC)))$(if $(SAN),-$(SAN))$(if $(COVER),-cover))
B ?= build$(if $(variant),/$(patsubst -%,%,$(variant)))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Wwrite-strings -Wcast-qual -Wformat=2 \
	-Wimplicit-fallthrough $(if $(SAN),,-Wframe-larger-than=4096)
OPT ?= -O2
CFLAGS ?= $(OPT) -g
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) -Werror -fno-omit-frame-pointer \
	-fstack-clash-protection $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all) \
	$(if $(COVER),--coverage -fprofile-update=atomic -include tests/harness/counters.h) -Iinclude $(CFLAGS)
LIB_CFLAGS = $(ALL_CFLAGS) -Isrc -fPIC -fvisibility=hidden
LDLIBS = -luring -lpthread
CLI_LDLIBS = $(LDLIBS) -lcrypto -lm -lncursesw -ltinfo # SHA-256, charts, top; not for the library
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVER),--coverage) $(LDFLAGS)

lib_c := $(filter-out src/task/switch_%.c,$(sort $(wildcard src/*/*.c))) src/task/switch_$(ARCH).c
lib_o := $(lib_c:%.c=$(B)/%.o) $(B)/src/task/switch_$(ARCH)_S.o
cli_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard cli/*.c cli/*/*.c))) $(B)/cli/dash/assets_S.o
test_c := $(sort $(wildcard tests/unit/*_test.c tests/net/*_test.c))
tests := $(test_c:tests/%.c=$(B)/tests/%)
harness_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/harness/*.c)))
examples := $(patsubst %.c,$(B)/%,$(sort $(wildcard examples/*.c)))

.PHONY: all lib
all: $(B)/libtenon.a $(B)/libtenon.so $(B)/tenon $(examples) ## the library, shared and static, the command, the examples
lib: $(B)/libtenon.a $(B)/libtenon.so

# Internal names become local: a static user sees tn_* and nothing else.
$(B)/libtenon.a: $(lib_o)
	@rm -f $@
	@ld -r -o $(B)/tenon-all.o $^
	@objcopy --localize-hidden $(B)/tenon-all.o
	@ar rcs $@ $(B)/tenon-all.o
	@echo "  $@"

$(B)/libtenon.so: $(lib_o)
	@$(CC) $(ALL_LDFLAGS) -shared $(if $(SAN),,-Wl,-z,defs) -Wl,-soname,libtenon.so.0 -o $@ $^ $(LDLIBS)
	@ln -sf libtenon.so $(B)/libtenon.so.0
	@echo "  $@"

# For tests, which look inside: the same objects, with their names.
$(B)/libtenon-inside.a: $(lib_o)
	@rm -f $@
	@ar rcs $@ $^

$(B)/tenon: $(cli_o) $(B)/libtenon.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CLI_LDLIBS)
	@echo "  $@"

$(B)/src/%.o: src/%.c | deps-build
	@mkdir -p $(@D)
	@$(CC) $(LIB_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/src/%_S.o: src/%.S | deps-build
	@mkdir -p $(@D)
	@$(CC) $(LIB_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/cli/%.o: cli/%.c | deps-build
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -Icli -DTENON_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

# The dashboard's page: the assembler takes in the other files of the folder.
$(B)/cli/dash/assets_S.o: cli/dash/assets.S $(filter-out %.c %.h,$(wildcard cli/dash/* cli/dash/uplot/*)) | deps-build
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/tests/%.o: tests/%.c | deps-test
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -Wno-frame-larger-than -Isrc -Itests -Icli -MMD -MP -c -o $@ $<

$(B)/tests/%_test: $(B)/tests/%_test.o $(harness_o) $(B)/libtenon-inside.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

sim_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/sim/*.c)))
$(B)/tests/sim/simulate: $(sim_o) $(B)/libtenon-inside.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# For `make fuzz`, which builds with clang and libFuzzer: each takes what it needs of these.
fuzz := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
$(B)/tests/fuzz/sim.a: $(filter-out %/main.o,$(sim_o))
$(B)/tests/fuzz/cli.a: $(filter-out $(B)/cli/main.o,$(cli_o))
$(B)/tests/fuzz/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(B)/tests/fuzz/%_fuzz: $(B)/tests/fuzz/%_fuzz.o $(B)/tests/fuzz/sim.a $(B)/tests/fuzz/cli.a $(B)/libtenon-inside.a
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

calls_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/calls/*.c)))
$(B)/tests/calls/calls: $(calls_o) $(B)/libtenon-inside.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/torture/tables.h: tests/torture/tables.py tests/torture/errnos.txt $(wildcard include/tenon/*.h)
	@mkdir -p $(@D)
	@python3 -B tests/torture/tables.py >$@.new && mv $@.new $@

$(B)/tests/torture/matrix.o: $(B)/tests/torture/tables.h
$(B)/tests/torture/matrix.o: ALL_CFLAGS += -I$(B)/tests

torture_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/torture/*.c)))
$(B)/tests/torture/torture: $(torture_o) $(B)/libtenon-inside.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

soak_o := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/soak/*.c)))
$(B)/tests/soak/soak: $(soak_o) $(B)/libtenon.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

rough_o := $(patsubst %.c,$(B)/%.o,$(filter-out tests/rough/verdict.c,$(sort $(wildcard tests/rough/*.c))))
verdict_o := $(patsubst %,$(B)/tests/rough/%.o,verdict dice tape)
$(B)/tests/rough/rough: $(rough_o) $(B)/libtenon.a
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/rough/verdict: $(verdict_o)
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ -lnetfilter_queue -lnfnetlink

$(B)/examples/%: examples/%.c $(B)/libtenon.a
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(B)/libtenon.a $(LDLIBS)

$(B)/bench/%: bench/%.c $(B)/libtenon.a
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(B)/libtenon.a $(LDLIBS)

-include $(shell find $(B)/src $(B)/cli $(B)/tests $(B)/examples $(B)/bench -name '*.d' 2>/dev/null)
.SECONDARY:

# ---------------------------------------------------------------- what a machine needs
.PHONY: deps-build deps-test
deps_cc := $(if $(findstring clang,$(CC)),clang)
deps-build:
	@tools/deps build $(deps_cc)
deps-test:
	@tools/deps build test $(deps_cc)

# ---------------------------------------------------------------- using it
inc_dir = $(DESTDIR)$(PREFIX)/include
lib_dir = $(DESTDIR)$(LIBDIR)
bin_dir = $(DESTDIR)$(PREFIX)/bin
man_dir = $(DESTDIR)$(PREFIX)/share/man
bash_completion = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tenon
zsh_completion = $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tenon
fish_completion = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tenon.fish
completions = $(bash_completion) $(zsh_completion) $(fish_completion)

.PHONY: calls dash-assets storm relay-storm torture sim run closing-table man test bench bench-peers bench-cores check lint format install uninstall clean help rough soak planted valgrind mutants fuzz fuzz-programs cover cover-programs
run: $(B)/tenon $(B)/libtenon.so ## send a real file through an echo server on loopback and show what happened
	@TENON=$(B)/tenon FILE=$(B)/libtenon.so tools/show-run

# Tests that have to fail, for the tests of the tools.
bad_tests := $(B)/tests/tools/misbehaving_test

test: all $(tests) $(bad_tests) $(B)/tests/calls/calls ## all tests, on both drivers
	@B=$(B) CC="$(CC)" DRIVER="$(DRIVER)" SAN="$(SAN)" T="$(T)" tools/run-tests $(tests)

closing-table: $(B)/tenon ## tenon, netcats, relays at each ending of a connection, into README.md
	@tools/deps closing
	@TENON=$(B)/tenon python3 -B tools/closing --write README.md

.PHONY: transfer-proof
transfer-proof: $(B)/tenon ## send MIB= (1024) of files while the receiver is killed twice, and compare
	@TENON=$(B)/tenon tools/transfer-proof $(or $(MIB),1024)

man: $(B)/tenon ## docs/tenon.1 and docs/man3/, from the tables in cli/ and the headers
	@$(B)/tenon --man >docs/tenon.1
	@tools/gen-man --write

dash-assets: ## fetch the dashboard's uPlot anew from npm, in the version that tools/dash-assets names
	@tools/dash-assets

storm: $(B)/tests/net/storm_test ## cancels and deadlines at random, SECONDS= (30) on each driver
	@STORM_SECONDS=$(or $(SECONDS),30) DRIVER="$(DRIVER)" $(B)/tests/net/storm_test

# CLIENTS= SIZE= choose another one.
relay-storm: $(B)/tenon ## 4,500 clients through a relay, 1 MB both ways each, one in ten killed
	@for driver in $(or $(DRIVER),epoll uring); do \
		TENON_DRIVER=$$driver TENON=$(B)/tenon python3 -B tests/cli/relay_storm.py \
			--clients $(or $(CLIENTS),4500) --size $(or $(SIZE),1000000) || exit 1; done

# SEED= SEEDS= choose; WITHOUT= and STRIKES= (faults), EPISODES=, ONLY= and V=1 are for
# replays.
SEED ?= 1
SEEDS ?= 200
sim: ## simulated networks and kernels by seed, the library on them, and an oracle
	@$(MAKE) --no-print-directory $(B)/tests/sim/simulate
	@$(B)/tests/sim/simulate -s $(SEED) -n $(SEEDS) $(if $(V),-v) \
		$(if $(WITHOUT),-w $(WITHOUT)) $(if $(STRIKES),-f $(STRIKES)) $(if $(EPISODES),-e $(EPISODES)) \
		$(if $(ONLY),-o $(ONLY)) $(if $(DRIVER),-d $(DRIVER))

calls: $(B)/tests/calls/calls ## the socket calls against the kernel's own: a matrix, and two storms of signals
	@DRIVER="$(DRIVER)" $< -m $(if $(T),-s '*$(T)*')
	@DRIVER="$(DRIVER)" $< -S restart $(if $(T),-s '*$(T)*')
	@DRIVER="$(DRIVER)" $< -S no-restart $(if $(T),-s '*$(T)*')

planted: ## bugs planted in a copy: make sim finds each, and what it prints finds it again
	@tests/sim/planted

# QUICK=1: a thirteenth of the failures, another one in each scenario.  T= part of a name.
alarmed := $(filter $(B)/tests/net/conn_% $(B)/tests/net/c%,$(tests))
torture: ## every call that can fail, failing; every errno; the tests of connections under SIGALRM
	@$(MAKE) --no-print-directory $(B)/tests/torture/torture $(if $(T),,$(alarmed))
	@DRIVER="$(DRIVER)" $(B)/tests/torture/torture $(if $(QUICK),-q) $(if $(V),-v) "$(T)"
	@$(if $(T),,DRIVER="$(DRIVER)" tests/torture/alarms $(alarmed))

# ONLY=impairment/scenario/driver repeats one, or some when parts are empty.
rough: ## real kernels with a bad network between them, SEED=, QUICK=1 for some of it
	@tools/deps rough
	@$(MAKE) --no-print-directory $(B)/tests/rough/rough $(B)/tests/rough/verdict
	@$(B)/tests/rough/rough -s $(SEED) $(if $(ONLY),-o $(ONLY)) $(if $(QUICK),-q) \
		$(if $(LANES),-l $(LANES)) $(if $(V),-v)

soak: ## ordinary use for SECONDS= (30) on each driver, and nothing that grows
	@$(MAKE) --no-print-directory $(B)/tests/soak/soak
	@$(B)/tests/soak/soak $(or $(SECONDS),30) $(DRIVER)

# With clang's libFuzzer, in a folder of its own.  ONLY= some of the targets, by name.
fuzz: ## bytes at random for each parser and for simulated programs, TIME= (60) seconds in all
	@tools/deps build test clang
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined B=build/fuzz \
		fuzz-programs
	@B=build/fuzz ONLY="$(ONLY)" tools/fuzz $(or $(TIME),60)

fuzz-programs: $(fuzz)

# -Og, so that a line is a line; what is not ours to reach stands in tools/cover.  ONLY= some
# of the parts of a run, beside what was counted before.  ccache would lend objects that count
# for the folder they were made in.
cover: ## lines and branches of src/ that tests, simulation and torture reach
	@tools/deps build test cover
	@$(MAKE) --no-print-directory COVER=1 OPT=-Og B=build/cover CCACHE_DISABLE=1 cover-programs
	@B=build/cover ONLY="$(ONLY)" tools/cover $(patsubst $(B)/%,build/cover/%,$(tests))

cover-programs: all $(tests) $(B)/tests/sim/simulate $(B)/tests/torture/torture $(B)/tests/calls/calls

valgrind: $(tests) ## the unit and net tests under valgrind, on both drivers
	@tools/deps test valgrind
	@B=$(B) DRIVER="$(DRIVER)" T="$(T)" SCRIPTS=none TENON_TEST_SCALE=10 STORM_SECONDS=10 \
		TENON_TEST_SKIPS=tests/valgrind.skips \
		UNDER="valgrind -q --fair-sched=yes --error-exitcode=99 --leak-check=full \
		--suppressions=tests/valgrind.supp \
		--show-leak-kinds=definite --errors-for-leak-kinds=definite" tools/run-tests $(tests)

mutants: ## the code broken on purpose, a rule at a time: does a test notice?  ONLY=NAME
	@tools/deps build test
	@ONLY="$(ONLY)" tools/mutants

check: ## format, layers, headers, docs, exports: what must hold before a push
	@tools/deps build test check
	@$(MAKE) --no-print-directory lib
	@B=$(B) CC=$(CC) CXX=$(CXX) tools/check

check-%: lib # one of them: make check-layers
	@tools/deps build check
	@B=$(B) CC=$(CC) CXX=$(CXX) tools/check $*

format: ## apply .clang-format to all C files
	@clang-format-14 -i $$(git ls-files '*.c' '*.h')

lint: $(B)/tests/torture/tables.h ## clang-tidy, cppcheck, gcc -fanalyzer over all; QUICK=1: without clang's paths
	@tools/deps build test check lint rough
	@B=$(B) tools/lint

# REPS= repetitions, QUICK=1 a short run, ONLY=echo-64,... some of the works, HELD= idle
# connections of the last one.  Only a full run writes docs/measuring.md and the chart.
REPS ?= $(if $(QUICK),5,15)
bench_flags = --reps $(REPS) --seconds $(if $(QUICK),0.2,0.4) $(if $(ONLY),--only $(ONLY)) \
	$(if $(HELD),--held $(HELD)) --command "make bench$(if $(filter-out 15,$(REPS)), REPS=$(REPS))$(if $(HELD), HELD=$(HELD))" \
	$(if $(QUICK)$(ONLY),,--write docs/measuring.md --chart docs/bench.svg)
bench_programs := $(patsubst %,$(B)/bench/%,tasks bulk_tenon echo_own)

bench: $(addprefix $(B)/examples/,echo echo_lease echo_late) $(bench_programs) ## measure beside the peers, judge the goals
	@tools/deps build bench
	@$(MAKE) --no-print-directory -k -C bench/peers B=$(abspath $(B))/peers || \
		echo "  a peer could not be built: its rows will say so"
	@B=$(B) python3 bench/bench.py $(bench_flags)

bench-peers: $(B)/tenon ## tenon bench beside redis-benchmark, wrk and iperf3; writes docs/measuring.md
	@tools/deps bench-peers
	@B=$(B) python3 bench/verb.py --reps $(if $(QUICK),3,9) --command "make bench-peers" \
		$(if $(ONLY),--only $(ONLY)) $(if $(QUICK)$(ONLY),,--write docs/measuring.md)

bench-cores: $(B)/examples/echo $(B)/examples/echo_cores $(B)/bench/echo_ports ## a loop for each core, in two forms, beside one loop; only prints
	@tools/deps build test
	@$(MAKE) --no-print-directory -C bench/peers B=$(abspath $(B))/peers $(abspath $(B))/peers/load
	@B=$(B) python3 bench/cores.py

install: all ## into $(DESTDIR)$(PREFIX): headers, libraries, tenon.pc, the command, pages, completions
	@install -d $(inc_dir)/tenon $(lib_dir)/pkgconfig $(bin_dir)
	@install -m 644 include/tenon.h $(inc_dir)/
	@install -m 644 include/tenon/*.h $(inc_dir)/tenon/
	@install -m 644 $(B)/libtenon.a $(lib_dir)/
	@install -m 755 $(B)/libtenon.so $(lib_dir)/libtenon.so.$(VERSION)
	@ln -sf libtenon.so.$(VERSION) $(lib_dir)/libtenon.so.0
	@ln -sf libtenon.so.0 $(lib_dir)/libtenon.so
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		tenon.pc.in >$(lib_dir)/pkgconfig/tenon.pc
	@install -m 755 $(B)/tenon $(bin_dir)/
	@install -d $(man_dir)/man1 $(man_dir)/man3
	@install -m 644 docs/tenon.1 $(man_dir)/man1/
	@install -m 644 docs/man3/*.3 $(man_dir)/man3/
	@cd $(man_dir)/man3 && for page in tn_*.3; do \
		for name in $$(sed -n '/^\.SH NAME/{n;s/,//g;p;q;}' $$page); do \
			[ -e $$name.3 ] || ln -s $$page $$name.3; \
		done; \
	done
	@install -d $(dir $(completions))
	@$(B)/tenon --completion bash >$(bash_completion)
	@$(B)/tenon --completion zsh >$(zsh_completion)
	@$(B)/tenon --completion fish >$(fish_completion)
	@echo "  tenon $(VERSION) is in $(DESTDIR)$(PREFIX)"

uninstall: ## take out what install put in
	rm -rf $(inc_dir)/tenon $(inc_dir)/tenon.h
	rm -f $(lib_dir)/libtenon.a $(lib_dir)/libtenon.so $(lib_dir)/libtenon.so.0 \
		$(lib_dir)/libtenon.so.$(VERSION) $(lib_dir)/pkgconfig/tenon.pc $(bin_dir)/tenon \
		$(man_dir)/man1/tenon.1 $(man_dir)/man3/tn_*.3 $(completions)

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'
	@echo
	@echo '  CC=gcc|clang  SAN=address,undefined|thread  B=build   what to build with, and where'
	@echo '  DRIVER=epoll|uring  T=PART OF A NAME                  which tests'
	@echo '  PREFIX=/usr/local  LIBDIR=  DESTDIR=                  where to install'
