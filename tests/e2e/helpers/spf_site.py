"""What the tests of SPF at delivery share: a zone, a Postfix in front of Dovecot, and the headers that come out.

Everybody is on this host: only 127.0.0.1 (the relays' own address) is trusted, clients come from CLIENT or ::1, those of
the site's own network from INSIDE.
"""

import smtplib
import subprocess

from dovecot import DEADLINE, Dovecot, Message, crlf
from mta import PORT
from receiving import ReceivingPostfix
from reports import ordinary

AUTHSERV_ID = "delivery.example.test"
CLIENT = "127.3.2.99"
INSIDE = "127.5.0.7"
RELAYS, NETWORKS = "127.0.0.1/32", "127.5.0.0/16"
HELO = "out.pass.example"
LOCAL_PART = "sender"

ZONE = f"""
pass TXT "v=spf1 ip4:{CLIENT} ip6:::1 -all"
out.pass TXT "v=spf1 ip4:{CLIENT} ip6:::1 -all"
fail TXT "v=spf1 ip4:192.0.2.1 -all"
out.fail TXT "v=spf1 -all"
softfail TXT "v=spf1 ~all"
neutral TXT "v=spf1 ?all"
none TXT "nothing about mail"
permerror TXT "v=spf1 ip4:300.1.2.3 +all"
temperror TXT "v=spf1 include:spf.nobody.test +all"
mx TXT "v=spf1 mx -all"
mx MX 10 out.pass
out.pass A {CLIENT}
remembered TXT "v=spf1 ip4:{CLIENT} -all"
"""
# MAIL FROM's domain -> the result for CLIENT
RESULTS = {"pass.example": "pass", "fail.example": "fail", "softfail.example": "softfail", "neutral.example": "neutral",
           "none.example": "none", "nowhere.example": "none", "permerror.example": "permerror",
           "temperror.example": "temperror", "nobody.test": "temperror", "mx.example": "pass"}


def settings(where: str, **more: str) -> dict[str, str]:
    """For Dovecot(plugin=...), where the name server is there."""
    return {"backscatter_spf": "yes", "backscatter_spf_dns": where, "backscatter_trusted_relays": RELAYS,
            "backscatter_trusted_networks": NETWORKS, "backscatter_authserv_id": AUTHSERV_ID} | more


class Mx(ReceivingPostfix):
    """A site's MX: hands what is for example.test to Dovecot, all else to the world. more: settings of its main.cf."""

    def __init__(self, dovecot: Dovecot, **more: str):
        super().__init__()
        self.lmtp, self.more = dovecot.lmtp_socket, more

    def _settings(self) -> dict[str, str]:
        return super()._settings() | self.more

    def hand_over(self, mail_from: str, rcpts: list[str] | str, message: bytes, *, client: str = CLIENT, helo: str = HELO,
                  login: bool = False) -> None:
        """As a client from outside does."""
        where = ("::1", self.ipv6_port) if ":" in client else (self.address, PORT)
        with smtplib.SMTP(*where, helo, timeout=DEADLINE, source_address=(client, 0)) as smtp:
            if login:
                smtp.login("jane", "secret", initial_response_ok=True)
            refused = smtp.sendmail(mail_from, rcpts, crlf(message))
        assert refused == {}

    def submit_as_user(self, mail_from: str, rcpt: str, message: bytes) -> None:
        """With the sendmail command, on the MX itself."""
        subprocess.run(["sendmail", "-C", str(self.etc), "-f", mail_from, rcpt], input=message, check=True,
                       timeout=DEADLINE, capture_output=True)


def received(client: str = CLIENT, helo: str = HELO, protocol: str = "ESMTP") -> str:
    """What a Postfix writes about its client."""
    return f"Received: from {helo} (unknown [{client}])\n\tby mx.example.test (Postfix) with {protocol} id 4Xk2Zb1Q9mz9sRK\n" \
           "\tfor <alice@example.test>; Tue, 24 Nov 2026 12:00:00 +0000 (UTC)\n"


def from_outside(head: str = "", *, client: str = CLIENT, helo: str = HELO) -> bytes:
    """An ordinary message as the MX hands it on; head: what the client wrote on top."""
    return ordinary(head=received(client, helo) + head)


def results(message: Message) -> list[str]:
    """Our own Authentication-Results fields, without the id."""
    return [field.partition(";")[2].strip() for field in message.headers("Authentication-Results")
            if field.partition(";")[0] == AUTHSERV_ID]


def result(message: Message) -> str:
    """The only one."""
    found = results(message)
    assert len(found) == 1, message.raw[:2000].decode(errors="replace")
    return found[0]


def mailfrom(domain: str, outcome: str) -> str:
    """What the field has to say of a checked MAIL FROM."""
    reasons = {"temperror": ' reason="DNS gave no answer"', "permerror": ' reason="SPF record is broken"'}
    return f"spf={outcome}{reasons.get(outcome, '')} smtp.mailfrom={domain}"
