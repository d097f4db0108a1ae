# The rooms of the house, top to bottom, and which others each one may know (include). tests/rooms checks it.
ROOMS := delivery submission doveadm saving quarantine judging sent user headers settings verdict spf report sent-log compat

KNOWS_delivery := saving quarantine judging sent user headers settings verdict spf report sent-log compat
KNOWS_submission := user settings verdict report sent-log compat spf
KNOWS_doveadm := quarantine judging sent user headers settings verdict spf report sent-log compat
KNOWS_saving := quarantine judging sent user headers settings verdict spf report sent-log compat
KNOWS_quarantine := judging sent user headers settings verdict spf report sent-log compat
KNOWS_judging := sent user settings verdict spf report sent-log compat
KNOWS_sent := user settings verdict spf report sent-log compat
KNOWS_user := settings verdict spf report sent-log compat
KNOWS_headers := spf report
KNOWS_settings := verdict spf report sent-log compat
KNOWS_verdict := report sent-log
KNOWS_spf :=
KNOWS_report :=
KNOWS_sent-log :=
KNOWS_compat :=
