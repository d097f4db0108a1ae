/* Reads the configuration. Whether the files, users and sockets that it names are there
   is for those to find out who need them. */

#include "config.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILE_MAX_SIZE (64 * 1024)
/* of a value in an error */
#define SHOWN_MAX 200

/* Each of them parses a value into a member of struct config. Returns false if it is
   none. */
typedef bool config_parse_t(const char *value, void *member);

static bool parse_text(const char *value, void *member)
{
	*(char **)member = text_copy(value);
	return true;
}

static bool is_path(const char *value)
{
	return value[0] == '/' && value[1] != '\0';
}

static bool parse_path(const char *value, void *member)
{
	return is_path(value) && parse_text(value, member);
}

static bool parse_path_or_none(const char *value, void *member)
{
	return (*value == '\0' || is_path(value)) && parse_text(value, member);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* PORT; end: what follows */
static bool is_port(const char *text, const char *end)
{
	char *parsed;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return false;
	port = strtoul(text, &parsed, 10);
	return parsed == end && port > 0 && port <= 65535;
}

static bool parse_socket(const char *value, void *member)
{
	const char *at = strchr(value, '@');
	const char *colon = strchr(value, ':');
	bool valid = *value == '\0';

	if (starts_with(value, "unix:") || starts_with(value, "local:"))
		valid = is_path(colon + 1);
	else if (starts_with(value, "inet:") || starts_with(value, "inet6:")) {
		valid = at != NULL && at[1] != '\0' && is_port(colon + 1, at);
	}
	return valid && parse_text(value, member);
}

static bool parse_doveadm_socket(const char *value, void *member)
{
	static const char http[] = "http://";
	const char *host, *colon;

	if (is_path(value))
		return parse_text(value, member);
	if (!starts_with(value, http))
		return false;
	host = value + strlen(http);
	colon = strrchr(host, ':');
	return colon != NULL && colon > host &&
		strpbrk(host, "/ \t@?#") == NULL &&
		is_port(colon + 1, colon + strlen(colon)) &&
		parse_text(value, member);
}

/* No rights for others: whoever may write to the socket has serials issued. */
static bool parse_mode(const char *value, void *member)
{
	char *end;
	unsigned long mode;

	if (*value < '0' || *value > '7')
		return false;
	mode = strtoul(value, &end, 8);
	*(mode_t *)member = (mode_t)mode;
	return *end == '\0' && (mode & 0600) == 0600 && mode <= 0770 &&
		(mode & 07) == 0;
}

static bool parse_number(const char *value, unsigned long max, void *member)
{
	char *end;
	unsigned long number;

	if (*value < '0' || *value > '9')
		return false;
	number = strtoul(value, &end, 10);
	*(unsigned int *)member = (unsigned int)number;
	return *end == '\0' && number > 0 && number <= max;
}

static bool parse_rows(const char *value, void *member)
{
	return parse_number(value, 100000000, member);
}

static bool parse_connections(const char *value, void *member)
{
	return parse_number(value, 100, member);
}

static bool parse_sender_check(const char *value, void *member)
{
	static const char *const names[] = {
		[SENDER_CHECK_OFF] = "off",
		[SENDER_CHECK_LOG] = "log",
		[SENDER_CHECK_HEADER] = "header",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], value) == 0) {
			*(enum sender_check *)member = (enum sender_check)i;
			return true;
		}
	}
	return false;
}

static bool parse_yes_no(const char *value, void *member)
{
	*(bool *)member = strcasecmp(value, "yes") == 0;
	return *(bool *)member || strcasecmp(value, "no") == 0;
}

static bool parse_delimiter(const char *value, void *member)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == '@')
			return false;
	}
	return parse_text(value, member);
}

static bool parse_user(const char *value, void *member)
{
	return *value != '\0' && strpbrk(value, " \t:/") == NULL &&
		parse_text(value, member);
}

/* The table */

struct setting {
	const char *name, *default_value;
	size_t offset;
	config_parse_t *parse;
	const char *allowed;
};

