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
LDFLAGS ?= -Wl,-z,relro -Wl,-z,now -Wl,--as-needed

# The rooms (DESIGN.md, section 10): every .c in them is part of them.
SENT_LOG_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/sent-log/*.c))
REPORT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/report/*.c))
VERDICT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/verdict/*.c))
COMPAT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard plugin/compat/*.c))
ROOM_OBJS := $(REPORT_OBJS) $(VERDICT_OBJS) $(SENT_LOG_OBJS)

ADAPTER_SRCS := plugin/backscatter-settings.c plugin/mailbox-log.c \
	plugin/judge.c plugin/sent-copy.c
DOVEADM_SRCS := $(wildcard plugin/doveadm*.c)
PLUGIN_SRCS := $(filter-out $(ADAPTER_SRCS) $(DOVEADM_SRCS),$(wildcard plugin/*.c))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
SHARED_OBJS := $(call objects,$(ADAPTER_SRCS)) $(ROOM_OBJS) $(COMPAT_OBJS)

PLUGIN := $(BUILD)/modules/lib95_backscatter_plugin.so
DOVEADM_PLUGIN := $(BUILD)/modules/doveadm/lib10_doveadm_backscatter_plugin.so
# Dovecot 2.4 asks a module of its own for a plugin's settings.
DOVECOT_MINOR := $(shell sed -n 's/^.define DOVECOT_VERSION_MINOR //p' \
	$(call dovecot_var,dovecot_pkgincludedir)/config.h 2>/dev/null)
SETTINGS_MODULE := $(if $(filter-out 3,$(DOVECOT_MINOR)),$(BUILD)/modules/settings/libbackscatter_settings.so)
MODULES := $(PLUGIN) $(DOVEADM_PLUGIN) $(SETTINGS_MODULE)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test-*.c))

.PHONY: all
all: $(MODULES) ## build the modules

# imap and doveadm lack the symbols of lib-lda: hence -ldovecot-lda.
$(PLUGIN): $(call objects,$(PLUGIN_SRCS)) $(SHARED_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ -L$(LIBDOVECOT_DIR) -Wl,-rpath,$(LIBDOVECOT_DIR) -ldovecot-lda $(LIB_LIBS)

$(DOVEADM_PLUGIN): $(call objects,$(DOVEADM_SRCS)) $(SHARED_OBJS)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ $(LIB_LIBS)

# No storage symbols in it, or doveconf can't load it.
$(BUILD)/modules/settings/libbackscatter_settings.so: \
		$(call objects,$(wildcard plugin/compat/settings-module/*.c) plugin/backscatter-settings.c \
		plugin/compat/setting-info.c plugin/compat/compat-interval.c plugin/verdict/action.c \
		plugin/report/report-class.c plugin/sent-log/sent-log-names.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^

# The sent log's room knows no Dovecot.
$(BUILD)/plugin/sent-log/%.o: plugin/sent-log/%.c $(BUILD)/gen/sent-log-migrations.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.c
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
$(BUILD)/tests/unit/test-sent-log%: $(BUILD)/tests/unit/test-sent-log%.o $(SENT_LOG_OBJS)
	$(Q)$(CC) -o $@ $^ $(LIB_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-report%: $(BUILD)/tests/unit/test-report%.o $(REPORT_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/test-settings: $(BUILD)/tests/unit/test-settings.o \
		$(call objects,plugin/backscatter-settings.c) $(COMPAT_OBJS) $(ROOM_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) -ldovecot-storage $(LIB_LIBS) $(UNIT_LIBS)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(ROOM_OBJS)
	$(Q)$(CC) -o $@ $^ $(DOVECOT_LIBS) $(LIB_LIBS) $(UNIT_LIBS)

.PHONY: deps
deps: ## install the Debian packages that are missing (as root)
	tests/e2e/install-packages

# The corpus is not part of the tree: real bounces, ham and spam, beside it.
CORPUS ?= ../shared/corpus
.PHONY: check-corpus
check-corpus: all ## the report reader on real mail (CORPUS=folder)
	@if [ -e $(CORPUS)/manifest.tsv ]; then tests/check-corpus $(CORPUS); \
		else echo "check-corpus: skipped, no $(CORPUS)/manifest.tsv"; fi

# clang's libFuzzer with ASan and UBSan: one target per parser, seeds beside it.
FUZZ_SECONDS ?= 600
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*-fuzz.c))
.PHONY: fuzz
fuzz: deps $(FUZZERS) ## fuzz each parser (FUZZ_SECONDS=600 in all)
	@for fuzzer in $(FUZZERS); do name=$$(basename $$fuzzer -fuzz); \
		mkdir -p $(BUILD)/fuzz/$$name-corpus; \
		$$fuzzer -max_total_time=$$(($(FUZZ_SECONDS) / $(words $(FUZZERS)))) \
			-max_len=32768 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(BUILD)/fuzz/$$name- \
			$(BUILD)/fuzz/$$name-corpus tests/fuzz/$$name-seeds || exit 1; done

$(BUILD)/fuzz/report-fuzz: tests/fuzz/report-fuzz.c $(wildcard plugin/report/*.[ch])
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(OUR_CFLAGS) $(DOVECOT_CFLAGS) -o $@ $(filter %.c,$^) $(DOVECOT_LIBS)

# What needs the packages runs in a make of its own: this one has looked for
# dovecot-config before they were there.
.PHONY: check
check: deps ## build and run all tests, as root; ends with their counts
	$(MAKE) check-unit check-corpus check-fuzz check-e2e

.PHONY: check-fuzz
check-fuzz: $(FUZZERS)
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=20

.PHONY: check-2.4
check-2.4: deps ## the same in a Debian 13 folder, with Dovecot 2.4 (debootstrap, as root)
	tests/debian13

.PHONY: check-unit
check-unit: all $(UNIT_TESTS) ## unit tests only
	tests/unit/run $(UNIT_TESTS)

.PHONY: check-e2e
check-e2e: all ## end-to-end tests only (PYTEST_ARGS="-k sieve")
	tests/e2e/fetch-mtas
	$(PYTHON) -m pytest -q tests/e2e $(PYTEST_ARGS)

.PHONY: demo
demo: deps ## the main job, shown on real messages, as root
	@$(MAKE) --no-print-directory -s all
	@$(PYTHON) tests/e2e/demo.py

.PHONY: bench
bench: deps ## what the plugin costs, as ratios
	$(MAKE) all $(BUILD)/tests/bench/report-bench
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
