"""What must hold of the whole play, whatever was played: the ledger of the fake Twilio against the program's database."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from simulation.program import RunningProgram
from wtai.simulator.player import Played
from wtai.simulator.twilio import FakeTwilio

_INBOUND = "SELECT provider_sid FROM messages WHERE direction = 'inbound'"
_OUTBOUND = "SELECT provider_sid, status FROM messages WHERE direction = 'outbound' ORDER BY id"


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and whether it was kept; ``detail`` says what it was held against."""

    promise: str
    kept: bool
    detail: str


def audit(played: list[Played], acknowledged: Collection[str], twilio: FakeTwilio, program: RunningProgram) -> list[Check]:
    """All checks, also those after the first that fails."""
    return list(_checks(played, acknowledged, twilio, program))


def _checks(played: list[Played], acknowledged: Collection[str], twilio: FakeTwilio, program: RunningProgram) -> Iterator[Check]:
    bad = [step for step in played if step.problems]
    yield Check("every step went as expected", not bad, f"{len(played) - len(bad)} of {len(played)} steps")

    kept = Counter(str(row["provider_sid"]) for row in program.rows(_INBOUND))
    once = all(kept[sid] == 1 for sid in acknowledged)
    yield Check(
        "every acknowledged message is kept, once", once and len(kept) == len(acknowledged), f"{len(acknowledged)} messages"
    )

    callbacks = Counter(dict(message.form).get("StatusCallback", message.sid) for message in twilio.accepted)
    double = [url for url, count in callbacks.items() if count > 1]
    yield Check("nothing was sent twice", not double, f"{len(twilio.accepted)} messages in Twilio's ledger, {len(double)} double")

    outbound = program.rows(_OUTBOUND)
    place = {str(row["provider_sid"]): at for at, row in enumerate(outbound) if row["provider_sid"] is not None}
    yield Check("each customer got the answers in order", _in_order(twilio, place), f"{len(place)} answers")

    statuses = Counter(str(row["status"]) for row in outbound)
    unsettled = {"queued", "sending", "unknown"} & statuses.keys()
    shown = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    yield Check("the fate of each answer is known", not unsettled, shown)

    jobs = program.never_done()
    yield Check("no job is left but for later, none died", not jobs, f"{len(jobs)} jobs")
    yield Check("no credentials went to the media host", not twilio.leaks, f"{len(twilio.leaks)} leaks")


def _in_order(twilio: FakeTwilio, place: dict[str, int]) -> bool:
    by_customer: dict[str, list[int]] = {}
    for message in twilio.accepted:
        if message.sid not in place:
            return False
        by_customer.setdefault(message.to, []).append(place[message.sid])
    return all(places == sorted(places) for places in by_customer.values())
