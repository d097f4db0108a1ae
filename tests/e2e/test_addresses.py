"""Who may send as what: doveadm backscatter addresses, and the dicts it asks (issue 13, part 2)."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, CAROL, Dovecot, Result
from dovecot_config import IS_2_3
from process import Daemon, Log
from relay import READER
from sentlog import sent_message
from submission import Reply, SubmissionClient

LOGIN, SETTING, DICT, NOT_OWNED = "login", "backscatter_addresses", "backscatter_sender_dict", "not-owned"
EX_DATAERR, EX_TEMPFAIL = 65, 75
DEADLINE = 20


def addresses(dovecot: Dovecot, *asked: str, user: str = ALICE, **options) -> Result:
    return dovecot.doveadm("backscatter", "addresses", *asked, user=user, **{"formatter": "tab"} | options)


def listed(dovecot: Dovecot, user: str = ALICE) -> list[tuple[str, str]]:
    return [(row["address"], row["source"]) for row in addresses(dovecot, user=user).rows()]


def source(dovecot: Dovecot, address: str, user: str = ALICE) -> str:
    [row] = addresses(dovecot, address, user=user).rows()
    assert row["address"] == address
    return row["source"]


# login and setting

@pytest.fixture(scope="module")
def server():
    """doveadm only reads."""
    with Dovecot(plugin={"backscatter_addresses": "Info@example.test sales-*@example.test, @example.net"}) as dovecot:
        yield dovecot


def test_the_list(server):
    assert listed(server) == [(ALICE, LOGIN), ("info@example.test", SETTING), ("sales-*@example.test", SETTING),
                              ("@example.net", SETTING)]


@pytest.mark.parametrize("formatter", ["table", "tab", "flow", "pager", "json"])
def test_every_formatter(server, formatter):
    result = addresses(server, formatter=formatter)
    assert ALICE in result.out and LOGIN in result.out and result.err == ""
    if formatter == "json":
        assert result.json()[0] == {"address": ALICE, "source": LOGIN}


def test_all_users(server):
    rows = server.doveadm("backscatter", "addresses", "-A", formatter="json").json()
    assert {row["username"] for row in rows} == {ALICE, BOB, CAROL}
    assert [row["address"] for row in rows if row["source"] == LOGIN] == [row["username"] for row in rows
                                                                         if row["source"] == LOGIN]


@pytest.mark.parametrize("address, expected", [
    (ALICE, LOGIN), (ALICE.upper(), LOGIN), ("alice+x@example.test", LOGIN), ("info+x@EXAMPLE.test", SETTING),
    ("sales-berlin@example.test", SETTING), ("anyone@example.net", SETTING), ("postmaster@example.net", SETTING),
    (BOB, NOT_OWNED), ("sales@example.test", NOT_OWNED), ("postmaster@example.test", NOT_OWNED),
    ("alice", NOT_OWNED), ("alice@example.test@evil.test", NOT_OWNED), ("", NOT_OWNED), ("a\nb@example.net", NOT_OWNED)])
def test_asked_for_an_address(server, address, expected):
    result = addresses(server, address, formatter="json").json()
    assert [row["source"] for row in result] == [expected]


def test_asked_for_several(server):
    rows = addresses(server, BOB, ALICE).rows()
    assert [row["source"] for row in rows] == [NOT_OWNED, LOGIN]


def test_an_unknown_user(server):
    assert addresses(server, user="nobody@example.test", check=False).code == 67


# the dict

class FileDict:
    """One file a user: doesn't tell users apart itself."""
    lists = True
    notices_changes = False   # of a file that is written to, and not replaced

    def __init__(self, folder: Path):
        self.folder = folder / "senders"
        self.folder.mkdir()
        self.folder.chmod(0o777)

    def config(self) -> str:
        if IS_2_3:
            return f"plugin {{\n  backscatter_sender_dict = file:{self.folder}/%u\n}}\n"
        return f"backscatter_sender_dict {{\n  dict file {{\n    path = {self.folder}/%{{user}}\n  }}\n}}\n"

    def add(self, user: str, name: str) -> None:
        with (self.folder / user).open("a") as file:
            file.write(f"priv/backscatter/sender/{name}\nyes\n")
        (self.folder / user).chmod(0o644)

    def stop(self) -> None:
        pass


class FsDict(FileDict):
    """One file an address."""
    lists = not IS_2_3
    notices_changes = True

    def config(self) -> str:
        if IS_2_3:
            return f"plugin {{\n  backscatter_sender_dict = fs:posix:prefix={self.folder}/\n}}\n"
        return (f"backscatter_sender_dict {{\n  dict fs {{\n    fs posix {{\n      prefix = {self.folder}/\n"
                "    }\n  }\n}\n")

    def add(self, user: str, name: str) -> None:
        path = self.folder / user / "backscatter" / "sender" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("yes")


