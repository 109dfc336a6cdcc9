"""Grants in running gates: taken in by another process, decided at once, over at their instant, also on two gates."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path

from typer.testing import CliRunner

from cli.kit import app
from gate.world import House, costing, dollars, end, house, intent, serve
from spendgate.cli import in_force
from spendgate.cli.granted import Granting
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.config.policy_file import parse_policy
from spendgate.gate.interface import Admitted, Refused
from spendgate.grant_texts import COMMENT, Grant, SignedGrant
from spendgate.grants import Place, Refusal, Taken, Why, raised
from spendgate.ledger.check import beside, check
from spendgate.ledger.grant_book import GrantBook
from spendgate.ledger.queries import Reader
from spendgate.minisign_secret import SecretKey
from spendgate.replay.run import replay

KEY = SecretKey.new(bytes(range(40)))
TEXT = f"""\
version: 1
owner: ops@acme.example
people: {{alice: {{}}, bob: {{}}, lead: {{}}}}
budgets:
  - {{name: person, per: person, limit: $1 per month, wait: 0s}}
  - {{name: everybody, limit: $10 per month, wait: 0s}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $500}}
"""
POLICY = parse_policy(TEXT.encode())
ROOT = Path(__file__).parents[2]


class Desk:
    """An approver, and the command line on the same ledger: nothing here goes through the gate."""

    def __init__(self, folder: Path, place: House, name: str = "g") -> None:
        self.folder, self.place = folder, place
        self.granting = Granting(place.ledger, "lt-1", place.time.now_ms)
        self._name, self._count = name, 0

    def signed(self, amount: float = 2, *, person: str = "alice", hours: float = 5, **changes: object) -> str:
        """A grant's text."""
        self._count += 1
        now_ms = self.place.time.wall_ms
        words = {
            "id": f"{self._name}{self._count}", "ask": "a1", "ledger": self.place.ledger.head().id, "machine": "lt-1",
            "person": person, "budget": "person", "values": {"person": person}, "amount_nanos": dollars(amount),
            "from_ms": now_ms, "until_ms": now_ms + int(hours * 3_600_000), "reason": "release week",
            "approver": "lead", "issued_ms": now_ms, **changes,
        }  # fmt: skip
        made = Grant(**words)  # type: ignore[arg-type]
        return SignedGrant(made, KEY.sign(made.data(), COMMENT)).text()

    def accept(self, text: str, person: str = "alice") -> Taken | Refusal:
        """What `spendgate grant accept` does."""
        with GrantBook(self.folder / "ledger.db", POLICY, "lt-1") as book:
            return book.accept(text, person, self.place.time.now_ms(), person)

    def revoke(self, grant_id: str) -> bool:
        """What `spendgate grant revoke` does."""
        with GrantBook(self.folder / "ledger.db", POLICY, "lt-1") as book:
            return book.revoke(grant_id, "alice", self.place.time.now_ms())

    async def look(self) -> bool:
        """One look of the gate's own, as `granted.follow` has it; whether something had changed."""
        if not self.granting.changed():
            return False
        await self.place.gate.set_policy(self.granting.beside(POLICY))
        return True


@asynccontextmanager
async def desk(folder: Path, name: str = "g"):
    """A gate that follows its ledger's grants."""
    async with house(folder, POLICY) as place:
        found = Desk(folder, place, name)
        await place.gate.set_policy(found.granting.beside(POLICY))
        yield found


def audited(folder: Path) -> list[str]:
    """What the audit trail says of grants."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        assert check(conn) == ()
        return [detail for (detail,) in conn.execute("SELECT detail FROM audit WHERE what = 'grant' ORDER BY position")]


async def refused(place: House, person: str = "alice") -> str:
    """The refusal of a call."""
    answer = await place.gate.hold(intent(person))
    assert isinstance(answer, Refused)
    return answer.message


async def test_a_grant_admits_the_next_call_of_its_person_alone(tmp_path: Path) -> None:
    """Refused, granted, admitted, used up: the refusal then says by whom and why there was more. Bob's own dollar stays one."""
    async with desk(tmp_path) as at:
        gate = at.place.gate
        assert [await serve(gate, intent(who), 1.0, seconds=0) for who in ("alice", "bob")] == ["admitted"] * 2
        assert "is spent" in await refused(at.place)
        assert not await at.look()
        assert isinstance(at.accept(at.signed()), Taken)
        assert await at.look()
        assert not await at.look()
        assert await serve(gate, intent(), 2.0, seconds=0) == "admitted"
        said = await refused(at.place)
        assert "On this machine $3.00 spent of $3.00" in said
        assert "$2.00 more until " in said
        assert " UTC by lead: release week." in said
        assert "of $1.00" in await refused(at.place, "bob")
    async with desk(tmp_path) as at:  # after a restart nothing is left, and nothing is lost
        at.place.time.wall_ms += 60_000
        assert "$3.00 spent of $3.00" in await refused(at.place)
    (line,) = audited(tmp_path)
    assert line.startswith(
        "g1 taken in: alice has $2.00 more of person, granted by lead (key 0706050403020100): release week"
    )


