"""Messages as nobody should send them, made from a number: the same number, the same message.

    for case in cases(seed=3, number=500): ...      # how one is sent, and what

What of a header is ours alone says without_ours(), in code of its own: it is what the plugin is measured by.
"""

import re
import socket
from dataclasses import dataclass
from random import Random

from dovecot import ALICE, BOB, CAROL
from reports import report
from spf_site import AUTHSERV_ID

USERS = [ALICE, BOB, CAROL]
HOST = socket.gethostname()
SENDER = "sender@elsewhere.example"

# Fields in our name, each spelled so that whoever reads it knows whose name it is.
RESULTS = f"{AUTHSERV_ID}; spf=pass smtp.mailfrom=bank.example"
FORGED = {
    "X-Backscatter": b"X-Backscatter: genuine; class=dsn-failed; reason=message-id\n",
    "X-Backscatter, folded": b"X-Backscatter:\n genuine;\n\tclass=dsn-failed\n",
    "X-Backscatter, blank before the colon": b"x-backscatter \t: genuine\n",
    "X-Backscatter, no value": b"X-BACKSCATTER:\n",
    "X-Backscatter, NUL": b"X-Backscatter\0junk: genuine\n",
    "X-Backscatter, long": b"X-Backscatter: genuine" + b"; x=y" * 2000 + b"\n",
    "X-Backscatter, folded often": b"X-Backscatter: genuine" + b"\n ;x=y" * 3000 + b"\n",
    "X-Backscatter, 8-bit": b"X-Backscatter: \xe4\xff\0 genuine\n",
    "Authentication-Results": f"Authentication-Results: {RESULTS}\n".encode(),
    "Authentication-Results, lower case": f"authentication-results:{RESULTS.lower()}\n".encode(),
    "Authentication-Results, folded": f"Authentication-Results:\n\t{AUTHSERV_ID};\n\tspf=pass\n".encode(),
    "Authentication-Results, quoted": f"Authentication-Results: \"{AUTHSERV_ID}\"; spf=pass\n".encode(),
    "Authentication-Results, comment": f"Authentication-Results: (a) {AUTHSERV_ID} (b); spf=pass\n".encode(),
    "Authentication-Results, long": f"Authentication-Results: {RESULTS}".encode() + b"; x=y" * 2000 + b"\n",
}
FORGED_RECEIVED_SPF = {
    "Received-SPF": f"Received-SPF: pass ({HOST}: domain of bank.example designates 192.0.2.1)\n".encode(),
    "Received-SPF, receiver": f"received-spf: pass receiver={HOST}; identity=mailfrom\n".encode(),
}
# They look like ours, and are not.
KEPT = [
    b"X-Backscatter-Serial: 7M4QK\n", b"X-Backscatterer: genuine\n", b"X-Not: X-Backscatter: genuine\n",
    b"X-Folded: one\n X-Backscatter: genuine\n", b"X-Back\0scatter: genuine\n", b"X-Backscatter\n",
    b"Authentication-Results: mx.elsewhere.example; spf=pass smtp.mailfrom=friend.example\n",
    b"Authentication-Results: mx.elsewhere.example;\n\tdkim=pass (a \"b\" c);\n\tspf=pass\n",
    b"X-Authentication-Results: delivery.elsewhere.example; spf=pass\n",
    b"Received-SPF: pass (elsewhere.example: no)\n",
]
# Sizes at which a buffer of Dovecot's may be full.
EDGES = [998, 1000, 4096, 8192, 8192, 8192, 16384, 32768, 65536]


@dataclass(frozen=True)
class Case:
    mail_from: str
    users: tuple[str, ...]
    message: bytes
    cuts: tuple[int, ...] | None   # where BDAT's chunks end, but for the last; None: DATA, also possible without our fields
    eight_bit: bool


def cases(seed: int, number: int) -> list[Case]:
    random = Random(seed)
    return [case(random) for _ in range(number)]


def goes_by_data(message: bytes) -> bool:
    """DATA ends with a line, and plain Dovecot 2.4 takes both dots from a message that begins with one."""
    return message.endswith(b"\r\n") and not message.startswith(b".")


