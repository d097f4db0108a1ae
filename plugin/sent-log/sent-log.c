/* The sent log's life, the frame around each call, and the file it works on: its hash key,
   whether it was copied or restored, and whose log it is.

   Where the path is the same for two users, rows of both would lie in it, and each
   would get reports on the other's messages as his own, with a coverage that neither
   has: it is the first one's, and nobody else gets in. A user is known by his name or
   by where his mail lies: one of them stays when he is renamed, or his mail moved, or
   when he has several names. */

#include "sent-log-private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct sent_log *sent_log_init(const struct sent_log_settings *set)
{
	struct sent_log *log = store_alloc(sizeof(*log));
	const struct store_settings store_set = {
		.path = log->path = store_format("%s", set->path),
		.network_filesystem = set->network_filesystem,
		.deadline_msecs = set->deadline_msecs,
		.notice = set->notice,
		.notice_context = set->notice_context,
		.listed_sources = set->listed_sources,
		.created_cause = SENT_LOG_COVERAGE_CREATED,
		.corrupt_cause = SENT_LOG_COVERAGE_CORRUPT,
	};

	log->set = *set;
	log->set.path = log->path;
	if (set->owner_hint != NULL)
		log->owner_hint = store_format("%s", set->owner_hint);
	log->set.owner_hint = log->owner_hint;
	log->store = store_init(&store_set);
	return log;
}

void sent_log_deinit(struct sent_log **_log)
{
	struct sent_log *log = *_log;

	if (log == NULL)
		return;
	*_log = NULL;

	store_deinit(&log->store);
	sent_log_hash_deinit(log);
	explicit_bzero(log->key, sizeof(log->key));
	free(log->path);
	free(log->owner_hint);
	free(log->gap_obstacle);
	free(log);
}

void sent_log_begin(struct sent_log *log)
{
	store_begin_anew(log->store);
}

void sent_log_load_libraries(void)
{
	(void)store_load();
	(void)hmac_load();
}

int sent_log_look_beside(struct sent_log *log, const char *suffix,
			 const char **error_r)
{
	int ret = store_look_beside(log->store, suffix);

	if (ret < 0)
		*error_r = store_error(log->store);
	return ret;
}

/* The frame */

void sent_log_call_begin(struct sent_log *log, time_t now)
{
	log->now = now != 0 ? now : time(NULL);
	log->gap_taken = false;
	log->clock_notice = NULL;
	store_call_begin(log->store, log->now);
}

int sent_log_call_end(struct sent_log *log, int ret, const char **error_r)
{
	store_call_end(log->store, ret);
	if (ret < 0)
		*error_r = store_error(log->store);
	return ret;
}

int64_t sent_log_cutoff(const struct sent_log *log)
{
	return (int64_t)log->now - (int64_t)log->set.retention_secs;
}

/* Whose it is */

/* What the file says of its owner, and what the caller is. */
struct owner_hashes {
	struct sent_log_hash name, mail;
	bool has_name, has_mail;
};

/* auth's lower-casing may be off, or begin one day */
static int hash_name(struct sent_log *log, const char *name,
		     struct sent_log_hash *hash_r)
{
	char *lower = store_format("%s", name);
	int ret;