async def test_a_grant_ends_while_a_call_runs(tmp_path: Path) -> None:
    """The call keeps its hold and is charged in full; the next one is decided without what was not used, also where the clock is
    set back before the end."""
    async with desk(tmp_path) as at:
        gate, time = at.place.gate, at.place.time
        assert await serve(gate, intent(), 1.0, seconds=0) == "admitted"
        assert isinstance(at.accept(at.signed(hours=1)), Taken)
        await at.look()
        running = intent()
        assert isinstance(await gate.hold(running), Admitted)
        time.wall_ms += 3_600_000
        said = await refused(at.place)  # by itself: the gate has not looked
        gate.settle(running.call_id, costing(0.4), end())
        assert "held" in said
        assert "$1.40 spent of $1.40" in await refused(at.place)
        assert await at.look()
        time.wall_ms -= 1_800_000
        assert await at.look()
        assert not await at.look()
        assert "$1.40 spent of $1.40" in await refused(at.place)
    assert audited(tmp_path)[-1] == "g1 ended: its time is over"


async def test_a_grant_that_is_revoked(tmp_path: Path) -> None:
    """It ends at once; what was spent under it counts in it; it is not taken in again."""
    async with desk(tmp_path) as at:
        assert await serve(at.place.gate, intent(), 1.0, seconds=0) == "admitted"
        text = at.signed()
        at.accept(text)
        await at.look()
        assert await serve(at.place.gate, intent(), 0.5, seconds=0) == "admitted"
        assert at.revoke("g1")
        assert not at.revoke("g1")
        assert await at.look()
        assert "$1.50 spent of $1.50" in await refused(at.place)
        again = at.accept(text)
        assert isinstance(again, Refusal)
        assert again.why is Why.TWICE
    assert audited(tmp_path)[1:] == ["g1 ended: revoked by alice", "g1 refused: twice"]


async def test_a_revoked_grant_that_somebody_brings_back(tmp_path: Path) -> None:
    """Its end is taken out of the ledger, or set to another day: `audit verify` and the gate's hourly look name the line that has
    it. Who only hands in a forged grant with such a name accuses nobody."""
    async with desk(tmp_path) as at:
        at.accept(at.signed())
        assert isinstance(at.accept(at.signed(id="g1 ended: ha", ledger="other")), Refusal)
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()
        assert at.revoke("g1")
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        assert check(conn) == ()
        conn.execute("DROP TRIGGER grant_ends_no_update")
        conn.execute("DROP TRIGGER grant_ends_no_delete")
        for sql in ("UPDATE grant_ends SET at_ms = at_ms + 86400000", "DELETE FROM grant_ends"):
            conn.execute(sql)
            (told,) = check(conn)
            assert told.startswith("grant g1 has ended by audit line ")
            assert beside(path, lambda: False) == (told,)


async def test_an_approver_who_is_removed(tmp_path: Path) -> None:
    """The policy decides: their grants end with it, and do not come back with them."""
    without = parse_policy(TEXT.partition("approvers:")[0].encode())
    async with desk(tmp_path) as at:
        gate = at.place.gate
        assert await serve(gate, intent(), 1.0, seconds=0) == "admitted"
        at.accept(at.signed())
        await at.look()
        await gate.set_policy(at.granting.beside(without))
        assert "$1.00 spent of $1.00" in await refused(at.place)
        await gate.set_policy(at.granting.beside(POLICY))
        assert "$1.00 spent of $1.00" in await refused(at.place)
    assert audited(tmp_path)[-1] == "g1 ended: the policy in force names no approver lead"


async def test_two_gates_on_one_ledger(tmp_path: Path) -> None:
    """Both see it; together they spend what it adds once."""
    async with desk(tmp_path) as one, desk(tmp_path, "h") as two:
        assert await serve(one.place.gate, intent(prefix="one"), 1.0, seconds=0) == "admitted"
        one.accept(one.signed(2))
        assert await one.look()
        assert await two.look()
        went = []
        for each in (one, two) * 4:
            went.append(await serve(each.place.gate, intent(prefix=each.place.ledger.gate_name), 0.5, seconds=0))
            each.place.gate.backlog.write_out()
        assert went == ["admitted"] * 4 + ["spent"] * 4
    assert audited(tmp_path)[0].startswith("g1 taken in")
    assert len(audited(tmp_path)) == 1


