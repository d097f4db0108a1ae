# The rooms of the house, top to bottom, and which others each one may know (include its headers). tests/tools/rooms checks it; what
# such a header itself includes may be used, too. The head of a room's door, ROOM.h or the header named here, says what the room
# does and may touch.
ROOMS := delivery submission doveadm saving quarantine judging sent sender user headers settings verdict spf/service spf report sent-log sent-log/store text compat

# lmtp and lda: the message as it comes in, the header, the action; plugin.c is the module's door
KNOWS_delivery := saving quarantine judging sent headers settings verdict spf report sent-log compat
# Dovecot's submission service: what becomes of a sender that isn't the user's, the serial, the row
KNOWS_submission := sender user verdict report sent-log compat
# the commands of "doveadm backscatter" (doveadm-backscatter.h)
KNOWS_doveadm := quarantine judging sent sender user settings verdict spf report sent-log compat
# what imap, doveadm and dsync save to a Sent mailbox is logged at once (saved-copy.h)
KNOWS_saving := quarantine sent user
# the mailbox of that name, and judging its reports again
KNOWS_quarantine := judging user headers report sent-log
# what is known of a report, brought to the verdict table (judge.h)
KNOWS_judging := sent user verdict report sent-log compat
# reading the Sent mailboxes (sent-copy.h)
KNOWS_sent := user report compat
# who a message says it is from, and what a user may send as (sender-check.h)
KNOWS_sender := user verdict report text compat
# what belongs to one mailbox user: settings, log, keys, own addresses (backscatter-user.h)
KNOWS_user := settings verdict sent-log compat
# our header fields on top of a message, and forged ones taken out (delivery-mail.h)
KNOWS_headers := spf report text
# names, defaults and checks of all settings (backscatter-settings.h)
KNOWS_settings := verdict spf report sent-log compat
# the tables of docs/design.md: pure, but for the view of coverage, which asks a log
KNOWS_verdict := report sent-log text
# SPF's evaluation, in a process of its own: all that reads what name servers say (spf-check.h)
KNOWS_spf/service := spf text
# SPF: who handed the message to our MX, and may he?
KNOWS_spf := text
# message -> report: lib-mail only
KNOWS_report := text
# what was sent, serials, keys: libc, OpenSSL, no Dovecot, and no SQL
KNOWS_sent-log := sent-log/store
# the file it stands in: libc, SQLite
KNOWS_sent-log/store :=
# header fields in memory, and what of a text may be shown (text.h)
KNOWS_text :=
# what differs between Dovecot 2.3 and 2.4 (dovecot-compat.h)
KNOWS_compat :=
