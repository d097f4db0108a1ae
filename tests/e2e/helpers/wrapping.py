"""What happens to a bounce on its way to the mailbox: filters wrap it, gateways rewrite it, people pass it on.

Each function of WRAPPINGS takes a bounce (bytes, LF) and returns what arrives.
"""

import base64
import re
from collections.abc import Callable
from email.utils import formatdate
from itertools import count

from dovecot import ALICE

numbers = count(1)
WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {}
# Of these nothing is left that tells the original: all others have to be found genuine.
LOST = {"mailscanner-removed-the-original", "quarantine-digest", "smime-encrypted", "returned-as-tnef", "id-cut-off",
        "id-cut-off-and-closed", "id-as-a-link", "id-taken-away", "cut-off-in-the-id", "notice-in-utf16"}
# Fields that say what the body is.
MIME_FIELDS = rb"(?im)^(?:mime-version|content-[a-z-]+):.*\n(?:[ \t].*\n)*"
MESSAGE_ID = rb"(?im)^message-id:\s*<(bounced-[^>]*)>"
DISCLAIMER = b"This e-mail is confidential. If you are not the intended recipient, the message must not be delivered further."


def wrapping(function):
    WRAPPINGS[function.__name__.replace("_", "-")] = function
    return function


# Pieces

def split(message: bytes) -> tuple[bytes, bytes]:
    """Header with its last line end, body."""
    header, _, body = message.partition(b"\n\n")
    return header + b"\n", body


def field(message: bytes, name: str) -> bytes:
    found = re.search(rb"(?im)^%s:.*\n(?:[ \t].*\n)*" % name.encode(), split(message)[0])
    return found.group() if found else b""


def mime_fields(message: bytes) -> bytes:
    return b"".join(found.group() for found in re.finditer(MIME_FIELDS, split(message)[0])
                    if not found.group().lower().startswith(b"mime-version"))


def other_fields(message: bytes) -> bytes:
    return re.sub(MIME_FIELDS, b"", split(message)[0])


def with_content_type(message: bytes, content_type: str, body: bytes) -> bytes:
    """The same header, another body."""
    return other_fields(message) + b"MIME-Version: 1.0\nContent-Type: " + content_type.encode() + b"\n\n" + body


def parts(*all_parts: bytes, boundary: bytes = b"=_outer") -> bytes:
    """Each with its own header."""
    return b"".join(b"--" + boundary + b"\n" + part.rstrip(b"\n") + b"\n" for part in all_parts) + b"--" + boundary + b"--\n"


