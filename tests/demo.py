"""make demo: a private Postfix bounces two messages, a private Dovecot judges the bounces. It takes seconds and leaves
nothing."""

import re
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "e2e" / "helpers"))

from dovecot import ALICE, Dovecot, Message   # noqa: E402
from messages import original   # noqa: E402
from mta import Postfix   # noqa: E402

FRIEND, VICTIM = "friend@reject.example.test", "victim@reject.example.test"

# Sieve writes down the header that it saw, and files what is backscatter.
SIEVE = '''
require ["fileinto", "mailbox", "variables", "editheader"];
if header :matches "X-Backscatter" "*" {
    addheader "X-Seen-By-Sieve" "${1}";
}
if header :contains "X-Backscatter" "backscatter" {
    fileinto :create "Junk";
}
'''
PLUGIN = {"backscatter_sources": "sent", "backscatter_action": "annotate", "sieve_extensions": "+editheader"}


@dataclass
class Row:
    report: str
    mailbox: str
    message: Message

    def cells(self) -> list[str]:
        verdict = self.message.verdict or {"verdict": "-", "reason": "-"}
        seen = self.message.header("X-Seen-By-Sieve") or "-"
        return [self.report, verdict["verdict"], verdict["reason"], self.mailbox, seen]


def bounce(postfix: Postfix, message: bytes, rcpt: str) -> str:
    """Sends a message as ALICE that will be refused; returns once Dovecot has the bounce. The original's Message-ID."""
    since = postfix.log.mark()
    postfix.submit(ALICE, rcpt, message)
    status = postfix.log.wait(rf"postfix/lmtp.* to=<{ALICE}>.* status=(\w+)", since=since).group(1)
    assert status == "sent", postfix.log.lines("status=", since)
    return re.search(rb"Message-ID: <(.*)>", message).group(1).decode()


def delivered(dovecot: Dovecot, report: str, original_id: str) -> Row:
    for mailbox in dovecot.mailboxes(ALICE):
        for message in dovecot.messages(ALICE, mailbox):
            if mailbox != "Sent" and original_id.encode() in message.raw:
                return Row(report, mailbox, message)
    raise LookupError(f"no report about {original_id} in any mailbox of {ALICE}")


def print_table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for number, row in enumerate(rows):
        print("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  " + "   ".join("-" * width for width in widths))


def show(dovecot: Dovecot, postfix: Postfix) -> None:
    dovecot.set_sieve(ALICE, SIEVE)
    since = (date.today() - timedelta(days=60)).isoformat()
    dovecot.doveadm("backscatter", "coverage", "--since", since, user=ALICE)

    print(f"Dovecot with the plugin, {ALICE}'s log complete since {since}; Postfix in front of it, over LMTP.")
    print(f"Here backscatter is only annotated, and {ALICE}'s Sieve script files it in Junk (by default: in the mailbox Backscatter).")
    print(f"Two messages with the envelope sender {ALICE} are refused by the world and bounce:\n")
    sent = original("genuine", sender=ALICE, rcpt=FRIEND)
    dovecot.append(ALICE, "Sent", sent)
    genuine = bounce(postfix, sent, FRIEND)
    forged = bounce(postfix, original("forged", sender="spammer@elsewhere.example", rcpt=VICTIM), VICTIM)
    rows = [delivered(dovecot, "of mail in Sent", genuine), delivered(dovecot, "of a spammer's mail", forged)]
    titles = ["bounce", "verdict", "reason", "ended in", "X-Backscatter, as Sieve saw it"]
    print_table([titles] + [row.cells() for row in rows])

    explain(dovecot, rows[1].message)


def explain(dovecot: Dovecot, report: Message) -> None:
    file = dovecot.folder / "forged.eml"
    file.write_bytes(report.raw)
    print(f"\nWhy? doveadm backscatter explain {file.name} -u {ALICE}\n")
    for line in dovecot.doveadm("backscatter", "explain", str(file), user=ALICE).out.splitlines():
        print("  " + line.rstrip())


def main() -> int:
    with Dovecot(plugin=PLUGIN, users=[ALICE]) as dovecot, Postfix(lmtp=dovecot.lmtp_socket) as postfix:
        try:
            show(dovecot, postfix)
        except Exception:
            print(f"Dovecot's log:\n{dovecot.log}\n\nPostfix's log:\n{postfix.log}", file=sys.stderr)
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