def case(random: Random) -> Case:
    message, mail_from = mutated(random)
    users = random.sample(USERS, random.choices([1, 2, 3], [80, 10, 10])[0])
    cuts = None
    if random.random() < 0.4:
        cuts = tuple(sorted(random.randint(0, len(message)) for _ in range(random.choice([0, 0, 1, 2, 5, 20]))))
    elif not message.endswith(b"\r\n"):
        message += b"\r\n"   # DATA ends with a line
    if cuts is None and not all(goes_by_data(without_ours(message, each)) for each in (True, False)):
        cuts = ()
    return Case(mail_from, tuple(users), message, cuts, random.random() < 0.5)


# What is sent

def mutated(random: Random) -> tuple[bytes, str]:
    kind = random.choices(["ordinary", "report", "plain bounce", "header only", "body only", "noise", "empty", "huge"],
                          [50, 20, 6, 8, 4, 6, 2, 2])[0]
    mail_from = "" if kind in ("report", "plain bounce") and random.random() < 0.9 or random.random() < 0.05 else SENDER
    if kind == "empty":
        return random.choice([b"", b"\n", b"\r\n", b"\r", b".", b".\r\n", b"\0", b" ", b"\r\n\r\n"]), mail_from
    if kind == "noise":
        return noise(random, random.choice([10, 100, 1000, 9000])), mail_from
    if kind == "report":
        fields, body = parts(report(f"never-{random.randrange(10**9)}@client.example.test" if random.random() < 0.9 else None))
        body = scratched(random, body) if random.random() < 0.3 else body
    else:
        fields, body = ordinary_fields(random), some_body(random)
        if kind == "plain bounce":
            fields.append(b"Subject: Undelivered mail\n")
    fields = mutate_fields(random, fields, huge=kind == "huge")
    if kind == "body only":
        fields = []
    separator = b"" if kind == "header only" else random.choices([b"\n", b"", b" \n", b"\r\r\n"], [90, 4, 3, 3])[0]
    text = b"".join(fields) + separator + (b"" if kind == "header only" else body)
    if kind == "header only" and random.random() < 0.5:
        text = text.rstrip(b"\n")
    return with_line_ends(random, text), mail_from


