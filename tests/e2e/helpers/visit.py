"""What test_versions.py runs in Debian 13: this machine's Dovecot goes on with a folder that another version's has made.

    visit.py FOLDER USER < messages.json > answers.json      {"judge": [message, ...], "send": [message, ...]}
"""

import json
import sys
from pathlib import Path

from dovecot import Dovecot
from dovecot_config import VERSION
from sentlog import coverage, judged

folder, user = sys.argv[1:]
messages = json.load(sys.stdin)
with Dovecot(Path(folder), users=[user], plugin={"backscatter_sources": "sent"}) as dovecot:
    for text in messages["send"]:
        dovecot.append(user, "Sent", text.encode())
    answers = {"version": VERSION, "judged": [judged(dovecot, text.encode(), user) for text in messages["judge"]],
               "covered": coverage(dovecot, user)["covered"], "errors": dovecot.log_lines("(Error|Fatal|Panic): ")}
json.dump(answers, sys.stdout)
