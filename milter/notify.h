#ifndef NOTIFY_H
#define NOTIFY_H

/* Tells systemd that the sockets are there, where it waits for that (sd_notify(3),
   Type=notify): what is ordered behind the milter then finds it. */
void notify_ready(void);

#endif