async def test_a_new_ledger_in_the_old_ones_place(tmp_path: Path) -> None:
    """The ledger is deleted with all that it had refused: the same grant does not count again."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    async with desk(tmp_path / "old") as at:
        text = at.signed()
        assert isinstance(at.accept(text), Taken)
    async with desk(tmp_path / "new") as at:
        again = at.accept(text)
        assert isinstance(again, Refusal)
        assert again.why is Why.LEDGER
        assert "a new ledger starts without the grants of the old one; ask again" in again.said
    assert audited(tmp_path / "new") == ["g1 refused: for another ledger"]


async def test_a_row_that_was_written_by_hand_is_no_grant(tmp_path: Path) -> None:
    """Whoever can write to the file can write rows; what counts is what an approver signed."""
    async with desk(tmp_path) as at:
        assert await serve(at.place.gate, intent(), 1.0, seconds=0) == "admitted"
        text = at.signed(700)  # above what lead may
        made = SignedGrant.parse(at.signed(400)).grant
        forged = SignedGrant(made, SecretKey.new(bytes(40)).sign(made.data(), COMMENT)).text()
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
            row = "INSERT INTO grants VALUES (NULL, ?, 'a', 0, 0, 9e12, 'alice', 'person', 1, 'lead', 'r', ?)"
            for number, each in enumerate((text, forged, "spendgate-grant:AA.AA", "nonsense")):
                conn.execute(row.replace("9e12", str(9 * 10**12)), (f"x{number}", each))
            conn.commit()
        assert await at.look()
        assert "$1.00 spent of $1.00" in await refused(at.place)


KILLED = """\
import os, signal, sys
from pathlib import Path
from spendgate.config.policy_file import parse_policy
from spendgate.ledger import grant_book
def killed(conn, line):
    os.kill(os.getpid(), signal.SIGKILL)
grant_book.audit_log.append = killed
folder, text, now_ms = sys.argv[1:]
policy = parse_policy(Path(folder, "policy.yaml").read_bytes())
with grant_book.GrantBook(Path(folder, "ledger.db"), policy, "lt-1") as book:
    book.accept(text, "alice", int(now_ms), "alice")
"""


async def test_killed_between_verify_and_write(tmp_path: Path) -> None:
    """Nothing is half taken in: the same command, again, takes it in, once."""
    (tmp_path / "policy.yaml").write_text(TEXT)
    async with desk(tmp_path) as at:
        text = at.signed()
        command = [sys.executable, "-c", KILLED, str(tmp_path), text, str(at.place.time.now_ms())]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "addon")}, check=False)
        assert done.returncode == -signal.SIGKILL
        assert at.place.ledger.grants() == ()
        assert isinstance(at.accept(text), Taken)
        again = at.accept(text)
        assert isinstance(again, Refusal)
        assert again.why is Why.TWICE
        assert len(at.place.ledger.grants()) == 1


async def test_a_replay_knows_what_was_granted(tmp_path: Path) -> None:
    """The ledger's own history, decided again under the same policy: nothing becomes of any call that did not then."""
    async with desk(tmp_path) as at:
        assert await serve(at.place.gate, intent(), 1.0, seconds=0) == "admitted"
        at.accept(at.signed(2))
        await at.look()
        assert await serve(at.place.gate, intent(), 2.0, seconds=0) == "admitted"
        await refused(at.place)
        at.place.gate.backlog.write_out()
        with Reader(tmp_path / "ledger.db") as reader:
            place = Place(reader.head().id, "lt-1")
            candidate, _ = raised(POLICY, reader.grants(), place, at.place.time.now_ms())
            outcome = replay(candidate, 0, reader.history)
            without = replay(POLICY, 0, reader.history)
    assert (outcome.calls, outcome.newly_refused, outcome.no_longer_refused) == (3, 0, 0)
    assert without.newly_refused == 1
    # So does the comment for a pull request: another text of refusals refuses nobody.
    files = [tmp_path / "policy.yaml", tmp_path / "next.yaml"]
    for file, text in zip(files, (TEXT, f"{TEXT}help: ask lead\n"), strict=True):
        file.write_text(text)
    state = prepare(State(tmp_path))
    found = policies.LastGood(state).start(files[0], at.place.time.now_ms()).policy
    in_force.tell(state, in_force.InForce(found.hash, str(files[0]), 0, (), None, "lt-1", "", ()))
    words = ["policy", "review", *map(str, files), "--state", str(tmp_path), "--since", "2020-01-01"]
    shown = CliRunner().invoke(app, words)
    assert "refused: 1 (1 then); 0 of them left then" in shown.stdout, shown.output


async def test_a_budget_that_others_share(tmp_path: Path) -> None:
    """Alice alone has more of what everybody shares: bob finds the limit as it was, whoever comes first."""
    policy = parse_policy(TEXT.replace("limit: $1 per month", "limit: $50 per month").encode())
    async with house(tmp_path, policy) as place:
        at = Desk(tmp_path, place)
        assert await serve(place.gate, intent("bob"), 10.0, seconds=0) == "admitted"
        with GrantBook(tmp_path / "ledger.db", policy, "lt-1") as book:
            text = at.signed(3, budget="everybody", values={})
            assert isinstance(book.accept(text, "alice", place.time.now_ms(), "alice"), Taken)
        await place.gate.set_policy(at.granting.beside(policy))
        assert "$10.00 spent of $10.00" in await refused(place, "bob")
        assert await serve(place.gate, intent("alice"), 3.0, seconds=0) == "admitted"
        assert "$13.00 spent of $13.00" in await refused(place, "alice")
        assert "is spent" in await refused(place, "bob")
