/* Whose log it is. Where the path is the same for two users, rows of both would
   lie in it, and each would get reports on the other's messages as his own, with a
   coverage that neither has: it is the first one's, and nobody else gets in.

   A user is known by his name or by where his mail lies: one of them stays when he
   is renamed, or his mail moved, or when he has several names. */

#include "sent-log-private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What the file says of its owner, and what the caller is. */
struct owner_hashes {
	struct sent_log_hash name, mail;
	bool has_name, has_mail;
};

/* auth's lower-casing may be off, or begin one day */
static int hash_name(struct sent_log *log, const char *name,
		     struct sent_log_hash *hash_r)
{
	char *lower = sent_log_format("%s", name);
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

static bool column_hash(sqlite3_stmt *stmt, int column,
			struct sent_log_hash *hash_r)
{
	if (sqlite3_column_bytes(stmt, column) != SENT_LOG_HASH_SIZE)
		return false;
	memcpy(hash_r->bytes, sqlite3_column_blob(stmt, column),
	       SENT_LOG_HASH_SIZE);
	return true;
}

static int read_owner(struct sent_log *log, struct owner_hashes *owner_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_OWNER);

	memset(owner_r, 0, sizeof(*owner_r));
	if (stmt == NULL || sent_log_step(log, stmt) < 0)
		return -1;
	owner_r->has_name = column_hash(stmt, 0, &owner_r->name);
	owner_r->has_mail = column_hash(stmt, 1, &owner_r->mail);
	(void)sqlite3_reset(stmt);
	return 0;
}

static int write_owner(struct sent_log *log, const struct owner_hashes *owner)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_SET_OWNER);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_zeroblob(stmt, 1, 0);
	(void)sqlite3_bind_zeroblob(stmt, 2, 0);
	if (owner->has_name)
		sent_log_bind_hash(stmt, 1, &owner->name);
	if (owner->has_mail)
		sent_log_bind_hash(stmt, 2, &owner->mail);
	return sent_log_run(log, stmt);
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

/* Nobody's yet: it becomes the caller's, unless another was first. */
static int take(struct sent_log *log, const struct owner_hashes *caller)
{
	struct owner_hashes owner;

	if (sent_log_exec(log, log->db, "BEGIN IMMEDIATE") < 0 ||
	    read_owner(log, &owner) < 0)
		return -1;
	if (!owner.has_name && !owner.has_mail) {
		if (write_owner(log, caller) < 0)
			return -1;
		owner = *caller;
	}
	if (sent_log_exec(log, log->db, "COMMIT") < 0)
		return -1;
	return is_owner(&owner, caller) ? 1 : 0;
}

int sent_log_owner_check(struct sent_log *log)
{
	struct owner_hashes owner, caller;
	int ret;

	/* that command's to say */
	if (log->adopting)
		return 0;
	if (hash_caller(log, &caller) < 0 || read_owner(log, &owner) < 0)
		return -1;
	if (!caller.has_name && !caller.has_mail)
		return 0;
	ret = owner.has_name || owner.has_mail ? is_owner(&owner, &caller) :
						 take(log, &caller);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		return sent_log_fail(log, "is the log of another user: %s",
				     log->set.owner_hint != NULL ?
				     log->set.owner_hint :
				     "each needs a file of his own");
	}
	return 0;
}

static int adopt_owner(struct sent_log *log)
{
	struct owner_hashes caller;

	/* the owner was asked for when it was opened */
	sent_log_file_close(log);
	log->adopting = true;
	if (sent_log_write_begin(log) < 0 || hash_caller(log, &caller) < 0 ||
	    write_owner(log, &caller) < 0 ||
	    sent_log_break_coverage(log, SENT_LOG_COVERAGE_RESTARTED) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_adopt_owner(struct sent_log *log, time_t now, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, now);
	ret = adopt_owner(log);
	log->adopting = false;
	return sent_log_call_end(log, ret, error_r);
}
