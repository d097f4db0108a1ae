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

# make V=1 shows the commands
Q = $(if $(V),,@echo '  $(if $(filter %.h,$@),GEN,$(if $(filter %.c,$<),CC,LD)) $@';)

WARNINGS := -Wall -W -Wmissing-prototypes -Wmissing-declarations \
	-Wpointer-arith -Wchar-subscripts -Wformat=2 -Wbad-function-cast \
	-Wstrict-aliasing=2
ifdef CI
WARNINGS += -Werror
endif
CFLAGS ?= -g -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2
OUR_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARNINGS) -MMD -MP \
	-Iplugin -I$(BUILD)/gen
DOVECOT_CFLAGS = -DHAVE_CONFIG_H $(call dovecot_var,LIBDOVECOT_INCLUDE)
LIB_CFLAGS = $(shell pkg-config --cflags sqlite3 libcrypto)
LIB_LIBS = $(shell pkg-config --libs sqlite3 libcrypto)
# Only plugin/spf/ needs them. (libspf2 has no pkg-config file.)
SPF_LIBS = -lspf2 $(shell pkg-config --libs libcares) -lresolv
LDFLAGS ?= -Wl,-z,relro -Wl,-z,now -Wl,--as-needed

# The rooms: every .c in them is part of them.
SENT_LOG_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/sent-log/*.c))
REPORT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/report/*.c))
VERDICT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/verdict/*.c))
SPF_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/spf/*.c))
# what checking a setting needs of it
SPF_SETTING_OBJS := $(BUILD)/plugin/spf/spf-dns-servers.o $(BUILD)/plugin/spf/spf-networks.o
COMPAT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/compat/*.c))
ROOM_OBJS := $(REPORT_OBJS) $(VERDICT_OBJS) $(SENT_LOG_OBJS)

ADAPTER_SRCS := plugin/backscatter-settings.c plugin/spf-settings.c plugin/mailbox-log.c \
	plugin/mailbox-keys.c plugin/judge.c plugin/sent-copy.c \
	plugin/delivery-mail.c plugin/quarantine.c plugin/rejudge.c \
	plugin/sender-addresses.c $(wildcard plugin/sent/*.c)
DOVEADM_SRCS := $(wildcard plugin/doveadm*.c)
SUBMISSION_SRCS := $(wildcard plugin/submission*.c) plugin/outgoing-message.c \
	plugin/outgoing-senders.c
PLUGIN_SRCS := $(filter-out $(ADAPTER_SRCS) $(DOVEADM_SRCS) $(SUBMISSION_SRCS),$(wildcard plugin/*.c))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
SHARED_OBJS := $(call objects,$(ADAPTER_SRCS)) $(ROOM_OBJS) $(SPF_OBJS) $(COMPAT_OBJS)

PLUGIN := $(BUILD)/modules/lib95_backscatter_plugin.so
SUBMISSION_PLUGIN := $(BUILD)/modules/lib95_submission_backscatter_plugin.so
DOVEADM_PLUGIN := $(BUILD)/modules/doveadm/lib10_doveadm_backscatter_plugin.so
# Dovecot 2.4 asks a module of its own for a plugin's settings.
DOVECOT_MINOR := $(shell sed -n 's/^.define DOVECOT_VERSION_MINOR //p' \
	$(call dovecot_var,dovecot_pkgincludedir)/config.h 2>/dev/null)
SETTINGS_MODULE := $(if $(filter-out 3,$(DOVECOT_MINOR)),$(BUILD)/modules/settings/libbackscatter_settings.so)
MODULES := $(PLUGIN) $(SUBMISSION_PLUGIN) $(DOVEADM_PLUGIN) $(SETTINGS_MODULE)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test-*.c))

.PHONY: all
all: $(MODULES) ## build the modules

# Each module takes from it what it needs, and so loads no library that it doesn't.
$(BUILD)/shared.a: $(SHARED_OBJS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# imap and doveadm lack the symbols of lib-lda: hence -ldovecot-lda.
$(PLUGIN): $(call objects,$(PLUGIN_SRCS)) $(BUILD)/shared.a
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ -L$(LIBDOVECOT_DIR) -Wl,-rpath,$(LIBDOVECOT_DIR) -ldovecot-lda $(LIB_LIBS) $(SPF_LIBS)

$(SUBMISSION_PLUGIN): $(call objects,$(SUBMISSION_SRCS)) $(BUILD)/shared.a
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(DOVEADM_PLUGIN): $(call objects,$(DOVEADM_SRCS)) $(BUILD)/shared.a
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(SPF_LIBS)

# No storage symbols in it, or doveconf can't load it.
$(BUILD)/modules/settings/libbackscatter_settings.so: \
		$(call objects,$(wildcard plugin/compat/settings-module/*.c) plugin/backscatter-settings.c \
		plugin/spf-settings.c $(patsubst $(BUILD)/%.o,%.c,$(SPF_SETTING_OBJS)) \
		plugin/compat/setting-info.c plugin/compat/compat-interval.c plugin/verdict/action.c \
		plugin/report/report-class.c plugin/sent-log/sent-log-names.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^

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

# The sent log's room knows no Dovecot.
$(BUILD)/plugin/sent-log/%.o: plugin/sent-log/%.c $(BUILD)/gen/sent-log-migrations.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.c $(DOVECOT_ABI)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) -c -o $@ $<

# sql/NNN-*.sql, in order, as C strings: the index is user_version - 1.
$(BUILD)/gen/sent-log-migrations.h: $(wildcard sql/*.sql) Makefile
	@mkdir -p $(@D)
	$(Q){ echo 'static const char *const sent_log_migrations[] = {'; \
	  for file in $(sort $(wildcard sql/*.sql)); do \
	    echo "/* $$file */"; \
	    sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$file; echo ','; \
	  done; echo '};'; } > $@.tmp && mv $@.tmp $@