class SqlDict(FileDict):
    """The alias table of a site, behind Dovecot's dict server."""
    notices_changes = True

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.database = self.folder / "mail.sqlite"
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("CREATE TABLE aliases (username TEXT, address TEXT, active TEXT)")
        self.database.chmod(0o666)

    def config(self) -> str:
        service = "service dict {\n  unix_listener dict {\n    mode = 0666\n  }\n}\n"
        if not IS_2_3:
            return service + f"""\
dict_server {{
  dict senders {{
    driver = sql
    sql_driver = sqlite
    sqlite_path = {self.database}
    dict_map priv/backscatter/sender/$address {{
      sql_table = aliases
      username_field = username
      key_field address {{
        value = $address
      }}
      value_field active {{
      }}
    }}
  }}
}}
backscatter_sender_dict {{
  dict proxy {{
    name = senders
  }}
}}
"""
        mapping = self.folder / "dict.conf"
        mapping.write_text(f"""\
connect = {self.database}
map {{
  pattern = priv/backscatter/sender/$address
  table = aliases
  username_field = username
  value_field = active
  fields {{
    address = $address
  }}
}}
""")
        return service + f"""\
dict {{
  senders = sqlite:{mapping}
}}
plugin {{
  backscatter_sender_dict = proxy::senders
}}
"""

    def add(self, user: str, name: str) -> None:
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute("INSERT INTO aliases VALUES (?, ?, 'yes')", (user, name))


class RedisDict(FileDict):
    lists = False
    notices_changes = True

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.socket = self.folder / "redis.sock"
        self.daemon = Daemon(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "777",
                              "--save", "", "--dir", str(self.folder)], Log(self.folder / "redis.log"), "[Rr]eady to accept")

    def config(self) -> str:
        if IS_2_3:
            return f"plugin {{\n  backscatter_sender_dict = redis:path={self.socket}:prefix=mail/:timeout_msecs=2000\n}}\n"
        return (f"backscatter_sender_dict {{\n  dict redis {{\n    redis_socket_path = {self.socket}\n"
                "    redis_key_prefix = mail/\n    redis_request_timeout = 2s\n  }\n}\n")

    def add(self, user: str, name: str) -> None:
        subprocess.run(["redis-cli", "-s", str(self.socket), "SET", f"mail/{user}/backscatter/sender/{name}", ""],
                       check=True, capture_output=True, timeout=DEADLINE)

    def stop(self) -> None:
        self.daemon.stop()


DICTS = {"file": FileDict, "fs": FsDict, "sql": SqlDict, "redis": RedisDict}
ENTRIES = {ALICE: ["info@example.test", "a/b@example.test", "@example.net"], BOB: ["bobby@example.test"]}


