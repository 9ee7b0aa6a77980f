"""`walrusctl challenges`: the matrix as a document and as text, and nodes that are named one by one."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from typer.testing import CliRunner

from walrus_client.challenges.reports import Report, Reports, SignedReport
from walrus_client.challenges.results import Results, Vote
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_client.cli import app
from walrus_client.cli import challenges as commands
from walrus_client.cli.challenge_matrix import Party, document, render
from walrus_codec.types import Epoch, NodeId
from walrus_sui.keys import BlsKey

E7 = Epoch(7)
KEYS = [BlsKey.generate() for _ in range(4)]
PARTIES = [
    Party(NodeId("0x" + f"{number + 1:02x}" * 32), f"demo-{number}", weight, KEYS[number].public_key)
    for number, weight in enumerate((3, 3, 2, 2))
]


def report(challenger, prover, verdict=Verdict.PASS, reason=Outcome.PASS, *, end=20):
    missing = reason is Outcome.MISSING
    return Report(
        epoch=E7,
        challenger=PARTIES[challenger].node_id,
        prover=PARTIES[prover].node_id,
        attempt=0,
        seed=bytes(96) if reason is not None else b"",
        blobs=3,
        root=bytes(32),
        samples=18,
        verdict=verdict,
        reason=reason,
        first=4 if missing else None,
        answered=4 if missing else 18,
        chain=bytes(32),
        start_ms=10,
        end_ms=end,
    )


def signed(number, made):
    return SignedReport(made.to_bytes(), KEYS[number].sign(made.to_bytes()))


FOUND = [
    report(0, 1),
    report(0, 2, Verdict.EXCUSED, Outcome.LAGGING),
    report(0, 3, Verdict.FAIL, Outcome.MISSING),
    report(1, 0),
    report(1, 3, Verdict.FAIL, Outcome.MISSING),
    report(2, 3, Verdict.FAIL, Outcome.LATE),
    report(3, 0, Verdict.NONE, None),
    report(3, 1),
    report(3, 1, end=21),
]
OUTCOME = {
    "mode": "Vote",
    "silent": ["demo-2"],
    "members": [{"node": "demo-3", "votes": 3, "slashed": True, "burned": 500}],
}

TEXT = """\
Challenges of epoch 7, mode Vote: 7 of 12 verdicts, 2 PASS, 3 FAIL, 1 EXCUSED, 1 NONE

             0 1 2 3
  0  demo-0    . E F
  1  demo-1  .   ? F
  2  demo-2  ? ?   F
  3  demo-3  - ! !

. PASS  F FAIL  E EXCUSED  - NONE  ? no report  ! two different reports

demo-2: EXCUSED by 1 (LAGGING: demo-0)
demo-0: NONE by 1 (nothing to ask: demo-3)
demo-3: FAIL by 3 (MISSING: demo-0, demo-1; LATE: demo-2); 3 votes; slashed, 500 FROST burned

silent: demo-2

