/* SQLite, loaded when the first file is opened and not with the module: it costs as
   much as the delivery of a message, and hardly any message is a report. Its functions
   are called through the table that it hands out to its extensions (sqlite3ext.h). */

#include "store-private.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

/* Static. */
static const char *sqlite_error;

/* SQLite calls it with its table for every database that is opened. */
static int sqlite_take_functions(sqlite3 *db __attribute__((unused)),
				 char **error __attribute__((unused)),
				 const sqlite3_api_routines *functions)
{
	sqlite3_api = functions;
	return SQLITE_OK;
}

static void sqlite_get_functions(void *library)
{
	typeof(sqlite3_api->auto_extension) auto_extension =
		dlsym(library, "sqlite3_auto_extension");
	typeof(sqlite3_api->cancel_auto_extension) cancel =
		dlsym(library, "sqlite3_cancel_auto_extension");
	typeof(sqlite3_api->open) open = dlsym(library, "sqlite3_open");
	typeof(sqlite3_api->close) close = dlsym(library, "sqlite3_close");
	void (*extension)(void) = (void (*)(void))sqlite_take_functions;
	sqlite3 *db = NULL;

	if (auto_extension == NULL || cancel == NULL || open == NULL || close == NULL) {
		sqlite_error = SQLITE_SONAME " lacks functions";
		return;
	}
	if (auto_extension(extension) == SQLITE_OK) {
		(void)open(":memory:", &db);
		(void)close(db);
		(void)cancel(extension);
	}
	if (sqlite3_api == NULL)
		sqlite_error = SQLITE_SONAME " knows no extensions";
}

/* The library stays: others hold pointers into it, too. */
static void sqlite_load_once(void)
{
	void *library = dlopen(SQLITE_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		sqlite_error = strdup(dlerror());
	else
		sqlite_get_functions(library);
}

const char *store_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, sqlite_load_once);
	return sqlite_error;
}
