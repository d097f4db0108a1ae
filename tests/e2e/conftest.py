"""Fixtures: private Dovecots, and the MTAs. What the daemons of a failed test logged is attached to its report."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dovecot import Dovecot   # noqa: E402
from mta import MTAS, Mta   # noqa: E402

LOGS = pytest.StashKey[list]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, log in item.stash.get(LOGS, []):
            report.sections.append((name, str(log)))


@pytest.fixture
def attach_log(request):
    """attach_log(name, log): shown if the test fails."""
    logs = request.node.stash.setdefault(LOGS, [])
    return lambda name, log: logs.append((name, log))


@pytest.fixture
def dovecot_factory(attach_log):
    """dovecot_factory(plugin={...}, ...) -> a running Dovecot (arguments: see there), gone after the test."""
    instances = []

    def make(*args, **settings) -> Dovecot:
        dovecot = Dovecot(*args, **settings)
        instances.append(dovecot)
        attach_log(f"Dovecot {dovecot.folder}", dovecot.log)
        return dovecot.start()

    yield make
    for dovecot in instances:
        dovecot.stop()


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
