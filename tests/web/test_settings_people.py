"""Care for people in the console: found, their memories seen and forgotten, their data handed over or erased."""

import json
import re
import zipfile
from io import BytesIO

from tests.program import person
from tests.web.console_client import Staff
from tests.web.settings_data import first, remembered, went
from wtai.identity.users_store import end_users
from wtai.web.console.session import COOKIE

ANA, BIA = person(1), person(2)


async def customers(staff: Staff) -> tuple[str, str]:
    """Ana, of whom two facts are kept, and Bia."""
    await staff.conversation(ANA)
    ana = await staff.program.database.write(1, remembered)
    await staff.conversation(BIA)
    bia = await staff.program.database.read(1, lambda tx: end_users(tx)[1].public_id)
    await went(staff.admin, f"/console/people/{ana}", version="1", name="Ana 100%")
    await went(staff.admin, f"/console/people/{bia}", version="1", name="Joana Ágata")
    return ana, bia


async def test_people_are_found_by_name_and_number_and_forgotten_by_whoever_may(staff: Staff) -> None:
    ana, bia = await customers(staff)

    async def found(words: str) -> list[str]:
        text = (await staff.agent.get(f"/console/people?q={words}")).text
        return re.findall(r'href="/console/people/(usr_\w+)"', text)

    assert await found("") == [bia, ana]
    assert await found("ANA%20100") == [ana]
    assert await found("joana%20agata") == [bia], "without accents, each word's beginning"
    assert await found(ANA[-4:]) == [ana]
    assert await found("zz") == []

    refused = await staff.agent.post(f"/console/people/{ana}", {"version": "2", "name": " "})
    assert (refused.status, 'id="e-name"' in refused.text) == (422, True)

    page = (await staff.agent.get(f"/console/people/{ana}/memories")).text
    assert "pão de queijo" in page
    facts = re.findall(r"/memories/(mem_\w+)/forget", page)
    assert (await staff.agent.post(f"/console/people/{bia}/memories/{facts[0]}/forget")).status == 404
    await went(staff.agent, f"/console/people/{ana}/memories/{facts[0]}/forget")
    assert [row["public_id"] for row in staff.world.rows("SELECT public_id FROM memories")] == [facts[1]]
    await went(staff.agent, f"/console/people/{ana}/memories/forget")
    assert staff.world.rows("SELECT id FROM memories") == []
    audited = staff.world.rows("SELECT target FROM audit_log WHERE action = 'memories.delete' ORDER BY id")
    assert [row["target"] for row in audited] == [facts[0], ana]
    assert (await staff.agent.post(f"/console/people/{ana}/export")).status == 403
    assert (await staff.agent.post(f"/console/people/{ana}/erase", {"sure": "Ana 100%"})).status == 403


async def test_a_person_is_handed_over_whole_and_erased_once_the_name_was_typed(staff: Staff) -> None:
    ana, bia = await customers(staff)
    headers = {"Cookie": f"{COOKIE}={staff.admin.cookie}", "Sec-Fetch-Site": "same-origin"}
    async with staff.session.post(f"/console/people/{ana}/export", headers=headers) as answer:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{ana}.zip"'
        assert answer.headers["Cache-Control"] == "no-store"
        archive = zipfile.ZipFile(BytesIO(await answer.read()))
    assert archive.testzip() is None
    memories = [json.loads(line)["text"] for line in archive.read("memories.jsonl").splitlines()]
    assert sorted(memories) == ["A Ana gosta de pão de queijo", "O aniversário da Ana é em março"]
    assert BIA not in archive.read("user_addresses.jsonl").decode()

    for typed in ("", "Ana", ana):
        refused = await staff.admin.post(f"/console/people/{ana}/erase", {"sure": typed})
        assert (refused.status, 'id="e-sure"' in refused.text) == (422, True)
    assert staff.world.rows("SELECT id FROM users WHERE public_id = :ana", ana=ana)

    done = await staff.admin.post(f"/console/people/{ana}/erase", {"sure": "Ana 100%"})
    assert done.status == 200
    receipt = first(staff, "erasures", "")
    assert f"<code>{receipt}</code>" in done.text
    assert ana not in done.text
    assert not staff.world.rows("SELECT id FROM users WHERE public_id = :ana", ana=ana)
    listed = (await staff.admin.get("/console/people")).text
    assert re.findall(r'href="/console/people/(usr_\w+)"', listed) == [bia], "nor is there nobody, who has the sums"
    actions = staff.world.rows("SELECT action, target FROM audit_log WHERE action LIKE '%users.e%' ORDER BY id")
    assert [(row["action"], row["target"]) for row in actions] == [("end_users.export", "erased"), ("users.erase", receipt)]