# tests/unit/test-ROOM.c is linked with the rooms that it may know, and no other.
UNIT_LIBS = -lcmocka
DOVECOT_LIBS = -L$(LIBDOVECOT_DIR) -Wl,-rpath,$(LIBDOVECOT_DIR) -ldovecot
$(BUILD)/tests/unit/test-sent-log-migrate.o: $(BUILD)/gen/sent-log-migrations.h
$(BUILD)/tests/unit/test-sent-log%: $(BUILD)/tests/unit/test-sent-log%.o $(SENT_LOG_OBJS)
	$(Q)$(CC) -o $@ $^ $(LIB_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-serial $(BUILD)/tests/unit/test-site-key: %: %.o $(SENT_LOG_OBJS)
	$(Q)$(CC) -o $@ $^ $(LIB_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-report%: $(BUILD)/tests/unit/test-report%.o $(REPORT_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-outgoing-message: $(BUILD)/tests/unit/test-outgoing-message.o \
		$(call objects,plugin/outgoing-message.c plugin/outgoing-senders.c) \
		$(REPORT_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-settings: $(BUILD)/tests/unit/test-settings.o \
		$(call objects,plugin/backscatter-settings.c plugin/spf-settings.c) \
		$(COMPAT_OBJS) $(ROOM_OBJS) $(SPF_SETTING_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) -ldovecot-storage $(LIB_LIBS) $(UNIT_LIBS)
# The part of the room spf that reads and writes headers needs no libspf2.
SPF_HEADER_SRCS := $(addprefix plugin/spf/spf-,result.c fields.c networks.c \
	received.c received-parts.c received-peer.c origin.c results-field.c \
	received-spf-field.c trusted.c views.c forged.c header.c)
SPF_HEADER_TESTS := $(addprefix $(BUILD)/tests/,unit/test-spf-received \
	unit/test-spf-origin unit/test-spf-trusted unit/test-spf-header unit/test-spf-forged \
	received-origin)
$(SPF_HEADER_TESTS): $(BUILD)/%: $(BUILD)/%.o $(call objects,$(SPF_HEADER_SRCS))
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(UNIT_LIBS)
SPF_ZONE_OBJS := $(SPF_OBJS) $(call objects,tests/spf-zone.c)
$(BUILD)/tests/unit/test-spf-record $(BUILD)/tests/unit/test-spf-dns $(BUILD)/tests/unit/test-spf-check: \
		%: %.o $(SPF_ZONE_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(SPF_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(ROOM_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(LIB_LIBS) $(UNIT_LIBS)

# Says so in one line, before anything is done.
need_root = $(if $(filter-out 0,$(shell id -u)),$(error run make $@ as root))
INSTALL_PACKAGES := tests/e2e/install-packages
# Of all tests; what the others need: see there.
TEST_PACKAGES := build demo test fuzz

.PHONY: deps
deps: ## install the Debian packages that are missing, of every target (as root)
	@$(need_root)$(INSTALL_PACKAGES)

# Keeps what each part of the tests says, for the counts at the end.
PART := BUILD=$(BUILD) tests/part

# The corpus is not part of the tree: real bounces, ham and spam, beside it.
CORPUS ?= ../shared/corpus
.PHONY: check-corpus
check-corpus: all $(BUILD)/tests/corpus-verdict ## the report reader on real mail (CORPUS=folder)
	@$(PART) corpus sh -c 'if [ -e $(CORPUS)/manifest.tsv ]; then tests/check-corpus $(CORPUS); \
		else echo "skipped: check-corpus: no $(CORPUS)/manifest.tsv"; fi'

$(BUILD)/tests/corpus-verdict: $(BUILD)/tests/corpus-verdict.o $(ROOM_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(LIB_LIBS)

# RFC 7208's suite is not part of the tree either. Any other in its format will do.
SPF_SUITE ?= ../shared/spf/rfc7208-tests.yml
.PHONY: check-spf
check-spf: $(BUILD)/tests/spf-suite-check ## SPF evaluation with a public suite (SPF_SUITE=file.yml)
	@$(PART) spf sh -c 'if [ -e $(SPF_SUITE) ]; then tests/spf-suite $(SPF_SUITE); \
		else echo "skipped: check-spf: no $(SPF_SUITE)"; fi'

$(BUILD)/tests/spf-suite-check: $(BUILD)/tests/spf-suite-check.o $(SPF_ZONE_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(SPF_LIBS)

# clang's libFuzzer with ASan and UBSan: one target per parser. The seeds beside it are also
# all that was ever found: what "make fuzz" finds becomes one of them.
FUZZ_SECONDS ?= 600
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*-fuzz.c))
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

$(BUILD)/fuzz/report-fuzz: tests/fuzz/report-fuzz.c $(wildcard plugin/report/*.[ch])
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) -o $@ $(filter %.c,$^) $(DOVECOT_LIBS)

$(BUILD)/fuzz/spf-fuzz: tests/fuzz/spf-fuzz.c tests/spf-zone.c $(wildcard plugin/spf/*.[ch])
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(OUR_CFLAGS) -Itests $(DOVECOT_CFLAGS) -o $@ $(filter %.c,$^) $(DOVECOT_LIBS) $(SPF_LIBS)

$(BUILD)/fuzz/serial-fuzz: tests/fuzz/serial-fuzz.c plugin/sent-log/serial.c \
		plugin/sent-log/hmac-sha256.c plugin/verdict/tag.c \
		$(wildcard plugin/sent-log/*.h) plugin/verdict/tag.h
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) $(LIB_CFLAGS) -o $@ $(filter %.c,$^) $(DOVECOT_LIBS) $(LIB_LIBS)

$(BUILD)/fuzz/received-fuzz: tests/fuzz/received-fuzz.c $(SPF_HEADER_SRCS)
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) -o $@ $(filter %.c,$^) $(DOVECOT_LIBS)

# What needs the packages runs in a make of its own: this one has looked for
# dovecot-config before they were there.
.PHONY: check
check: ## build and run all tests, as root; ends with their counts
	@$(need_root)$(INSTALL_PACKAGES) $(TEST_PACKAGES)
	@rm -rf $(BUILD)/check
	@$(MAKE) --no-print-directory -j $$(nproc) tests
	@$(MAKE) --no-print-directory -k check-unit check-corpus check-spf check-fuzz check-e2e; \
		status=$$?; tests/summary $(BUILD)/check; exit $$status

# All that they need built.
.PHONY: tests
tests: all $(UNIT_TESTS) $(FUZZERS) $(BUILD)/tests/spf-suite-check $(BUILD)/tests/received-origin \
	$(BUILD)/tests/corpus-verdict

.PHONY: check-2.4
check-2.4: ## the same in a Debian 13 folder, with Dovecot 2.4 (debootstrap, as root)
	@$(need_root)$(INSTALL_PACKAGES) debian13
	@CORPUS="$(CORPUS)" SPF_SUITE="$(SPF_SUITE)" tests/debian13

.PHONY: check-unit
check-unit: all $(UNIT_TESTS) ## unit tests only
	@$(PART) unit $(if $(filter 0,$(shell id -u)),tests/apart) tests/unit/run $(UNIT_TESTS)

# Several at a time (python3-pytest-xdist): they wait more than they work.
PYTEST_JOBS ?= 4
# under which name their counts are kept
E2E ?= e2e
.PHONY: check-e2e
check-e2e: all $(BUILD)/tests/received-origin ## end-to-end tests only (PYTEST_ARGS="-k sieve")
	@$(need_root)tests/e2e/fetch-mtas
	@$(PART) $(E2E) tests/apart $(PYTHON) -m pytest -q -rs -n $(PYTEST_JOBS) tests/e2e $(PYTEST_ARGS)

.PHONY: demo
demo: ## the main job, shown on real messages, as root
	@$(need_root)$(INSTALL_PACKAGES) build demo
	@$(MAKE) --no-print-directory -s -j $$(nproc) all
	@$(PYTHON) tests/e2e/demo.py

.PHONY: bench
bench: ## what the plugin costs, as ratios (as root)
	@$(need_root)$(INSTALL_PACKAGES) build demo test bench
	$(MAKE) all $(BUILD)/tests/bench/report-bench $(BUILD)/tests/spf-suite-check
	BUILD=$(BUILD) tests/bench/spf-bench
	$(BUILD)/tests/bench/report-bench $(wildcard $(CORPUS)/eml/sisimai-*.eml) \
		$(wildcard tests/fuzz/report-seeds/*.eml)
	$(PYTHON) tests/bench/bench.py

$(BUILD)/tests/bench/report-bench: $(BUILD)/tests/bench/report-bench.o $(REPORT_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS)

# The commented configuration is the one for this Dovecot, under one name.
CONF := conf.d/95-backscatter$(if $(SETTINGS_MODULE),-2.4).conf
CONF_DIR = $(DESTDIR)/etc/dovecot/conf.d

.PHONY: install
install: all ## into the directories of dovecot-config, below DESTDIR
	install -d $(CONF_DIR)
	for module in $(patsubst $(BUILD)/modules/%,%,$(MODULES)); do \
		install -D -m 644 $(BUILD)/modules/$$module $(DESTDIR)$(MODULE_DIR)/$$module; done
	test -e $(CONF_DIR)/95-backscatter.conf || \
		install -m 644 $(CONF) $(CONF_DIR)/95-backscatter.conf

.PHONY: uninstall
uninstall: ## after the configuration was taken out; the users' logs stay
	@! test -e $(CONF_DIR)/95-backscatter.conf || { \
		echo "First take $(CONF_DIR)/95-backscatter.conf out and reload Dovecot:"; \
		echo "it asks for the plugin, and without it nothing is delivered."; exit 1; }
	rm -f $(patsubst $(BUILD)/modules/%,$(DESTDIR)$(MODULE_DIR)/%,$(MODULES))

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "  %-12s %s\n", $$1, $$2 }'

# kept: make would remove them as intermediate files
.SECONDARY:

-include $(shell find $(BUILD)/plugin $(BUILD)/tests -name '*.d' -type f 2>/dev/null)
