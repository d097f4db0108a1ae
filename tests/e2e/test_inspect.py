"""tests/tools/inspect, by which the corpus is checked: what the report reader sees in a message."""

import json
import subprocess
import time
from pathlib import Path

from dovecot import ROOT, Result
from sentlog import DAY, STRANGER, dsn, mdn, message_id_of, sent_message


def inspect(*paths: Path | str) -> Result:
    done = subprocess.run([ROOT / "tests" / "tools" / "inspect"], input="".join(f"{path}\n" for path in paths), text=True,
                          capture_output=True, timeout=30)
    return Result(done.returncode, done.stdout, done.stderr)


def test_inspect(tmp_path):
    original = sent_message(to=f"{STRANGER}, second@strangers.example", days_ago=2)
    paths = []
    for name, content in (("dsn", dsn(original)), ("mdn", mdn(original)), ("plain", b"Subject: hello\n\nbody\n")):
        paths.append(tmp_path / f"{name}.eml")
        paths[-1].write_bytes(content)
    result = inspect(*paths)
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert [(row["file"], row["class"]) for row in rows] == [
        (str(paths[0]), "dsn-failed"), (str(paths[1]), "mdn"), (str(paths[2]), "none")]
    assert rows[0]["message_ids"] == rows[1]["message_ids"] == [message_id_of(original)]
    assert rows[0]["recipients"] == [STRANGER, "second@strangers.example"]
    assert rows[0]["date"].startswith(time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * DAY)))


def test_inspect_goes_on_after_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "report.eml"
    path.write_bytes(dsn(sent_message()))
    result = inspect("/nonexistent", path)
    assert result.code == 1 and "/nonexistent" in result.err and "No such file" in result.err
    assert [json.loads(line)["file"] for line in result.out.splitlines()] == [str(path)]
