# dovecot-backscatter: build, install, test. "make help" lists the targets.

PREFIX ?= /usr
DESTDIR ?=
BUILD := build
CC ?= cc
PYTHON ?= /usr/bin/python3

# Where the distribution's dovecot-dev says that Dovecot lives.
DOVECOT_CONFIG := $(firstword $(wildcard \
	$(PREFIX)/lib/dovecot/dovecot-config \
	$(PREFIX)/lib/*/dovecot/dovecot-config))
dovecot_var = $(shell . $(DOVECOT_CONFIG) 2>/dev/null && echo $$$(1))
MODULE_DIR = $(call dovecot_var,dovecot_moduledir)
LIBDOVECOT_DIR = $(call dovecot_var,dovecot_pkglibdir)
LIBEXEC_DIR = $(call dovecot_var,dovecot_pkglibexecdir)

# make V=1 shows the commands
Q = $(if $(V),,@echo '  $(if $(filter %.h %.conf,$@),GEN,$(if $(filter %.c,$<),CC,LD)) $@';)

WARNINGS := -Wall -W -Wmissing-prototypes -Wmissing-declarations \
	-Wpointer-arith -Wchar-subscripts -Wformat=2 -Wbad-function-cast \
	-Wstrict-aliasing=2
ifdef CI
WARNINGS += -Werror
endif
CFLAGS ?= -g -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2
OUR_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARNINGS) -MMD -MP \
	-I. -Iplugin -Itests/unit -Itests/programs -I$(BUILD)/gen
DOVECOT_CFLAGS = -DHAVE_CONFIG_H $(call dovecot_var,LIBDOVECOT_INCLUDE)
LIB_CFLAGS = $(shell pkg-config --cflags sqlite3 libcrypto) $(call soname,SQLITE,sqlite3) $(call soname,LIBCRYPTO,crypto)
# The modules load them by name when they are first needed (plugin/sent-log/hmac.h).
soname = -D$(1)_SONAME='"$(or $(shell objdump -p "$$($(CC) -print-file-name=lib$(2).so)" | \
	sed -n 's/^ *SONAME *//p'),$(error objdump finds no lib$(2).so))"'
LIB_LIBS = $(shell pkg-config --libs sqlite3 libcrypto)
# Only plugin/spf/service/ needs them. (libspf2 has no pkg-config file.)
SPF_LIBS = -lspf2
LDFLAGS ?= -Wl,-z,relro -Wl,-z,now -Wl,--as-needed

# The rooms, plugin/ROOM/, and for each the rooms that it may know: KNOWS_ROOM.
include plugin/rooms.mk
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
archives = $(patsubst %,$(BUILD)/%.a,$(1))
ARCHIVES := $(call archives,$(ROOMS))

PLUGIN := $(BUILD)/modules/lib95_backscatter_plugin.so
SUBMISSION_PLUGIN := $(BUILD)/modules/lib95_submission_backscatter_plugin.so
DOVEADM_PLUGIN := $(BUILD)/modules/doveadm/lib10_doveadm_backscatter_plugin.so
# Dovecot 2.4 asks a module of its own for a plugin's settings.
DOVECOT_MINOR := $(shell sed -n 's/^.define DOVECOT_VERSION_MINOR //p' \
	$(call dovecot_var,dovecot_pkgincludedir)/config.h 2>/dev/null)
SETTINGS_MODULE := $(if $(filter-out 3,$(DOVECOT_MINOR)),$(BUILD)/modules/settings/libbackscatter_settings.so)
MODULES := $(PLUGIN) $(SUBMISSION_PLUGIN) $(DOVEADM_PLUGIN) $(SETTINGS_MODULE)
SPF_SERVICE := $(BUILD)/libexec/backscatter-spf
# The milter beside the MTA needs nothing of Dovecot; it is left out where a library of its own is missing.
MILTER_PACKAGES := milter libcurl json-c
MILTER_PROGRAMS := $(BUILD)/sbin/backscatter-milter $(BUILD)/libexec/filter-backscatter
MILTER := $(if $(shell pkg-config --exists $(MILTER_PACKAGES) && echo yes),$(MILTER_PROGRAMS))
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(foreach room,$(ROOMS) $(if $(MILTER),milter),$(wildcard tests/unit/$(room)/test-*.c)))

.PHONY: all
all: $(MODULES) $(SPF_SERVICE) $(MILTER) ## build the modules, the service for SPF, and the milter

# A module is its entry points and what they need of the rooms; so it loads no library that it doesn't need, and shows
# no entry point of another module (Dovecot 2.4's settings).
MODULE_LDFLAGS = -shared $(LDFLAGS) -Wl,--exclude-libs,ALL
$(BUILD)/%.a:
	@mkdir -p $(@D) && rm -f $@
	$(Q)$(AR) rcs $@ $^
$(foreach room,$(ROOMS),$(eval $(BUILD)/$(room).a: $(call objects,$(wildcard plugin/$(room)/*.c))))

# imap and doveadm lack the symbols of lib-lda: hence -ldovecot-lda.
$(PLUGIN): $(BUILD)/plugin/delivery/plugin.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODULE_LDFLAGS) -o $@ $^ -L$(LIBDOVECOT_DIR) -Wl,-rpath,$(LIBDOVECOT_DIR) -ldovecot-lda

$(SUBMISSION_PLUGIN): $(BUILD)/plugin/submission/submission.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODULE_LDFLAGS) -o $@ $^

$(DOVEADM_PLUGIN): $(BUILD)/plugin/doveadm/doveadm.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODULE_LDFLAGS) -o $@ $^

# The service that evaluates SPF.
$(SPF_SERVICE): $(BUILD)/plugin/spf/service/main.o $(BUILD)/spf/service.a $(BUILD)/spf.a $(BUILD)/text.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(LDFLAGS) -o $@ $^ $(DOVECOT_LIBS) $(SPF_LIBS)

# The milter: of plugin/ it has serials and the site key's file, no store.
SERIAL_SOURCES := $(addprefix plugin/sent-log/,serial.c serial-tag.c hmac.c)
MILTER_LIBS = $(LIB_LIBS) $(shell pkg-config --libs $(MILTER_PACKAGES)) -pthread
$(BUILD)/milter.a: $(call objects,$(filter-out milter/main.c,$(wildcard milter/*.c milter/doveadm/*.c milter/spool/*.c)) \
		$(SERIAL_SOURCES) plugin/sent-log/site-key.c)
$(BUILD)/sbin/backscatter-milter: $(BUILD)/milter/main.o $(BUILD)/milter.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(LDFLAGS) -o $@ $^ $(MILTER_LIBS)
$(BUILD)/libexec/filter-backscatter: $(call objects,$(wildcard milter/opensmtpd/*.c)) $(BUILD)/milter.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

.PHONY: milter
milter: $(MILTER_PROGRAMS) ## build the milter and OpenSMTPD's filter only

# No storage symbols in it, or doveconf can't load it.
$(BUILD)/modules/settings/libbackscatter_settings.so: $(BUILD)/plugin/settings/settings-2.4.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODULE_LDFLAGS) -o $@ $^

# Objects are of one Dovecot: packaged headers may be older than they are.
DOVECOT_ABI = $(BUILD)/gen/dovecot-abi
.PHONY: FORCE
FORCE:
$(DOVECOT_ABI): FORCE
	@test -n "$(DOVECOT_CONFIG)" || { \
		echo "dovecot-config not found: apt-get install dovecot-dev (or set PREFIX)"; exit 1; }
	@mkdir -p $(@D)
	@grep DOVECOT_ABI_VERSION $(call dovecot_var,dovecot_pkgincludedir)/config.h > $@.new || :
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The sent log's room knows no Dovecot, nor does the milter.
$(BUILD)/plugin/sent-log/%.o: plugin/sent-log/%.c $(BUILD)/gen/sent-log-migrations.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) -c -o $@ $<

$(BUILD)/milter/%.o: milter/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) -pthread -c -o $@ $<

$(BUILD)/%.o: %.c $(DOVECOT_ABI)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) -c -o $@ $<

# sql/NNN-*.sql, in order, as C strings: the index is user_version - 1. Without comments: SQLite keeps them in each file, and
# reads them whenever one is opened.
$(BUILD)/gen/sent-log-migrations.h: $(wildcard sql/*.sql) Makefile
	@mkdir -p $(@D)
	$(Q){ echo 'static const char *const sent_log_migrations[] = {'; \
	  for file in $(sort $(wildcard sql/*.sql)); do \
	    echo "/* $$file */"; \
	    sed 's/ *--.*//; /^$$/d; s/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$file; echo ','; \
	  done; echo '};'; } > $@.tmp && mv $@.tmp $@

# tests/unit/ROOM/test-*.c is linked with its room and those that the room may know; the sent log's with no Dovecot.
UNIT_LIBS = -lcmocka
DOVECOT_LIBS = -L$(LIBDOVECOT_DIR) -Wl,-rpath,$(LIBDOVECOT_DIR) -Wl,--as-needed -ldovecot-storage -ldovecot
# a room, and all below that it stands on
stands_on = $(sort $(1) $(foreach room,$(KNOWS_$(1)),$(call stands_on,$(room))))
unit_libs = $(if $(filter sent-log,$(1)),$(LIB_LIBS),$(DOVECOT_LIBS) $(LIB_LIBS) $(if $(filter spf/service,$(1)),$(SPF_LIBS)))
$(BUILD)/tests/unit/sent-log/test-sent-log-migrate.o: $(BUILD)/gen/sent-log-migrations.h
define UNIT_RULE
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/tests/unit/$(1)/%.o $(if $(filter spf/service,$(1)),$(BUILD)/tests/programs/spf-zone.o) \
		$(call archives,$(call stands_on,$(1)))
	$$(Q)$$(CC) -o $$@ -Wl,--start-group $$^ -Wl,--end-group $$(call unit_libs,$(1)) $$(UNIT_LIBS)
endef
$(foreach room,$(ROOMS),$(eval $(call UNIT_RULE,$(room))))

# Also with the plugin's rooms whose rules the milter has to follow.
$(BUILD)/tests/unit/milter/%: $(BUILD)/tests/unit/milter/%.o $(BUILD)/milter.a $(call archives,$(call stands_on,verdict))
	$(Q)$(CC) -o $@ -Wl,--start-group $^ -Wl,--end-group $(DOVECOT_LIBS) $(MILTER_LIBS) $(UNIT_LIBS)

# Programs that the tests run.
PROGRAMS := $(addprefix $(BUILD)/tests/programs/,spf-suite-check received-origin corpus-verdict inspect)
$(BUILD)/tests/programs/spf-suite-check: $(BUILD)/tests/programs/spf-zone.o
$(PROGRAMS): %: %.o $(ARCHIVES)
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(DOVECOT_LIBS) $(LIB_LIBS) $(SPF_LIBS)

# The milter's spool by itself, with sanitizers in all of it. What the end-to-end tests run, below:
SPOOL_SOURCES := $(addprefix milter/,log.c text.c utf8.c) $(wildcard milter/doveadm/*.c milter/spool/*.c)
$(BUILD)/tests/programs/milter-spool: tests/programs/milter-spool.c $(SPOOL_SOURCES) $(wildcard milter/*.h milter/*/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) -g -O1 -fsanitize=address,undefined $(OUR_CFLAGS) $(LIB_CFLAGS) -o $@ $(filter %.c,$^) $(MILTER_LIBS)
E2E_PROGRAMS := $(addprefix $(BUILD)/tests/programs/,received-origin inspect $(if $(MILTER),milter-spool))

# Says so in one line, before anything is done.
need_root = $(if $(filter-out 0,$(shell id -u)),$(error run make $@ as root))
INSTALL_PACKAGES := tests/tools/install-packages
# Of all tests; what the others need: see there.
TEST_PACKAGES := build milter demo test fuzz

.PHONY: deps
deps: ## install the Debian packages that are missing, of every target (as root)
	@$(need_root)$(INSTALL_PACKAGES)

# Keeps what each part of the tests says, for the counts at the end.
PART := BUILD=$(BUILD) tests/tools/part

# The corpus is not part of the tree: real bounces, ham and spam, beside it.
CORPUS ?= ../shared/corpus
.PHONY: check-corpus
check-corpus: $(addprefix $(BUILD)/tests/programs/,corpus-verdict inspect) ## the report reader on real mail (CORPUS=folder)
	@$(PART) corpus sh -c 'if [ -e $(CORPUS)/manifest.tsv ]; then tests/tools/check-corpus $(CORPUS); \
		else echo "skipped: check-corpus: no $(CORPUS)/manifest.tsv"; fi'

# RFC 7208's suite is not part of the tree either. Any other in its format will do.
SPF_SUITE ?= ../shared/spf/rfc7208-tests.yml
.PHONY: check-spf
check-spf: $(BUILD)/tests/programs/spf-suite-check ## SPF evaluation with a public suite (SPF_SUITE=file.yml)
	@$(PART) spf sh -c 'if [ -e $(SPF_SUITE) ]; then tests/tools/spf-suite $(SPF_SUITE); \
		else echo "skipped: check-spf: no $(SPF_SUITE)"; fi'

# clang's libFuzzer with ASan and UBSan: one target per parser. The seeds beside it are also
# all that was ever found: what "make fuzz" finds becomes one of them.
FUZZ_SECONDS ?= 600
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(filter-out $(if $(MILTER),,tests/fuzz/answer-fuzz.c),$(wildcard tests/fuzz/*-fuzz.c)))
.PHONY: fuzz
fuzz: ## look for new findings in each parser, as root (FUZZ_SECONDS=600 in all)
	@$(need_root)$(INSTALL_PACKAGES) build fuzz
	@$(MAKE) --no-print-directory explore

.PHONY: explore
explore: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do name=$$(basename $$fuzzer -fuzz); \
		mkdir -p $(BUILD)/fuzz/$$name-corpus; \
		$$fuzzer -max_total_time=$$(($(FUZZ_SECONDS) / $(words $(FUZZERS)))) \
			-max_len=32768 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(BUILD)/fuzz/$$name- \
			$(BUILD)/fuzz/$$name-corpus tests/fuzz/$$name-seeds || { \
			echo "Keep the input in tests/fuzz/$$name-seeds/, and mend the code."; exit 1; }; done

# Only what is known, each time the same.
.PHONY: check-fuzz
check-fuzz: $(FUZZERS) ## the fuzz targets' seeds, and all that "make fuzz" ever found
	@$(PART) fuzz tests/fuzz/replay $(FUZZERS)

# With the sanitizers in all of it: compiled anew from the rooms' sources.
FUZZED_report := plugin/report/*.c plugin/text/*.c
FUZZED_spf := tests/programs/spf-zone.c plugin/spf/*.c plugin/spf/service/spf-*.c plugin/text/*.c
FUZZED_received := plugin/spf/*.c plugin/text/*.c
FUZZED_ask := plugin/spf/spf-protocol.c plugin/spf/spf-addresses.c plugin/spf/spf-result.c plugin/text/text.c
FUZZED_serial := $(SERIAL_SOURCES) plugin/verdict/tag.c
FUZZED_answer := milter/doveadm/doveadm-answer.c milter/text.c
FUZZ_LIBS_answer = $(shell pkg-config --libs json-c)
FUZZED_line := milter/line-request.c $(wildcard milter/message*.c) milter/config.c milter/text.c $(SERIAL_SOURCES)
define FUZZ_RULE
$(BUILD)/fuzz/$(1)-fuzz: tests/fuzz/$(1)-fuzz.c $(wildcard $(FUZZED_$(1)) $(dir $(FUZZED_$(1)))*.h)
	@mkdir -p $$(@D)
	$$(Q)clang $$(FUZZ_FLAGS) $$(OUR_CFLAGS) $$(DOVECOT_CFLAGS) $$(LIB_CFLAGS) -o $$@ $$(filter %.c,$$^) \
		$$(DOVECOT_LIBS) $$(LIB_LIBS) $$(SPF_LIBS) $(FUZZ_LIBS_$(1))
endef
$(foreach name,report spf received ask serial line answer,$(eval $(call FUZZ_RULE,$(name))))

# What needs the packages runs in a make of its own: this one has looked for
# dovecot-config before they were there.
.PHONY: check
check: ## build and run all tests, as root; ends with their counts
	@$(need_root)$(INSTALL_PACKAGES) $(TEST_PACKAGES)
	@rm -rf $(BUILD)/check
	@$(MAKE) --no-print-directory -j $$(nproc) tests
	@$(MAKE) --no-print-directory -k check-unit check-corpus check-spf check-fuzz check-e2e; \
		status=$$?; tests/tools/summary $(BUILD)/check; exit $$status

# All that they need built.
.PHONY: tests
tests: all $(UNIT_TESTS) $(FUZZERS) $(PROGRAMS) $(E2E_PROGRAMS)

.PHONY: check-2.4
check-2.4: ## the same in a Debian 13 folder, with Dovecot 2.4 (debootstrap, as root)
	@$(need_root)$(INSTALL_PACKAGES) debian13
	@CORPUS="$(CORPUS)" SPF_SUITE="$(SPF_SUITE)" tests/tools/debian13

.PHONY: check-unit
check-unit: all $(UNIT_TESTS) check-conf ## unit tests, the arrows between the rooms, conf.d
	@$(PART) rooms tests/tools/rooms
	@$(PART) unit $(if $(filter 0,$(shell id -u)),tests/tools/apart) tests/unit/run $(UNIT_TESTS)

# Several at a time (python3-pytest-xdist): they wait now and then. On two processors six at a time took longer than four.
PYTEST_JOBS ?= 4
# under which name their counts are kept
E2E ?= e2e
.PHONY: check-e2e
check-e2e: all $(E2E_PROGRAMS) ## end-to-end tests only (PYTEST_ARGS="-k sieve")
	@$(need_root)tests/tools/fetch-mtas
	@$(PART) $(E2E) tests/tools/apart $(PYTHON) -m pytest -q -rs -n $(PYTEST_JOBS) tests/e2e $(PYTEST_ARGS)

.PHONY: demo
demo: ## the main job, shown on real messages, as root
	@$(need_root)$(INSTALL_PACKAGES) build demo
	@$(MAKE) --no-print-directory -s -j $$(nproc) all
	@$(PYTHON) tests/demo.py

.PHONY: bench
bench: ## what the plugin costs, as ratios (as root)
	@$(need_root)$(INSTALL_PACKAGES) build demo test bench
	$(MAKE) all $(BUILD)/tests/bench/report-bench $(BUILD)/tests/bench/log-size $(BUILD)/tests/programs/spf-suite-check
	BUILD=$(BUILD) tests/bench/spf-bench
	$(BUILD)/tests/bench/report-bench $(wildcard $(CORPUS)/eml/sisimai-*.eml) \
		$(wildcard tests/fuzz/report-seeds/*.eml)
	rm -rf $(BUILD)/tests/bench/logs && mkdir $(BUILD)/tests/bench/logs
	$(BUILD)/tests/bench/log-size $(BUILD)/tests/bench/logs
	$(PYTHON) tests/bench/bench.py
	tests/tools/apart tests/bench/dead-domain
	$(if $(MILTER),tests/tools/apart tests/bench/milter-bench)

$(BUILD)/tests/bench/log-size: $(BUILD)/tests/bench/log-size.o $(BUILD)/sent-log.a $(BUILD)/sent-log/store.a
	$(Q)$(CC) -o $@ $^ $(LIB_LIBS)

$(BUILD)/tests/bench/report-bench: $(BUILD)/tests/bench/report-bench.o $(BUILD)/report.a $(BUILD)/text.a
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS)

# The commented configuration, for each Dovecot, from one source: the other one's lines go,
# the marks of this one's go, and what stands inside of plugin { } is indented.
CONFS := conf.d/95-backscatter.conf conf.d/95-backscatter-2.4.conf
MADE_CONFS := $(addprefix $(BUILD)/,$(CONFS))
$(MADE_CONFS): conf.d/95-backscatter.conf.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e '/^#|/d; /^$(if $(findstring 2.4,$@),2.3,2.4)|/d; s/^2\.[34]|//' \
		-e '/^plugin {$$/,/^}$$/ { /^plugin {$$/b; /^}$$/b; s/^./  &/ }' $< > $@

.PHONY: conf
conf: $(MADE_CONFS) ## the two files of conf.d, from their source
	cp $(MADE_CONFS) conf.d/

.PHONY: check-conf
check-conf: $(MADE_CONFS)
	@$(PART) conf sh -c 'for file in $(CONFS); do diff -u $$file $(BUILD)/$$file || { \
		echo "$$file is not what its source makes: make conf"; exit 1; }; done; \
		echo "conf.d: $(words $(CONFS)) files are what their source makes"'

# The one for this Dovecot, under one name.
CONF := conf.d/95-backscatter$(if $(SETTINGS_MODULE),-2.4).conf
CONF_DIR = $(DESTDIR)/etc/dovecot/conf.d

# Where the MTAs' configurations in conf.d/ look for them.
INSTALLED_MILTER := $(DESTDIR)$(PREFIX)/sbin/backscatter-milter $(DESTDIR)$(PREFIX)/libexec/backscatter/filter-backscatter
UNITS := $(wildcard milter/systemd/*)
UNIT_DIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
MAN_PAGES := $(wildcard docs/man/*.8)
MAN_DIR := $(DESTDIR)$(PREFIX)/share/man/man8

.PHONY: install-milter
install-milter: milter ## the milter and OpenSMTPD's filter only, where Dovecot is on another host
	for program in $(INSTALLED_MILTER); do \
		install -D -m 755 $(BUILD)/*/$${program##*/} $$program; done
	install -D -m 644 -t $(UNIT_DIR) $(UNITS)
	sed -i 's|=/usr/sbin/|=$(PREFIX)/sbin/|' $(UNIT_DIR)/backscatter-milter.service
	install -D -m 644 -t $(MAN_DIR) $(MAN_PAGES)

.PHONY: install
install: all $(if $(MILTER),install-milter) ## into the directories of dovecot-config, below DESTDIR
	install -d $(CONF_DIR)
	for module in $(patsubst $(BUILD)/modules/%,%,$(MODULES)); do \
		install -D -m 644 $(BUILD)/modules/$$module $(DESTDIR)$(MODULE_DIR)/$$module; done
	install -D -m 755 $(SPF_SERVICE) $(DESTDIR)$(LIBEXEC_DIR)/$(notdir $(SPF_SERVICE))
	@if test -e $(CONF_DIR)/95-backscatter.conf; then \
		cmp -s $(CONF) $(CONF_DIR)/95-backscatter.conf || \
			echo "$(CONF_DIR)/95-backscatter.conf is kept: compare it with $(CONF)"; \
	else install -m 644 $(CONF) $(CONF_DIR)/95-backscatter.conf; fi

.PHONY: uninstall-milter
uninstall-milter: ## the milter and OpenSMTPD's filter only; its spool, keys and configuration stay
	rm -f $(INSTALLED_MILTER) $(patsubst milter/systemd/%,$(UNIT_DIR)/%,$(UNITS)) \
		$(patsubst docs/man/%,$(MAN_DIR)/%,$(MAN_PAGES))
	@! test -d $(DESTDIR)$(PREFIX)/libexec/backscatter || \
		rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/libexec/backscatter

.PHONY: uninstall
uninstall: ## after the configuration was taken out; the users' logs stay
	@! test -e $(CONF_DIR)/95-backscatter.conf || { \
		echo "First take $(CONF_DIR)/95-backscatter.conf out and reload Dovecot:"; \
		echo "it asks for the plugin, and without it nothing is delivered."; exit 1; }
	@! test -e $(CONF_DIR)/96-backscatter-milter.conf || { \
		echo "First remove the milter: docs/milter.md, \"Upgrade and remove\". There is still"; \
		echo "$(CONF_DIR)/96-backscatter-milter.conf."; exit 1; }
	rm -f $(patsubst $(BUILD)/modules/%,$(DESTDIR)$(MODULE_DIR)/%,$(MODULES)) \
		$(DESTDIR)$(LIBEXEC_DIR)/$(notdir $(SPF_SERVICE))
	$(MAKE) uninstall-milter

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "  %-16s %s\n", $$1, $$2 }'

# kept: make would remove them as intermediate files
.SECONDARY:

-include $(shell find $(BUILD)/plugin $(BUILD)/milter $(BUILD)/tests -name '*.d' -type f 2>/dev/null)
