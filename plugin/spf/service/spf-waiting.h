#ifndef SPF_WAITING_H
#define SPF_WAITING_H

/* How many of the service's processes may wait for domains that don't answer. Anybody can
   own such a domain; if all processes waited for it, the mail of others would have to. So
   an evaluation that has waited for a second needs one of a few places to go on, and is
   temperror where they are taken. */

struct spf_waiting;

/* Opens the file at that path, of which each byte is a place: who locks it has it, so
   that it is free again however a process ends. NULL: can't be opened (errno). */
struct spf_waiting *spf_waiting_init(const char *path, unsigned int places);
void spf_waiting_deinit(struct spf_waiting **waiting);

/* Takes a place, if this process has none. Returns FALSE if all are taken. NULL: there is
   no limit. */
bool spf_waiting_begin(struct spf_waiting *waiting);
void spf_waiting_end(struct spf_waiting *waiting);

#endif