#define SETTING(name, default_value, parse, allowed) \
	{ #name, default_value, offsetof(struct config, name), parse, allowed }
#define PATH "an absolute path"
#define YES_NO "yes and no"

static const struct setting settings[] = {
	SETTING(socket, "unix:/var/spool/postfix/backscatter/milter.sock",
		parse_socket, "unix:/PATH, inet:PORT@HOST, inet6:PORT@HOST, and "
		"nothing"),
	SETTING(line_socket, "", parse_path_or_none, PATH", and nothing"),
	SETTING(socket_mode, "0660", parse_mode, "0600, 0660 and the like, "
		"nothing for others"),
	SETTING(site_key, "/etc/dovecot/backscatter-site.key", parse_path, PATH),
	SETTING(spool, "/var/lib/backscatter-milter/spool.db", parse_path, PATH),
	SETTING(spool_max_rows, "100000", parse_rows, "1 to 100000000"),
	SETTING(doveadm_socket, "/run/dovecot/http",
		parse_doveadm_socket, PATH", and http://HOST:PORT"),
	SETTING(doveadm_api_key, "/etc/dovecot/backscatter-api.key", parse_path,
		PATH),
	SETTING(doveadm_connections, "4", parse_connections, "1 to 100"),
	SETTING(sender_check, "log", parse_sender_check,
		"off, log and header"),
	SETTING(envid, "yes", parse_yes_no, YES_NO),
	SETTING(tag, "no", parse_yes_no, YES_NO),
	SETTING(recipient_delimiter, "+", parse_delimiter,
		"printable ASCII characters but @"),
	SETTING(local_submissions, "no", parse_yes_no, YES_NO),
	SETTING(strict, "no", parse_yes_no, YES_NO),
	SETTING(user, "backscatter", parse_user, "the name of a user"),
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

static void *member_of(struct config *config, const struct setting *setting)
{
	return (char *)config + setting->offset;
}

/* Lines */

/* One reading of a text. */
struct reader {
	const char *path;
	struct config *config;
	unsigned int line;
	bool given[SETTING_COUNT];
	char **error_r;
};

static int
fail_line(struct reader *reader, const char *name, const char *value,
	  const char *problem)
{
	*reader->error_r = text_format("%s, line %u: %.*s%s%.*s: %s",
		reader->path, reader->line, SHOWN_MAX, name,
		*value == '\0' ? "" : " = ", SHOWN_MAX, value, problem);
	return -1;
}

static int fail_value(struct reader *reader, const struct setting *setting,
		      const char *value)
{
	char *problem = text_format("wrong value, allowed are %s",
				    setting->allowed);
	int ret = fail_line(reader, setting->name,
			    *value == '\0' ? "(empty)" : value, problem);

	free(problem);
	return ret;
}

/* Takes blanks from both ends. */
static char *trim(char *text)
{
	size_t size;

	text += strspn(text, " \t\r");
	size = strlen(text);
	while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL)
		size--;
	text[size] = '\0';
	return text;
}

static int read_line(struct reader *reader, char *line)
{
	const struct setting *setting;
	char *name = trim(line), *value = strchr(name, '=');

	if (*name == '\0' || *name == '#')
		return 0;
	if (value == NULL)
		return fail_line(reader, name, "", "not \"name = value\"");
	*value++ = '\0';
	name = trim(name);
	value = trim(value);
	setting = find_setting(name);
	if (setting == NULL)
		return fail_line(reader, name, value, "no such setting");
	if (reader->given[setting - settings])
		return fail_line(reader, name, value, "a second time");
	reader->given[setting - settings] = true;
	return setting->parse(value, member_of(reader->config, setting)) ? 0 :
		fail_value(reader, setting, value);
}

/* text: changed */
static int read_lines(struct reader *reader, char *text)
{
	char *next;

	for (char *line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		reader->line++;
		if (read_line(reader, line) < 0)
			return -1;
	}
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (!reader->given[i]) {
			(void)settings[i].parse(settings[i].default_value,
				member_of(reader->config, &settings[i]));
		}
	}
	return 0;
}

static int check_together(const char *path, const struct config *config,
			  char **error_r)
{
	if (*config->socket == '\0' && *config->line_socket == '\0') {
		*error_r = text_format("%s: socket and line_socket are empty: "
				       "nobody could ask", path);
		return -1;
	}
	if (config->tag && *config->recipient_delimiter == '\0') {
		*error_r = text_format("%s: tag = yes: needs a "
				       "recipient_delimiter", path);
		return -1;
	}
	return 0;
}

int config_parse(const char *path, const char *text, size_t size,
		 struct config *config_r, char **error_r)
{
	struct reader reader = {
		.path = path, .config = config_r, .error_r = error_r,
	};
	char *copy;
	int ret;

	memset(config_r, 0, sizeof(*config_r));
	if (size > FILE_MAX_SIZE || memchr(text, '\0', size) != NULL) {
		*error_r = text_format("%s: larger than %d bytes, or no text",
				       path, FILE_MAX_SIZE);
		return -1;
	}
	copy = text_format("%.*s", (int)size, text);
	ret = read_lines(&reader, copy);
	free(copy);
	if (ret == 0)
		ret = check_together(path, config_r, error_r);
	if (ret < 0)
		config_free(config_r);
	return ret;
}

int config_read(const char *path, struct config *config_r, char **error_r)
{
	char *text = memory_new(FILE_MAX_SIZE + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t size = 0;
	ssize_t got = -1;
	int ret = -1;

	while (fd >= 0 && size <= FILE_MAX_SIZE) {
		got = read(fd, text + size, FILE_MAX_SIZE + 1 - size);
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	if (fd < 0 || got < 0)
		*error_r = text_format("%s: %s", path, strerror(errno));
	else
		ret = config_parse(path, text, size, config_r, error_r);
	if (fd >= 0)
		(void)close(fd);
	free(text);
	return ret;
}

void config_free(struct config *config)
{
	free(config->socket);
	free(config->line_socket);
	free(config->site_key);
	free(config->spool);
	free(config->doveadm_socket);
	free(config->doveadm_api_key);
	free(config->recipient_delimiter);
	free(config->user);
	memset(config, 0, sizeof(*config));
}

const char *config_socket_path(const struct config *config)
{
	return starts_with(config->socket, "unix:") ||
		starts_with(config->socket, "local:") ?
		strchr(config->socket, ':') + 1 : NULL;
}
