/* The site key's file: reading it, and adding a key to it. Stands on serial.c and hmac.c
   alone, so that a program without a log can issue serials. */

#include "site-key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Comments and all; also what is read where somebody names a wrong file. */
#define FILE_MAX_SIZE (64 * 1024)
/* "YYYY-MM-DD " */
#define DATE_SIZE 11
#define LINE_SIZE (DATE_SIZE + 2 * SERIAL_SECRET_SIZE + 1)
#define MODE_BITS 0777
#define MODE_OTHERS (S_IROTH | S_IWOTH)

/* A file as it was read. */
struct key_file {
	const char *path;
	/* with room for one more key, on a line of its own */
	char text[FILE_MAX_SIZE + LINE_SIZE + 2];
	size_t size;
	struct stat st;
};

static char *format_args(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

static char *text_new(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
static char *text_new(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	return text;
}

/* Returns -1. */
static int fail(const char *path, char **error_r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(const char *path, char **error_r, const char *format, ...)
{
	va_list args;
	char *reason;

	va_start(args, format);
	reason = format_args(format, args);
	va_end(args);
	*error_r = text_new("site key %s: %s", path, reason);
	free(reason);
	return -1;
}

static int fail_errno(const char *path, const char *what, char **error_r)
{
	return fail(path, error_r, "can't %s: %s", what, strerror(errno));
}

/* Reading */

static int check_file(const struct key_file *file, char **error_r)
{
	if (!S_ISREG(file->st.st_mode))
		return fail(file->path, error_r, "not a regular file");
	if ((file->st.st_mode & (MODE_OTHERS | S_IWGRP)) != 0) {
		return fail(file->path, error_r,
			"%s it (mode %04o): chmod %s it, and rotate the key",
			(file->st.st_mode & MODE_OTHERS) != 0 ?
				"all users of this host may read or write" :
				"its group may write",
			(unsigned int)file->st.st_mode & MODE_BITS,
			(file->st.st_mode & MODE_OTHERS) != 0 ? "g-w,o=" :
								"g-w");
	}
	/* Whoever owns it issues serials for every mailbox. Root reads it for
	   those who own it (doveadm). */
	if (file->st.st_uid != 0 && file->st.st_uid != geteuid() &&
	    geteuid() != 0) {
		return fail(file->path, error_r,
			"belongs to uid %u, neither to root nor to uid %u that "
			"mail is delivered as: chown it, and let a group read it "
			"if several do", (unsigned int)file->st.st_uid,
			(unsigned int)geteuid());
	}
	return file->st.st_size <= FILE_MAX_SIZE ? 0 :
		fail(file->path, error_r, "larger than %d bytes", FILE_MAX_SIZE);
}

static int read_all(struct key_file *file, int fd, char **error_r)
{
	ssize_t size;

	while (file->size < FILE_MAX_SIZE) {
		size = read(fd, file->text + file->size,
			    FILE_MAX_SIZE - file->size);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return fail_errno(file->path, "read it", error_r);
		if (size == 0)
			break;
		file->size += (size_t)size;
	}
	return 0;
}

static int key_file_read(struct key_file *file, const char *path,
			 char **error_r)
{
	/* a FIFO must not be waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int ret;

	memset(file, 0, sizeof(*file));
	file->path = path;
	if (fd < 0)
		return fail_errno(path, "open it", error_r);
	if (fstat(fd, &file->st) < 0)
		ret = fail_errno(path, "look at it", error_r);
	else {
		ret = check_file(file, error_r);
		if (ret == 0)
			ret = read_all(file, fd, error_r);
	}
	(void)close(fd);
	return ret;
}

/* Returns false if there is something else than exactly count digits. */
static bool parse_number(const char *text, unsigned int count, int *value_r)
{
	*value_r = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*value_r = *value_r * 10 + (text[i] - '0');
	}
	return true;
}

/* "YYYY-MM-DD " */
static bool parse_date(const char *text, time_t *date_r)
{
	struct tm tm, check;

	memset(&tm, 0, sizeof(tm));
	if (!parse_number(text, 4, &tm.tm_year) || text[4] != '-' ||
	    !parse_number(text + 5, 2, &tm.tm_mon) || text[7] != '-' ||
	    !parse_number(text + 8, 2, &tm.tm_mday) || text[10] != ' ')
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	check = tm;
	*date_r = timegm(&check);
	/* no 30th of February, which would be moved on */
	return *date_r > 0 && check.tm_mon == tm.tm_mon &&
	       check.tm_mday == tm.tm_mday;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static bool parse_secret(const char *text,
			 unsigned char secret_r[SERIAL_SECRET_SIZE])
{
	for (unsigned int i = 0; i < SERIAL_SECRET_SIZE; i++) {
		int high = hex_value(text[2 * i]);
		int low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		secret_r[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static size_t trimmed_size(const char *line, size_t size)
{
	while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t' ||
			    line[size - 1] == '\r'))
		size--;
	return size;
}

/* Returns 1, 0 if there is no key in this line, -1 if it is wrong. */
static int parse_line(const char *line, size_t size, struct serial_key *key_r)
{
	size = trimmed_size(line, size);
	if (size == 0 || line[0] == '#')
		return 0;
	memset(key_r, 0, sizeof(*key_r));
	if (size != LINE_SIZE - 1 || !parse_date(line, &key_r->created) ||
	    !parse_secret(line + DATE_SIZE, key_r->secret))
		return -1;
	return serial_key_set_id(key_r) < 0 ? -1 : 1;
}

/* The newest is last: of too many the first ones go. */
static void append_key(struct serial_keys *keys, const struct serial_key *key)
{
	if (keys->count == SERIAL_KEYS_MAX) {
		memmove(keys->keys, keys->keys + 1,
			(SERIAL_KEYS_MAX - 1) * sizeof(keys->keys[0]));
		keys->count--;
	}
	if (keys->count > 0)
		keys->keys[keys->count - 1].retired = key->created;
	keys->keys[keys->count++] = *key;
}

static int parse_text(const struct key_file *file, struct serial_keys *keys,
		      char **error_r)
{
	const char *end = file->text + file->size;
	unsigned int number = 1;
	struct serial_key key;
	size_t size;
	int ret = 0;

	for (const char *line = file->text; line < end && ret >= 0;
	     line += size + 1, number++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		size = (size_t)((newline != NULL ? newline : end) - line);
		ret = parse_line(line, size, &key);
		if (ret > 0)
			append_key(keys, &key);
		else if (ret < 0) {
			/* never what stands in it */
			(void)fail(file->path, error_r, "line %u is not "
				   "\"YYYY-MM-DD\" and %d hex digits", number,
				   2 * SERIAL_SECRET_SIZE);
		}
	}
	explicit_bzero(&key, sizeof(key));
	return ret < 0 ? -1 : 0;
}

int site_key_read(const char *path, struct serial_keys *keys_r, char **error_r)
{
	struct key_file file;
	int ret;

	memset(keys_r, 0, sizeof(*keys_r));
	ret = key_file_read(&file, path, error_r);
	if (ret == 0)
		ret = parse_text(&file, keys_r, error_r);
	if (ret == 0 && keys_r->count == 0)
		ret = fail(path, error_r, "there is no key in it");
	if (ret < 0)
		serial_keys_clear(keys_r);
	explicit_bzero(&file, sizeof(file));
	return ret;
}

/* Adding a key */

static void append_line(struct key_file *file, const struct serial_key *key)
{
	struct tm tm;
	char *line;

	if (file->size > 0 && file->text[file->size - 1] != '\n')
		file->text[file->size++] = '\n';
	line = file->text + file->size;
	(void)gmtime_r(&key->created, &tm);
	(void)strftime(line, DATE_SIZE + 1, "%Y-%m-%d ", &tm);
	for (unsigned int i = 0; i < SERIAL_SECRET_SIZE; i++) {
		(void)snprintf(line + DATE_SIZE + 2 * i, 3, "%02x",
			       key->secret[i]);
	}
	line[LINE_SIZE - 1] = '\n';
	file->size += LINE_SIZE;
}

/* Reads what is there, or begins with nothing. */
static int read_or_begin(struct key_file *file, const char *path,
			 char **error_r)
{
	struct serial_keys keys = { .count = 0 };
	struct stat st;
	int ret;

	if (stat(path, &st) < 0 && errno == ENOENT) {
		memset(file, 0, sizeof(*file));
		file->path = path;
		file->st.st_mode = 0600;
		file->st.st_uid = geteuid();
		file->st.st_gid = getegid();
		return 0;
	}
	if (key_file_read(file, path, error_r) < 0)
		return -1;
	/* nothing is added to what is no key file */
	ret = parse_text(file, &keys, error_r);
	serial_keys_clear(&keys);
	return ret == 0 && file->size + LINE_SIZE + 1 > FILE_MAX_SIZE ?
		fail(path, error_r, "it is full: remove the oldest keys") : ret;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

static int write_new(int fd, const struct key_file *file, char **error_r)
{
	/* the owner first: chown() may take bits away */
	if (fchown(fd, file->st.st_uid, file->st.st_gid) < 0)
		return fail_errno(file->path, "keep its owner", error_r);
	if (fchmod(fd, file->st.st_mode & MODE_BITS) < 0 ||
	    write_all(fd, file->text, file->size) < 0 || fsync(fd) < 0)
		return fail_errno(file->path, "write it anew", error_r);
	return 0;
}

static void sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? text_new(".") :
		text_new("%.*s/", (int)(slash - path), path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		/* not every file system can */
		(void)fsync(fd);
		(void)close(fd);
	}
	free(folder);
}

/* The new file's name is the lock: it is there before the old one is read, and
   gone with the rename. */
static int generate_locked(const char *path, const char *new_path, int fd,
			   const struct serial_key *key, char **error_r)
{
	struct key_file file;
	int ret;

	ret = read_or_begin(&file, path, error_r);
	if (ret == 0) {
		append_line(&file, key);
		ret = write_new(fd, &file, error_r);
	}
	if (ret == 0 && rename(new_path, path) < 0)
		ret = fail_errno(path, "rename the new file to it", error_r);
	explicit_bzero(&file, sizeof(file));
	return ret;
}

static int generate(const char *path, const struct serial_key *key,
		    char **error_r)
{
	char *new_path = text_new("%s.new", path);
	int ret = -1, fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				0600);

	if (fd < 0 && errno == EEXIST) {
		(void)fail(path, error_r, "%s exists: another process is making "
			   "a key, or was stopped while it did (then remove that "
			   "file)", new_path);
	} else if (fd < 0)
		(void)fail_errno(new_path, "create it", error_r);
	else {
		ret = generate_locked(path, new_path, fd, key, error_r);
		(void)close(fd);
		if (ret < 0)
			(void)unlink(new_path);
		else
			sync_folder_of(path);
	}
	free(new_path);
	return ret;
}

/* A symbolic link stays one: its file is replaced. */
static int find_real_path(const char *path, char **real_path_r, char **error_r)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode)) {
		*real_path_r = text_new("%s", path);
		return 0;
	}
	*real_path_r = realpath(path, NULL);
	return *real_path_r == NULL ? fail_errno(path, "follow it", error_r) :
				      0;
}

int site_key_generate(const char *path, time_t now, struct serial_key *key_r,
		      char **error_r)
{
	char *real_path;
	int ret;

	if (find_real_path(path, &real_path, error_r) < 0)
		return -1;
	if (serial_key_make(key_r, now) < 0) {
		ret = fail(path, error_r, "a key can't be made (random bytes, OpenSSL)");
	} else {
		ret = generate(real_path, key_r, error_r);
	}
	if (ret < 0)
		explicit_bzero(key_r, sizeof(*key_r));
	free(real_path);
	return ret;
}