@pytest.fixture(scope="module", params=DICTS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def with_dict(kind, running_relay):
    """(Dovecot, its dict)"""
    dovecot = Dovecot(plugin={"backscatter_addresses": "listed@example.test", "backscatter_sender_check": "both"},
                      relay=running_relay.where)
    senders = None
    try:
        senders = DICTS[kind](dovecot.folder)
        for user, names in ENTRIES.items():
            for name in names:
                # as Dovecot escapes it: a / belongs to the path
                senders.add(user, name.replace("/", r"\|"))
        dovecot.extra = senders.config()
        yield dovecot.start(), senders
    finally:
        if senders is not None:
            senders.stop()
        dovecot.stop()


@pytest.mark.parametrize("address, expected", [
    ("info@example.test", DICT), ("INFO@Example.Test", DICT), ("info+any@example.test", DICT), ("a/b@example.test", DICT),
    ("anyone@example.net", DICT), ("anyone@sub.example.net", NOT_OWNED), ("bobby@example.test", NOT_OWNED),
    (ALICE, LOGIN), ("listed@example.test", SETTING), ("other@example.test", NOT_OWNED),
    ("../../bob@example.test/backscatter/sender/bobby@example.test", NOT_OWNED), ("%@example.test", NOT_OWNED),
    ("info@example.test' OR '1'='1", NOT_OWNED)])
def test_the_dict_is_asked(with_dict, address, expected):
    assert source(with_dict[0], address) == expected


def test_the_dict_tells_users_apart(with_dict):
    assert source(with_dict[0], "bobby@example.test", BOB) == DICT
    assert source(with_dict[0], "info@example.test", BOB) == NOT_OWNED


def test_the_dicts_addresses_are_listed_where_that_can_be_done(with_dict):
    dovecot, senders = with_dict
    expected = [(ALICE, LOGIN), ("listed@example.test", SETTING)]
    if senders.lists:
        expected += [(name, DICT) for name in sorted(ENTRIES[ALICE])]
    assert listed(dovecot) == expected
    said = addresses(dovecot).err
    assert said == "" if senders.lists else "can't list its addresses" in said


def test_a_user_without_entries(with_dict):
    assert listed(with_dict[0], CAROL) == [(CAROL, LOGIN), ("listed@example.test", SETTING)]
    assert source(with_dict[0], "info@example.test", CAROL) == NOT_OWNED


# the submission service

def submitted(client: SubmissionClient, sender: str) -> Reply:
    return client.submit(sender, [READER], sent_message(sender=sender))


def test_submission_asks_the_dict(with_dict):
    with with_dict[0].submission(ALICE) as client:
        for _ in range(2):
            for sender in ("info@example.test", "info+x@example.test", "anyone@example.net", "listed@example.test", ALICE):
                assert submitted(client, sender).accepted, sender
            reply = submitted(client, "bobby@example.test")
            assert reply.code == 553 and reply.text.startswith("5.7.1 ")
            assert f"{ALICE}, listed@example.test, addresses in backscatter_sender_dict" in reply.text


def test_what_the_dict_learns_counts_at_once(with_dict):
    dovecot, senders = with_dict
    with dovecot.submission(CAROL) as client:
        assert submitted(client, "new@example.test").code == 553
        senders.add(CAROL, "new@example.test")
        if senders.notices_changes:
            assert submitted(client, "new@example.test").accepted
    with dovecot.submission(CAROL) as client:
        assert submitted(client, "new@example.test").accepted


# the dict fails

def broken(kind: str, folder: Path) -> str:
    """Configuration of a dict that can't be asked."""
    nowhere = folder / "nowhere.sock"
    if kind == "no server":
        return (f"plugin {{\n  backscatter_sender_dict = proxy:{nowhere}:senders\n}}\n" if IS_2_3 else
                f"backscatter_sender_dict {{\n  dict proxy {{\n    name = senders\n    socket_path = {nowhere}\n  }}\n}}\n")
    if kind == "no redis":
        return (f"plugin {{\n  backscatter_sender_dict = redis:path={nowhere}\n}}\n" if IS_2_3 else
                f"backscatter_sender_dict {{\n  dict redis {{\n    redis_socket_path = {nowhere}\n  }}\n}}\n")
    return ("plugin {\n  backscatter_sender_dict = nosuch:thing\n}\n" if IS_2_3 else
            "backscatter_sender_dict {\n  dict senders {\n    driver = nosuch\n  }\n}\n")


@pytest.mark.parametrize("check, code", [("log", 250), ("envelope", 451), ("both", 451)])
def test_submission_without_its_dict(running_relay, check, code):
    """A failure that may pass refuses nothing for good, and nobody who doesn't need the dict."""
    dovecot = Dovecot(plugin={"backscatter_sender_check": check}, relay=running_relay.where)
    dovecot.extra = broken("no redis", dovecot.folder)
    with dovecot, dovecot.submission(ALICE) as client:
        assert submitted(client, ALICE).accepted
        assert submitted(client, BOB).code == code
        assert submitted(client, ALICE).accepted
    dovecot.wait_log("Error: backscatter: backscatter_sender_dict: (?!backscatter)")


@pytest.mark.parametrize("kind", ["no server", "no redis", "no driver"])
def test_a_dict_that_can_not_be_asked(kind):
    dovecot = Dovecot()
    dovecot.extra = broken(kind, dovecot.folder)
    with dovecot:
        assert source(dovecot, ALICE) == LOGIN, "the dict is not needed"
        result = addresses(dovecot, BOB, check=False)
        assert result.code == EX_TEMPFAIL and "backscatter_sender_dict: " in result.err, result
        result = dovecot.doveadm("backscatter", "sender", f"From: {BOB}", user=ALICE, check=False)
        assert result.code == EX_TEMPFAIL and "can't be looked up now" in result.err and "refused" not in result.out, result
        result = addresses(dovecot, check=False)
        assert [row["source"] for row in result.rows()] == [LOGIN]
        assert "backscatter_sender_dict: " in result.err
        result = dovecot.doveadm("backscatter", "coverage", user=ALICE, check=False)
        assert result.code == EX_DATAERR and "backscatter_sender_dict: " in result.err, result
