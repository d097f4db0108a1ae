/* Places as locks of a file's bytes. */

#include "lib.h"
#include "spf-waiting.h"

#include <fcntl.h>
#include <unistd.h>

struct spf_waiting {
	int fd;
	unsigned int places;
	/* 0: none; else its number, beginning with 1 */
	unsigned int place;
};

struct spf_waiting *spf_waiting_init(const char *path, unsigned int places)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct spf_waiting *waiting;

	if (fd < 0)
		return NULL;
	waiting = i_new(struct spf_waiting, 1);
	waiting->fd = fd;
	waiting->places = places;
	return waiting;
}

void spf_waiting_deinit(struct spf_waiting **waiting)
{
	if (*waiting != NULL)
		i_close_fd(&(*waiting)->fd);
	i_free(*waiting);
}

static bool place_lock(const struct spf_waiting *waiting, unsigned int place, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = 1
	};

	return fcntl(waiting->fd, F_SETLK, &lock) == 0;
}

bool spf_waiting_begin(struct spf_waiting *waiting)
{
	unsigned int place;

	if (waiting == NULL || waiting->place > 0)
		return TRUE;
	for (place = 1; place <= waiting->places; place++) {
		if (place_lock(waiting, place, F_WRLCK)) {
			waiting->place = place;
			return TRUE;
		}
	}
	return FALSE;
}

void spf_waiting_end(struct spf_waiting *waiting)
{
	if (waiting != NULL && waiting->place > 0)
		(void)place_lock(waiting, waiting->place, F_UNLCK);
	if (waiting != NULL)
		waiting->place = 0;
}
