"""doveadm's HTTP API on a unix socket, as a milter on the same host asks it.

    dovecot = dovecot_factory(extra=doveadm_http.LISTENER)
    assert doveadm_http.call(dovecot, "backscatterSentCount", user=ALICE).code == 0
"""

import base64
import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from dovecot import DEADLINE, Dovecot, connect
from dovecot_config import IS_2_3

KEY = "key of the api"


# For Dovecot(extra=...). One process for all calls, so that who ends it ends what others asked. 2.3 goes by the listener's name.
LISTENER = f"""
doveadm_api_key = {KEY}
service doveadm {{
  process_limit = 1
  {"service_count = 0" if IS_2_3 else "restart_request_count = unlimited"}
  unix_listener http {{
    mode = 0600
    {"" if IS_2_3 else "type = http"}
  }}
}}
"""


@dataclass
class Answer:
    """rows: what was printed. code: doveadm's exit code. error: Dovecot's name for what went wrong; "" = nothing."""
    rows: list[dict[str, str]]
    code: int
    error: str


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path, DEADLINE)


def call(dovecot: Dovecot, command: str, /, **parameters) -> Answer:
    [answer] = calls(dovecot, [(command, parameters)])
    return answer


def calls(dovecot: Dovecot, commands: list[tuple[str, dict]]) -> list[Answer]:
    """All in one request. No answer at all is an error of http.client's."""
    client = UnixHttp(dovecot.run / "http")
    key = base64.b64encode(KEY.encode()).decode()
    client.request("POST", "/doveadm/v1", json.dumps([[name, parameters, str(number)]
                                                      for number, (name, parameters) in enumerate(commands)]),
                   {"Authorization": f"X-Dovecot-API {key}", "Content-Type": "application/json"})
    response = client.getresponse()
    text = response.read()
    client.close()
    assert response.status == 200, text
    answers = json.loads(text)
    assert [tag for _, _, tag in answers] == [str(number) for number in range(len(commands))], answers
    return [Answer(value, 0, "") if kind == "doveadmResponse" else Answer([], value["exitCode"], value["type"])
            for kind, value, _ in answers]
