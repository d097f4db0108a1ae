/* The key that Dovecot asks for. */

#include "doveadm-key.h"
#include "milter/log.h"
#include "milter/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX_SIZE 1024

static int read_key(const char *path, char key_r[KEY_MAX_SIZE + 1],
		    char **error_r)
{
	/* a FIFO must not be waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t size = -1;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			errno = EINVAL;
		else
			size = read(fd, key_r, KEY_MAX_SIZE);
	}
	if (size < 0) {
		*error_r = text_format("doveadm_api_key = %s: can't read it: %s",
				       path, strerror(errno));
	}
	if (fd >= 0)
		(void)close(fd);
	if (size < 0)
		return -1;
	key_r[size] = '\0';
	key_r[strcspn(key_r, "\r\n")] = '\0';
	if (*key_r == '\0') {
		*error_r = text_format("doveadm_api_key = %s: there is no key in "
				       "its first line", path);
		return -1;
	}
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
		log_warning("doveadm_api_key = %s: all users of this host may "
			    "read or write it: chmod o= it", path);
	}
	return 0;
}

int doveadm_key_read(const char *path, char **line_r, char **error_r)
{
	unsigned char encoded[(KEY_MAX_SIZE + 2) / 3 * 4 + 1];
	char key[KEY_MAX_SIZE + 1];
	int ret = read_key(path, key, error_r);

	if (ret == 0) {
		(void)EVP_EncodeBlock(encoded, (const unsigned char *)key,
				      (int)strlen(key));
		*line_r = text_format("Authorization: X-Dovecot-API %s",
				      (const char *)encoded);
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(encoded, sizeof(encoded));
	return ret;
}
