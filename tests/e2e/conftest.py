"""Fixtures: private Dovecots, and the MTAs. What the daemons of a failed test logged is attached to its report."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from dovecot import Dovecot   # noqa: E402
from dovecots import Dovecots   # noqa: E402
from milter import Milter, MilterRelay   # noqa: E402
from milter_site import MilterSite   # noqa: E402
from mta import MTAS, Mta   # noqa: E402
from relay import Relay   # noqa: E402
from sending import Sending   # noqa: E402
from smtp import PORT, SmtpServer   # noqa: E402

LOGS = pytest.StashKey[list]()
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[FAILED] = True
        for name, log in item.stash.get(LOGS, []):
            report.sections.append((name, str(log() if callable(log) else log)))


@pytest.fixture
def attach_log(request):
    """attach_log(name, log): shown if the test fails; a function: what it returns then."""
    logs = request.node.stash.setdefault(LOGS, [])
    return lambda name, log: logs.append((name, log))


@pytest.fixture(scope="session")
def dovecots():
    """Those that run, and that no test has at the moment."""
    dovecots = Dovecots()
    yield dovecots
    dovecots.stop()


@pytest.fixture
def dovecot_factory(request, dovecots, attach_log):
    """dovecot_factory(plugin={...}, ...) -> a running Dovecot (arguments: see there), as if it had just been started."""
    taken = []

    def make(*args, **settings) -> Dovecot:
        dovecot = dovecots.take(*args, **settings)
        taken.append(dovecot)
        attach_log(f"Dovecot {dovecot.folder}", lambda: dovecot.log)
        attach_log("its processes", dovecot.processes)
        return dovecot if dovecot.running else dovecot.start()

    yield make
    with ExitStack() as each:
        for dovecot in taken:
            each.callback(dovecots.give_back, dovecot, is_good=FAILED not in request.node.stash)


@pytest.fixture
def dovecot(dovecot_factory) -> Dovecot:
    """A Dovecot with the plugin and its default settings."""
    return dovecot_factory()


# MTAs start once per session, at first use.

@pytest.fixture(scope="session")
def mtas():
    """mtas("postfix") -> the running MTA of that name."""
    running: dict[str, Mta] = {}

    def get(name: str) -> Mta:
        if name not in running:
            running[name] = MTAS[name]().start()
        return running[name]

    yield get
    for mta in running.values():
        mta.stop()


@pytest.fixture(scope="session")
def running_relay():
    with Relay() as relay:
        yield relay


@pytest.fixture
def sending_factory(running_relay, dovecot_factory, attach_log):
    """sending_factory(plugin={...}, ...) -> Sending with a Dovecot of these settings (see there)."""
    attach_log("relay", running_relay.log)
    attach_log("remote", running_relay.remote.log)

    def make(*, plugin: dict[str, str] | None = None, **settings) -> Sending:
        dovecot = dovecot_factory(relay=running_relay.where, plugin={"backscatter_sources": "submission"} | (plugin or {}),
                                  **settings)
        running_relay.deliver_to(dovecot)
        return Sending(dovecot, running_relay)

    yield make
    running_relay.settle()


@pytest.fixture(scope="session")
def running_milter_relay():
    with MilterRelay() as relay:
        yield relay


@pytest.fixture
def milter_factory(attach_log):
    made = []

    def make(*args, **settings) -> Milter:
        milter = Milter(*args, **settings)
        made.append(milter)
        attach_log("milter", milter.log)
        return milter

    yield make
    for milter in made:
        milter.stop()


@pytest.fixture
def site_factory(running_milter_relay, dovecot_factory, milter_factory, attach_log):
    """site_factory(milter={...}, plugin={...}) -> MilterSite with these settings."""
    relay = running_milter_relay
    attach_log("relay", relay.log)
    attach_log("remote", relay.remote.log)

    def make(*, milter: dict[str, str] | None = None, **settings) -> MilterSite:
        daemon = milter_factory(relay.socket_folder / "milter.sock", **(milter or {}))
        dovecot = dovecot_factory(**daemon.dovecot(relay, **settings))
        relay.deliver_to(dovecot)
        daemon.start(dovecot)
        return MilterSite(relay, daemon, dovecot)

    yield make
    relay.settle()


@pytest.fixture
def site(site_factory) -> MilterSite:
    """Postfix, the milter and Dovecot, with their default settings."""
    return site_factory()


@pytest.fixture
def cleanup():
    """What a test enters is left behind it, whatever happened."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def sending(sending_factory) -> Sending:
    """With the plugin's default settings, but for the source."""
    return sending_factory()


@pytest.fixture
def world(request):
    """A relay that is no MTA: an SmtpServer with DSN, or as an indirect parameter says."""
    server = SmtpServer(*getattr(request, "param", ["DSN"]))
    yield server
    server.stop()


@pytest.fixture
def relayed_to_world(world, dovecot_factory):
    """relayed_to_world(...) -> a Dovecot whose submission service hands mail on to the world at once."""
    return lambda **settings: dovecot_factory(relay=(world.address, PORT), **settings)


@pytest.fixture(params=MTAS)
def mta(request, mtas, attach_log) -> Mta:
    """Each of the MTAs in turn."""
    mta = mtas(request.param)
    attach_log(request.param, mta.log)
    return mta


@pytest.fixture
def postfix(mtas) -> Mta:
    return mtas("postfix")


@pytest.fixture
def exim(mtas) -> Mta:
    return mtas("exim")


@pytest.fixture
def opensmtpd(mtas) -> Mta:
    return mtas("opensmtpd")