	for (char *p = lower; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	ret = sent_log_hash(log, SENT_LOG_HASH_OWNER_NAME, lower, hash_r);
	free(lower);
	return ret;
}

static int hash_caller(struct sent_log *log, struct owner_hashes *caller_r)
{
	struct sent_log_owner owner = { .name = NULL };

	memset(caller_r, 0, sizeof(*caller_r));
	if (log->set.get_owner != NULL)
		log->set.get_owner(&owner, log->set.owner_context);
	caller_r->has_name = owner.name != NULL;
	caller_r->has_mail = owner.mail != NULL;
	if ((caller_r->has_name &&
	     hash_name(log, owner.name, &caller_r->name) < 0) ||
	    (caller_r->has_mail &&
	     sent_log_hash(log, SENT_LOG_HASH_OWNER_MAIL, owner.mail,
			   &caller_r->mail) < 0))
		return -1;
	return 0;
}

static bool column_hash(const struct store_row *row, unsigned int column,
			struct sent_log_hash *hash_r)
{
	if (row->columns[column].size != SENT_LOG_HASH_SIZE)
		return false;
	memcpy(hash_r->bytes, row->columns[column].bytes, SENT_LOG_HASH_SIZE);
	return true;
}

/* From a row of STORE_GET_FILE. */
static void get_owner(const struct store_row *row, struct owner_hashes *owner_r)
{
	memset(owner_r, 0, sizeof(*owner_r));
	owner_r->has_name = column_hash(row, 3, &owner_r->name);
	owner_r->has_mail = column_hash(row, 4, &owner_r->mail);
}

static int write_owner(struct sent_log *log, const struct owner_hashes *owner)
{
	return store_put(log->store, STORE_SET_OWNER,
			 store_bytes(owner->name.bytes, owner->has_name ?
					     sizeof(owner->name.bytes) : 0),
			 store_bytes(owner->mail.bytes, owner->has_mail ?
					     sizeof(owner->mail.bytes) : 0));
}

int sent_log_write_owner(struct sent_log *log)
{
	struct owner_hashes caller;

	return hash_caller(log, &caller) < 0 ? -1 : write_owner(log, &caller);
}

static bool same_hash(const struct sent_log_hash *hash1,
		      const struct sent_log_hash *hash2)
{
	return memcmp(hash1->bytes, hash2->bytes, SENT_LOG_HASH_SIZE) == 0;
}

static bool is_owner(const struct owner_hashes *owner,
		     const struct owner_hashes *caller)
{
	return (owner->has_name && caller->has_name &&
		same_hash(&owner->name, &caller->name)) ||
	       (owner->has_mail && caller->has_mail &&
		same_hash(&owner->mail, &caller->mail));
}

/* Nobody's yet: it becomes the caller's, unless another was first. Returns 1 if the
   file was replaced meanwhile, 0 or -1. */
static int take(struct sent_log *log, const struct owner_hashes *caller,
		struct owner_hashes *owner_r)
{
	struct store_row row;
	int ret = store_begin(log->store);

	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	if (store_get(log->store, STORE_GET_FILE, &row) < 0)
		return -1;
	get_owner(&row, owner_r);
	explicit_bzero(&row, sizeof(row));
	if (!owner_r->has_name && !owner_r->has_mail) {
		if (write_owner(log, caller) < 0)
			return -1;
		*owner_r = *caller;
	}
	return store_commit(log->store);
}

/* owner: what the open file says. Fails if it is another user's; takes it if it is
   nobody's yet. Returns the same. */
static int check_owner(struct sent_log *log, struct owner_hashes *owner)
{
	struct owner_hashes caller;
	int ret = 0;

	/* that command's to say */
	if (log->adopting)
		return 0;
	if (hash_caller(log, &caller) < 0)
		return -1;
	if (!caller.has_name && !caller.has_mail)
		return 0;
	if (!owner->has_name && !owner->has_mail)
		ret = take(log, &caller, owner);
	if (ret != 0 || is_owner(owner, &caller))
		return ret;
	return store_fail(log->store, "is the log of another user: %s",
			  log->set.owner_hint != NULL ?
				  log->set.owner_hint :
				  "each needs a file of his own");
}

/* The file */

/* Returns the same. */
static int note_restored(struct sent_log *log)
{
	const struct store_file_id id = store_file_id(log->store);
	int ret = store_begin(log->store);

	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	if (store_put(log->store, STORE_SET_FILE, store_number(id.inode),
		      store_number(id.born)) < 0 ||
	    store_put(log->store, STORE_BREAK_COVERAGE, store_number(log->now),
		      store_number(SENT_LOG_COVERAGE_RESTORED)) < 0 ||
	    store_commit(log->store) < 0)
		return -1;

	store_notice(log->store, "was copied or restored, "
		     "its coverage starts anew");
	return 0;
}

/* Reads the hash key, and whether these rows were written in this file. Returns the
   same. */
static int read_file(struct sent_log *log)
{
	struct store_row row;
	struct store_file_id id;
	struct owner_hashes owner;
	int ret = store_get(log->store, STORE_GET_FILE, &row);

	if (ret < 0)
		return -1;
	if (ret == 0 || row.columns[0].size != SENT_LOG_KEY_SIZE) {
		return store_fail_corrupt(log->store,
					  "the hash key is missing");
	}
	memcpy(log->key, row.columns[0].bytes, sizeof(log->key));
	explicit_bzero(row.columns[0].bytes, sizeof(log->key));
	id.inode = row.columns[1].number;
	id.born = row.columns[2].number;
	get_owner(&row, &owner);

	ret = sent_log_hash_init(log);
	if (ret == 0)
		ret = check_owner(log, &owner);
	if (ret == 0 && !store_is_file(log->store, id))
		ret = note_restored(log);
	return ret;
}

int sent_log_file_open(struct sent_log *log)
{
	for (unsigned int i = 0; i < SENT_LOG_OPEN_ATTEMPTS; i++) {
		int ret = store_open(log->store);

		if (ret <= 0)
			return ret;
		ret = read_file(log);
		if (ret == 0)
			return 0;
		store_close(log->store);
		if (ret < 0)
			return -1;
	}
	return store_fail(log->store, "is replaced again and again");
}

int sent_log_file_open_existing(struct sent_log *log)
{
	int ret = store_exists(log->store);

	if (ret <= 0)
		return ret;
	return sent_log_file_open(log) < 0 ? -1 : 1;
}