def parts(message: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = message.partition(b"\n\n")
    return [line + b"\n" for line in head.split(b"\n")], body


def ordinary_fields(random: Random) -> list[bytes]:
    fields = [b"From: A Friend <friend@elsewhere.example>\n", b"To: <alice@example.test>\n", b"Subject: lunch\n",
              b"Date: Tue, 24 Nov 2026 12:00:00 +0000\n", b"Message-ID: <%d@elsewhere.example>\n" % random.randrange(10**9),
              b"MIME-Version: 1.0\n", b"Content-Type: text/plain;\n\tcharset=us-ascii\n"]
    return random.sample(fields, random.randint(0, len(fields)))


def some_body(random: Random) -> bytes:
    size = random.choices([0, 1, 30, 2000, 20_000, 140_000, 300_000], [10, 10, 45, 25, 8, 1, 1])[0]
    line = random.choice([b"text\n", b".\n", b"..\n", b".a\n", b"X-Backscatter: genuine\n", b"\xe4\xff\n", b"long " * 500 + b"\n",
                          b"a\0b\n", b"a\rb\n", b"no end of line "])
    body = (line * (size // len(line) + 1))[:size]
    return body + random.choice([b"", b"\n", b".", b"\r"])


def noise(random: Random, size: int) -> bytes:
    return bytes(random.choices(b"aX: \t\r\n\0.\xe4;\"()<>-", k=size))


def scratched(random: Random, text: bytes) -> bytes:
    """With some bytes that were not there; none at the end, where they would change what comes next."""
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text))
        text = text[:at] + random.choice([b"\0", b"\r", b"\n", b"\xe4", b" ", b"--limit\n", b"x" * 9000]) + text[at:]
    return text


def mutate_fields(random: Random, fields: list[bytes], huge: bool) -> list[bytes]:
    if huge:
        line = random.choice([b"X-Padding: " + b"x" * 60 + b"\n\t" + b"y" * 60 + b"\n", b"A:\n", b"X-One: " + b"z" * 30_000 + b"\n"])
        size = random.choice([120_000, 131_000, 140_000, 300_000])
        fields = fields + [line] * (size // len(line)) + random.sample(fields, len(fields))
    for change in random.sample(CHANGES, random.randint(0, 4)):
        change(random, fields)
    for _ in range(random.choice([0, 0, 1, 1, 1, 2, 3])):
        insert(random, fields, random.choice([*FORGED.values(), *FORGED_RECEIVED_SPF.values()]))
    return fields


def insert(random: Random, fields: list[bytes], field: bytes) -> None:
    """At the top and at the end as often as anywhere else."""
    fields.insert(random.choice([0, len(fields), random.randint(0, len(fields))]), field)


def long_line(random: Random, fields: list[bytes]) -> None:
    size = random.choice(EDGES) + random.randint(-12, 300)
    insert(random, fields, b"X-Long: " + random.choice([b"x" * size, b"x y " * (size // 4)]) + b"\n")


def long_name(random: Random, fields: list[bytes]) -> None:
    insert(random, fields, b"X-" + b"n" * random.choice([900, 1000, 9000]) + b": value\n")


def long_line_that_is_no_field(random: Random, fields: list[bytes]) -> None:
    insert(random, fields, b"w" * (random.choice(EDGES) + random.randint(-3, 3)) + b"\n")


def folded(random: Random, fields: list[bytes]) -> None:
    line = random.choice([b"\n ", b"\n\tx", b"\n  " + b"f" * 70, b"\n \r"])
    insert(random, fields, b"X-Folded: " + line * random.choice([1, 20, 500]) + b"end\n")


def odd_line(random: Random, fields: list[bytes]) -> None:
    insert(random, fields, random.choice([
        b"no field\n", b":\n", b": no name\n", b"X-Empty:\n", b"From a@b Tue Nov 24 12:00:00 2026\n", b">From: x\n", b".dot: x\n",
        b"..: x\n", b".\n", b"\xe4: 8-bit\n", b"X Y: two words\n", b"X-Tab\t: x\n", b"X-Bare: a\rb\n", b"X-Bare: a\r\r\n", b"\r: x\n",
        b"X-Nul: a\0b\n", b"\0\n", b"\0: x\n", b"X-Blank: \n \n\t\n", b"Content-Length: 5\n", b"Status: RO\n"]))


def looks_like_ours(random: Random, fields: list[bytes]) -> None:
    insert(random, fields, random.choice(KEPT))


def first_line_begins_with_a_blank(random: Random, fields: list[bytes]) -> None:
    fields.insert(0, random.choice([b" \n", b"\t\n", b" continued: x\n", b" X-Backscatter: genuine\n"]))


def scratched_field(random: Random, fields: list[bytes]) -> None:
    if fields:
        at = random.randrange(len(fields))
        fields[at] = scratched(random, fields[at])


def many(random: Random, fields: list[bytes]) -> None:
    fields.extend([b"X-Many: x\n"] * random.choice([10, 100, 1000]))


CHANGES = [long_line, long_name, long_line_that_is_no_field, folded, odd_line, looks_like_ours,
           first_line_begins_with_a_blank, scratched_field, many]


def with_line_ends(random: Random, text: bytes) -> bytes:
    kind = random.choices(["crlf", "lf", "mixed"], [70, 15, 15])[0]
    if kind == "lf":
        return text
    if kind == "crlf":
        return re.sub(rb"(?<!\r)\n", b"\r\n", text)
    return re.sub(rb"(?<!\r)\n", lambda _: random.choice([b"\r\n", b"\n"]), text)


# What is ours

FIELD = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")
EMPTY_LINE = re.compile(rb"\r?\n")


def without_ours(message: bytes, received_spf: bool) -> bytes:
    """The message without the fields that only the plugin may write."""
    kept, at = [], 0
    while at < len(message) and not EMPTY_LINE.match(message, at):
        field = FIELD.match(message, at).group()
        if not is_ours(field, received_spf, first=at == 0):
            kept.append(field)
        at += len(field)
    return b"".join(kept) + message[at:]


def is_ours(field: bytes, received_spf: bool, first: bool) -> bool:
    line, colon, value = field.partition(b":")
    if not colon or b"\n" in line:
        return False
    # Some readers skip white space in front of the first field's name, and a C string ends at a NUL.
    name = (line.lstrip(b" \t") if first else line).rstrip().partition(b"\0")[0].lower()
    if name == b"authentication-results":
        return AUTHSERV_ID.encode() in value.lower()
    if name == b"received-spf":
        return received_spf and HOST.lower().encode() in value.lower()
    return name == b"x-backscatter"