def text(words: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"Content-Type: " + content_type + b"\n\n" + words + b"\n"


def attached(message: bytes, content_type: bytes = b"message/rfc822") -> bytes:
    return b"Content-Type: " + content_type + b"\nContent-Disposition: attachment\n\n" + message


def body_part(message: bytes) -> bytes:
    """The body, as it would be a part of another."""
    return mime_fields(message) + b"\n" + split(message)[1]


def mixed(message: bytes, *all_parts: bytes) -> bytes:
    return with_content_type(message, 'multipart/mixed; boundary="=_outer"', parts(*all_parts))


def escaped(body: bytes) -> bytes:
    return body.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def subject(message: bytes, prefix: bytes) -> bytes:
    return re.sub(rb"(?im)\Asubject:[ ]*|^subject:[ ]*", b"Subject: " + prefix, message, count=1)


def returned(message: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """change(Message-ID) is what becomes of the field in the returned header."""
    changed, number = re.subn(MESSAGE_ID + rb"[^\n]*", lambda found: change(found.group(1)), message)
    assert number >= 1, message.decode()
    return changed


def new_header(sender: str, about: bytes, words: bytes = b"") -> bytes:
    return b"From: " + sender.encode() + f"\nTo: {ALICE}\nSubject: ".encode() + words + about + \
        f"\nDate: {formatdate()}\nMessage-ID: <wrapped-{next(numbers)}@elsewhere.example>\nMIME-Version: 1.0\n".encode()


def subject_of(message: bytes) -> bytes:
    return field(message, "Subject").partition(b":")[2].strip()


# Filters that wrap

@wrapping
def spamassassin_report_safe_1(bounce: bytes) -> bytes:
    keep = b"".join(field(bounce, name) for name in ("From", "To", "Subject", "Date", "Message-ID"))
    outer = b"Received: from localhost by mx.example.test with SpamAssassin (version 4.0.0); " + formatdate().encode() + \
        b"\n" + subject(keep, b"*****SPAM***** ") + b"X-Spam-Flag: YES\nX-Spam-Level: *****\n"
    return outer + b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(
        text(b"Spam detection software, running on the system \"mx.example.test\",\nhas identified this incoming email as "
             b"possible spam.\n\nContent preview:  I'm sorry to have to inform you that your message could not be "
             b"delivered"),
        b"Content-Type: message/rfc822; x-spam-type=original\nContent-Description: original message before SpamAssassin\n"
        b"Content-Disposition: attachment\n\n" + bounce)


@wrapping
def spamassassin_report_safe_2(bounce: bytes) -> bytes:
    return spamassassin_report_safe_1(bounce).replace(b"message/rfc822; x-spam-type=original",
                                                      b"text/plain; x-spam-type=original", 1)


@wrapping
def spamassassin_without_its_own_id(bounce: bytes) -> bytes:
    """As some glue does it: the wrapper has no Message-ID, and the MTA adds one."""
    safe = spamassassin_report_safe_1(bounce)
    header, body = split(safe)
    return header.replace(field(safe, "Message-ID"), b"Message-ID: <20261128.4XkW@mx.example.test>\n") + b"\n" + body


@wrapping
def spamassassin_twice(bounce: bytes) -> bytes:
    return spamassassin_report_safe_1(spamassassin_report_safe_1(bounce))


@wrapping
def mailscanner_attachment(bounce: bytes) -> bytes:
    warning = text(b"Our MailScanner believes that the attachment to this message sent to you is unsolicited email (spam).")
    return subject(mixed(bounce, warning, attached(bounce)), b"{Spam?} ")


@wrapping
def mailscanner_warning_in_front(bounce: bytes) -> bytes:
    return mixed(bounce, text(b"Warning: This message has had one or more attachments removed"), body_part(bounce))


@wrapping
def mailscanner_removed_the_original(bounce: bytes) -> bytes:
    """The returned part was "dangerous"."""
    at = re.search(MESSAGE_ID, bounce).start()
    start = bounce.rfind(b"\n--", 0, at)
    if start < 0:
        return mixed(bounce, text(b"This message was dangerous.", b'text/plain; name="VirusWarning.txt"'))
    boundary = bounce[start + 1:bounce.index(b"\n", start + 1)]
    return bounce[:start + 1] + boundary + b"\n" + text(b"The attachment \"message\" was removed.",
                                                         b'text/plain; name="VirusWarning.txt"') + boundary + b"--\n"


@wrapping
def rspamd_subject_and_headers(bounce: bytes) -> bytes:
    return b"X-Spamd-Result: default: False [7.1 / 15.0]; BOUNCE(-0.10)\nX-Spam: Yes\n" + subject(bounce, b"*** SPAM *** ")


@wrapping
def quarantine_release(bounce: bytes) -> bytes:
    """By amavisd-release, with release_format attach."""
    header = new_header('"Content-filter" <postmaster@mx.example.test>', subject_of(bounce))
    return b"X-Quarantine-ID: <Xy1zAbC>\n" + header + \
        b'Content-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(text(b"Released from quarantine."), attached(bounce))


@wrapping
def quarantine_digest(bounce: bytes) -> bytes:
    return new_header("Quarantine <quarantine@mx.example.test>", b"Digest of 2 messages") + \
        b'Content-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(
            text(b"Held since yesterday:"), b'Content-Type: multipart/digest; boundary="=_digest"\n\n' + parts(
                b"\n" + bounce, b"\nFrom: shop@elsewhere.example\nSubject: sale\n\nsale\n", boundary=b"=_digest"))


@wrapping
def placeholder_of_safe_attachments(bounce: bytes) -> bytes:
    return mixed(bounce, body_part(bounce), text(b"ATP Scan In Progress", b'text/plain; name="ATP Scan.txt"'))


# Footers and banners

@wrapping
def disclaimer_as_another_part(bounce: bytes) -> bytes:
    return mixed(bounce, body_part(bounce), text(DISCLAIMER))


@wrapping
def disclaimer_at_the_end_of_the_body(bounce: bytes) -> bytes:
    return bounce + b"\n" + DISCLAIMER + b"\n"


@wrapping
def disclaimer_wraps_the_message(bounce: bytes) -> bytes:
    """Exchange's fallback action "wrap": a new message with the old one attached."""
    keep = b"".join(field(bounce, name) for name in ("From", "To", "Subject", "Date"))
    return keep + b"Message-ID: <wrapped-%d@EX01.example.test>\nMIME-Version: 1.0\n" % next(numbers) + \
        b'Content-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(text(DISCLAIMER), attached(bounce))


@wrapping
def banner_and_external_subject(bounce: bytes) -> bytes:
    header, body = split(subject(bounce, b"[EXTERNAL] "))
    return header + b"\n" + re.sub(rb"\n\n", b"\n\n[EXTERNAL] Do not click links in this message.\n\n", body, count=1)


@wrapping
def list_footer(bounce: bytes) -> bytes:
    """The address is a list's with one member."""
    header = b"List-Id: <me.lists.example.test>\nSender: me-bounces@lists.example.test\nPrecedence: list\n"
    return header + subject(mixed(bounce, body_part(bounce), text(
        b"_______________________________________________\nMe mailing list\nme@lists.example.test")), b"[Me] ")


# Gateways that rewrite the structure

@wrapping
def report_becomes_mixed(bounce: bytes) -> bytes:
    changed = re.sub(rb"(?i)multipart/report", b"multipart/mixed", bounce, count=1)
    return re.sub(rb"(?i)\s*report-type=\"?delivery-status\"?;?", b"", changed, count=1)


@wrapping
def status_becomes_text(bounce: bytes) -> bytes:
    return re.sub(rb"(?i)message/delivery-status", b"text/plain; name=\"details.txt\"", bounce, count=1)


@wrapping
def flattened_to_text(bounce: bytes) -> bytes:
    return with_content_type(bounce, "text/plain; charset=us-ascii", split(bounce)[1])


@wrapping
def flattened_and_quoted(bounce: bytes) -> bytes:
    return with_content_type(bounce, "text/plain; charset=us-ascii", re.sub(rb"(?m)^", b"> ", split(bounce)[1]))


@wrapping
def flattened_to_html(bounce: bytes) -> bytes:
    lines = escaped(split(bounce)[1]).replace(b"\n", b"<br>\n")
    return with_content_type(bounce, "text/html; charset=utf-8", b"<html><body>" + lines + b"</body></html>\n")


@wrapping
def flattened_to_preformatted_html(bounce: bytes) -> bytes:
    lines = escaped(split(bounce)[1])
    return with_content_type(bounce, "text/html; charset=utf-8", b"<html><body><pre>" + lines + b"</pre></body></html>\n")


@wrapping
def smime_signed(bounce: bytes) -> bytes:
    return with_content_type(bounce, 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; '
                             'boundary="=_outer"', parts(body_part(bounce), text(b"MIIFxgYJKoZIhvcNAQcCoIIFtzCCBbMCAQEx",
                                                                                  b"application/pkcs7-signature")))


@wrapping
def pgp_signed(bounce: bytes) -> bytes:
    return with_content_type(bounce, 'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512; '
                             'boundary="=_outer"', parts(body_part(bounce), text(
                                 b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCgAdFiEE\n-----END PGP SIGNATURE-----",
                                 b"application/pgp-signature")))


@wrapping
def smime_encrypted(bounce: bytes) -> bytes:
    return with_content_type(bounce, "application/pkcs7-mime; smime-type=enveloped-data",
                             base64.encodebytes(body_part(bounce)[::-1])).replace(
        b"\n\n", b"\nContent-Transfer-Encoding: base64\n\n", 1)


@wrapping
def returned_as_tnef(bounce: bytes) -> bytes:
    return re.sub(rb"(?i)Content-Type: (message/rfc822|text/rfc822-headers|message/rfc822-headers).*\n(?:[ \t].*\n)*",
                  b"Content-Type: application/ms-tnef; name=\"winmail.dat\"\n", bounce)


# Encodings and line ends

@wrapping
def everything_in_base64(bounce: bytes) -> bytes:
    return with_content_type(bounce, "text/plain; charset=utf-8", base64.encodebytes(split(bounce)[1])).replace(
        b"\n\n", b"\nContent-Transfer-Encoding: base64\n\n", 1)


@wrapping
def returned_part_in_base64(bounce: bytes) -> bytes:
    """RFC 2046 forbids it, gateways do it."""
    at = re.search(MESSAGE_ID, bounce).start()
    start = bounce.rfind(b"\n--", 0, at)
    if start < 0:
        return everything_in_base64(bounce)
    boundary = bounce[start + 1:bounce.index(b"\n", start + 1)]
    head, _, rest = bounce[start + 1 + len(boundary) + 1:].partition(b"\n\n")
    content = rest.partition(b"\n" + boundary)[0]
    return bounce[:start + 1] + boundary + b"\n" + re.sub(rb"(?i)content-transfer-encoding:.*\n?", b"", head).rstrip(b"\n") + \
        b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(content) + boundary + b"--\n"


@wrapping
def notice_in_utf16(bounce: bytes) -> bytes:
    return re.sub(rb"(?i)charset=\"?us-ascii\"?", b"charset=utf-16", bounce)


@wrapping
def quoted_printable(bounce: bytes) -> bytes:
    body = split(bounce)[1].replace(b"=", b"=3D").replace(b"@", b"=40")
    return with_content_type(bounce, "text/plain; charset=utf-8", body).replace(
        b"\n\n", b"\nContent-Transfer-Encoding: quoted-printable\n\n", 1)


@wrapping
def dots_doubled(bounce: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", bounce)


@wrapping
def lines_end_twice(bounce: bytes) -> bytes:
    """A gateway that turned every LF into CRLF, once too often."""
    header, body = split(bounce)
    return header.replace(b"\n", b"\r\n") + b"\r\n" + body.replace(b"\n", b"\r\r\n")


@wrapping
def empty_lines_between_all(bounce: bytes) -> bytes:
    header, body = split(bounce)
    return header + b"\n" + body.replace(b"\n", b"\n\n")


@wrapping
def mbox_from_lines(bounce: bytes) -> bytes:
    at = re.search(MESSAGE_ID, bounce).start()
    start = bounce.rfind(b"\n\n", 0, at) + 2
    return bounce[:start] + b">From alice@example.test  Sat Nov 28 03:10:01 2026\n" + bounce[start:]


@wrapping
def names_in_capitals(bounce: bytes) -> bytes:
    return re.sub(rb"(?m)^[A-Za-z-]+:(?= )", lambda found: found.group().upper(), bounce)


@wrapping
def indented(bounce: bytes) -> bytes:
    header, body = split(bounce)
    return with_content_type(bounce, "text/plain", re.sub(rb"(?m)^", b"    ", body))


# The Message-ID, rewritten

@wrapping
def id_in_lower_case(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-Id: <" + found.lower() + b">")


@wrapping
def id_in_upper_case(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <" + found.upper() + b">")


@wrapping
def id_folded(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID:\n\t<" + found + b">")


@wrapping
def id_folded_within(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <" + found.replace(b"@", b"@\n ") + b">")


@wrapping
def id_without_brackets(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: " + found)


@wrapping
def id_with_blanks_and_comment(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: < " + found + b" > (added by gateway)")


@wrapping
def id_in_quotes(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b'Message-ID: "<' + found + b'>"')


@wrapping
def id_cut_off(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <" + found[:-9])


@wrapping
def id_cut_off_and_closed(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <" + found[:-9] + b"...>")


@wrapping
def id_as_a_link(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <mailto:" + found + b">")


@wrapping
def id_replaced_by_a_relay(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"X-Google-Original-Message-ID: <" + found + b">\nMessage-ID: <0100019e@ses.example>")


@wrapping
def id_twice(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"Message-ID: <added-by-gateway@gateway.example>\nMessage-ID: <" + found + b">")


@wrapping
def id_taken_away(bounce: bytes) -> bytes:
    return returned(bounce, lambda found: b"X-Removed: yes")


@wrapping
def cut_off_in_the_id(bounce: bytes) -> bytes:
    found = re.search(MESSAGE_ID, bounce)
    return bounce[:found.end() - 12] + b"\n"


@wrapping
def cut_off_behind_the_header(bounce: bytes) -> bytes:
    found = re.search(MESSAGE_ID, bounce)
    return bounce[:found.end()] + b"\n"


# Passed on

@wrapping
def redirected_by_another_account(bounce: bytes) -> bytes:
    return b"X-Sieve: Pigeonhole Sieve 0.5.19\nX-Sieve-Redirected-From: alice@old.example\n" + bounce


@wrapping
def fetched_from_another_account(bounce: bytes) -> bytes:
    return b"Received: from pop.old.example [192.0.2.9]\n\tby home with POP3 (fetchmail-6.4.37); " + formatdate().encode() + \
        b"\n" + bounce.replace(b"To: " + field(bounce, "To").partition(b":")[2].strip(), b"To: alice@old.example", 1)


@wrapping
def forwarded_as_attachment_by_me(bounce: bytes) -> bytes:
    return new_header(ALICE, subject_of(bounce), b"Fwd: ") + b'Content-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(
        text(b"see below"), attached(bounce))


@wrapping
def forwarded_as_the_whole_message(bounce: bytes) -> bytes:
    """A filter rule "forward as attachment": nothing but message/rfc822."""
    return new_header("forwarder@old.example", subject_of(bounce), b"FW: ") + b"Content-Type: message/rfc822\n\n" + bounce


@wrapping
def resent(bounce: bytes) -> bytes:
    return f"Resent-From: dana@example.test\nResent-To: {ALICE}\nResent-Date: {formatdate()}\n" \
        f"Resent-Message-ID: <resent-{next(numbers)}@example.test>\n".encode() + bounce


@wrapping
def journal_report(bounce: bytes) -> bytes:
    return new_header("Journal <journal@example.test>", subject_of(bounce)) + \
        b'X-MS-Journal-Report:\nContent-Type: multipart/mixed; boundary="=_outer"\n\n' + parts(
            text(b"Sender: <>\nMessage-Id: " + field(bounce, "Message-ID").partition(b":")[2].strip()), attached(bounce))