equivocating: demo-3"""


def reports():
    found = Reports(E7)
    for made in FOUND:
        found.add(made)
    return found


def test_the_matrix_as_text():
    page = document(E7, PARTIES, reports(), checked=True, outcome=OUTCOME)
    assert "challenges are off" not in render(page)
    assert sorted(render(page).splitlines()) == sorted(TEXT.splitlines())
    assert render(page).splitlines()[:7] == TEXT.splitlines()[:7]


def test_what_is_told_before_60_percent_is_said_to_be_not_all():
    found = Reports(E7)
    for challenger in (0, 1):
        found.add(report(challenger, 3, Verdict.FAIL, Outcome.MISSING))
    assert "So far only proven failures are told" in render(document(E7, PARTIES, found, checked=True))
    found.add(report(2, 3, Verdict.FAIL, Outcome.LATE))
    assert "So far" not in render(document(E7, PARTIES, found, checked=True))


def test_the_matrix_as_data():
    page = document(E7, PARTIES, reports(), checked=True)
    assert json.loads(json.dumps(page)) == page
    assert (page["mode"], page["expected"], page["signaturesChecked"]) == (None, 12, True)
    assert page["verdicts"][2] == {
        "challenger": "demo-0",
        "challenged": "demo-3",
        "verdict": "FAIL",
        "reason": "MISSING",
        "attempt": 0,
        "answered": 4,
        "questions": 18,
        "firstBad": 4,
    }
    assert page["members"][3]["votes"] is None


def test_a_hundred_members_fit_a_terminal():
    parties = [Party(NodeId(f"0x{number:064x}"), f"demo-{number}") for number in range(100)]
    lines = render(document(E7, parties, Reports(E7), checked=False)).splitlines()
    assert max(len(line) for line in lines if line.startswith(" ")) <= 120
    assert lines[4].endswith(" " * 10 + "".join(str(tens) * 10 for tens in range(1, 10)))


def invoke(*arguments, source=None):
    application = app if source is None else commands.commands(source)
    done = CliRunner().invoke(application, [*(["challenges"] if source is None else []), *arguments])
    return done.exit_code, done.stdout, done.stderr


def results(number, *, all_=True):
    made = [each for each in FOUND if all_ or each.challenger == PARTIES[number].node_id]
    own = tuple(signed(PARTIES.index(next(p for p in PARTIES if p.node_id == each.challenger)), each) for each in made)
    return Results(E7, PARTIES[number].node_id, own, (Vote(PARTIES[3].node_id, voted=True, ended="", burned=0),))


def test_whoever_hands_reports_on_cannot_make_them():
    forged = report(2, 0, Verdict.FAIL, Outcome.WRONG)
    answer = results(0)
    answer = Results(E7, answer.node, (*answer.reports, SignedReport(forged.to_bytes(), KEYS[0].sign(b"no"))), ())
    code, out, _ = invoke("-o", "json", source=lambda epoch: commands.Found(E7, PARTIES, [answer], OUTCOME))
    page = json.loads(out)
    assert (code, len(page["verdicts"]), page["signaturesChecked"]) == (0, 7, True)
    assert not any(entry["challenger"] == "demo-2" and entry["challenged"] == "demo-0" for entry in page["verdicts"])
    unknown = [Party(party.node_id, party.name, party.weight) for party in PARTIES]
    _, out, _ = invoke("-o", "json", source=lambda epoch: commands.Found(E7, unknown, [answer], None))
    assert json.loads(out)["verdicts"] == [], "without keys nobody is believed"


@pytest.fixture
def node_url():
    """A node's HTTP port, with what it answers by path."""
    answers = {
        "/v1/info": {"epoch": 8},
        "/v1/challenges/8?own": json.loads(Results(Epoch(8), PARTIES[0].node_id, (), ()).to_json()),
        "/v1/challenges/7?own": json.loads(results(0, all_=False).to_json()),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = answers.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_node_that_is_named_is_believed_what_it_says_itself(node_url):
    url, answers = node_url
    code, out, _ = invoke("--node", f"{url}/")
    assert code == 0
    assert "Challenges of epoch 7: 3 of 12 verdicts, 1 PASS, 1 FAIL, 1 EXCUSED, 0 NONE" in out
    assert "Signatures were not checked" in out
    assert invoke("--node", url, "--epoch", "6")[0] == 4
    answers["/v1/info"] = ["no"]
    code, _, err = invoke("--node", url)
    assert (code, "does not answer like a storage node" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "name the nodes"), (("--node", "ftp://x"), "is no URL"), (("--node", "http://x", "--epoch", "-1"), "")],
)
def test_wrong_usage(arguments, says):
    code, _, err = invoke(*arguments)
    assert (code, says in err) == (2, True)


def test_an_epoch_of_which_nobody_tells_is_explained():
    lines = render(document(E7, PARTIES, Reports(E7), checked=True)).splitlines()
    assert lines[0].startswith("Challenges of epoch 7: 0 of 12 verdicts")
    assert "challenges are off (spec.challenges.mode" in lines[1]
