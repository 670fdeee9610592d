"""The scripted model with the program's own tools: it calls them, hands over, and tells what they did and nothing else."""

import json
from collections.abc import Iterable, Mapping

import pytest
from pydantic import JsonValue

from wtai.ai.context import note, recap
from wtai.ai.loop import UNKEPT
from wtai.ai.memory.memories import Memory
from wtai.ai.memory.ranking import Parts
from wtai.ai.promises import unkept
from wtai.ai.specialists import Specialists
from wtai.ai.toolbox import REFUSED, WAITS
from wtai.ai.tools.general import current_time
from wtai.ai.tools.handoff import call_person
from wtai.simulator.model_wire import Answer, Call
from wtai.simulator.prompt import ChatRequest, Exchange, Parameters, Prompt
from wtai.simulator.replies import NOT_DONE, answer, echo

AGENTS = Specialists((current_time(), call_person()), router_model=None).of("pt-BR", ()).agents
TEXT: dict[str, object] = {"type": "string"}
MEMORY = {
    "remember": Parameters.model_validate({"properties": {"text": TEXT, "kind": TEXT}, "required": ["text"]}),
    "recall": Parameters.model_validate({"properties": {"query": TEXT}, "required": ["query"]}),
    "forget": Parameters.model_validate({"properties": {"memory": TEXT, "words": TEXT}}),
    "forget_everything": Parameters(),
}
MONEY = {"kind": "expense", "text": "R$ 32,50", "date": "2026-11-20", "category": "alimentação", "description": "almoço"}
SUMS = {"count": 1, "income": {"text": "R$ 0,00"}, "expenses": {"text": "R$ 32,50"}, "balance": {"text": "-R$ 32,50"}}
ASKED = (
    "gastei 32,50 no almoço",
    "recebi 100 reais",
    "qual é o meu saldo?",
    "extrato de hoje",
    "como foi o mês?",
    "apaga o lançamento do uber",
    "apaga todos os lançamentos",
    "corrige o lançamento do uber para 25",
    "o aniversário da minha mãe é 14 de agosto",
    "quando é o aniversário da minha mãe?",
    "anota sobre a Carla: gosta de orquídeas",
    "apaga o contato Carla",
    "me lembra de pagar a luz amanhã às 9h",
    "quais são os meus lembretes?",
    "cancela o lembrete da luz",
    "lembra que eu moro em Lins",
    "qual é o nome do meu cachorro?",
    "esquece o que eu disse sobre camarão",
    "esquece tudo",
    "quero falar com um atendente",
    "registra aí que eu paguei",
)


def tools_of(agent: str) -> dict[str, Parameters]:
    return {spec.name: Parameters.model_validate(spec.parameters) for spec in AGENTS[agent].specs}


def prompt(
    *texts: str,
    tools: Mapping[str, Parameters],
    done: Iterable[tuple[str, Mapping[str, JsonValue], object]] = (),
    earlier: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
) -> Prompt:
    exchanges = (
        Exchange(name, json.dumps(arguments), result if isinstance(result, str) else json.dumps(result))
        for name, arguments, result in done
    )
    return Prompt("", earlier, texts, tuple(exchanges), tools, None, notes, known)


def told(text: str, agent: str, *results: object) -> str:
    """What it says once each call that it makes one after the other is answered with the next of ``results``."""
    done: list[tuple[str, Mapping[str, JsonValue], object]] = []
    for result in results:
        (call,) = answer(prompt(text, tools=tools_of(agent), done=done)).calls
        done.append((call.name, call.arguments, result))
    return answer(prompt(text, tools=tools_of(agent), done=done)).text


@pytest.mark.parametrize(
    ("agent", "text", "name", "arguments"),
    [
        (
            "finance",
            "gastei 32,50 no almoço ontem",
            "add_expense",
            {"amount": "32.50", "date": "ontem", "category": "alimentação", "description": "almoço"},
        ),
        (
            "finance",
            "[áudio transcrito] paguei a conta de luz, 1.250,30",
            "add_expense",
            {"amount": "1250.30", "category": "contas", "description": "conta de luz"},
        ),
        (
            "finance",
            "dia 5 recebi R$ 1.500 de salário",
            "add_income",
            {"amount": "1500.00", "date": "dia 5", "category": "salário", "description": "salário"},
        ),
        ("finance", "me manda o extrato dos últimos 7 dias", "list_entries", {"period": "últimos 7 dias"}),
        (
            "finance",
            "quanto gastei com uber mês passado?",
            "list_entries",
            {"period": "mês passado", "category": "transporte", "kind": "expense"},
        ),
        ("finance", "qual é o meu saldo?", "get_balance", {}),
        ("finance", "como foi meu mês?", "monthly_summary", {}),
        ("finance", "apaga o lançamento do uber", "list_entries", {"period": "tudo"}),
        ("finance", "apaga todos os lançamentos", "delete_all_entries", {}),
        (
            "relationship",
            "o aniversário da minha mãe é 14 de agosto",
            "save_person",
            {"name": "mãe", "relation": "mãe", "birthday": "--08-14"},
        ),
        ("relationship", "o João faz anos em 3/2/1990", "save_person", {"name": "João", "birthday": "1990-02-03"}),
        ("relationship", "quando é o aniversário da minha mãe?", "get_person", {"name": "mãe"}),
        ("relationship", "quais são os próximos aniversários?", "upcoming_birthdays", {"days": 30}),
        (
            "relationship",
            "me lembra de tomar água daqui a 3 segundos",
            "create_reminder",
            {"text": "tomar água", "when": "daqui a 3 segundos"},
        ),
        (
            "relationship",
            "me lembra amanhã às 9h de pagar a luz",
            "create_reminder",
            {"text": "pagar a luz", "when": "amanhã às 9h"},
        ),
        (
            "relationship",
            "me avisa de tomar o remédio todo dia às 8h",
            "create_reminder",
            {"text": "tomar o remédio", "when": "às 8h", "repeats": "daily"},
        ),
        ("relationship", "quais são os meus lembretes?", "list_reminders", {}),
        ("general", "quero falar com um atendente", "call_person", {"reason": "quero falar com um atendente"}),
    ],
)
def test_a_request_calls_its_tool_with_what_was_said(agent: str, text: str, name: str, arguments: dict[str, JsonValue]) -> None:
    assert answer(prompt(text, tools=tools_of(agent))) == Answer("", (Call(name, arguments),))


def test_two_amounts_in_one_message_are_two_calls() -> None:
    calls = answer(prompt("gastei 20 de uber e 35 de pizza", tools=tools_of("finance"))).calls
    assert [(call.arguments["amount"], call.arguments["description"]) for call in calls] == [
        ("20.00", "uber"),
        ("35.00", "pizza"),
    ]


@pytest.mark.parametrize(
    ("agent", "text", "results", "said"),
    [
        (
            "finance",
            "gastei 32,50 no almoço ontem",
            [{"booked": MONEY}],
            "Registrei: despesa de R$ 32,50 (almoço, alimentação) em 20/11.",
        ),
        (
            "finance",
            "qual é o meu saldo?",
            [{"totals": SUMS}],
            "Seu saldo é -R$ 32,50: receitas de R$ 0,00, despesas de R$ 32,50.",
        ),
        (
            "finance",
            "extrato do mês",
            [{"totals": SUMS, "entries": [MONEY]}],
            "Seu extrato:\n- 20/11 almoço: - R$ 32,50\nDespesas: R$ 32,50. Receitas: R$ 0,00.",
        ),
        ("finance", "extrato do mês", [{"totals": SUMS, "entries": []}], "Não consta nenhum lançamento nesse período."),
        (
            "finance",
            "apaga o lançamento do almoço",
            [{"entries": [{**MONEY, "id": "e1"}]}, {"deleted": MONEY}],
            "Apaguei: despesa de R$ 32,50 (almoço, alimentação) em 20/11.",
        ),
        ("finance", "apaga o lançamento do uber", [{"entries": [MONEY]}], "Não achei esse lançamento no seu extrato."),
        (
            "relationship",
            "o aniversário da minha mãe é 14 de agosto",
            [{"person": {"birthday": {"next": "2027-08-14"}}}],
            "Anotei: aniversário da sua mãe em 14/08.",
        ),
        ("relationship", "quando é o aniversário do Zé?", [{"error": "Nobody"}], "Essa pessoa não está entre as suas."),
        (
            "relationship",
            "me lembra de pagar a luz amanhã às 9h",
            [{"text": "pagar a luz", "spoken": "domingo, 22/11/2026, 09:00"}],
            "Lembrete criado para domingo, 22/11/2026, 09:00: pagar a luz.",
        ),
        (
            "relationship",
            "cancela o lembrete da luz",
            [{"reminders": [{"reminder": "r1", "text": "pagar a luz"}]}, {"canceled": {"text": "pagar a luz"}}],
            "Cancelei o lembrete: pagar a luz.",
        ),
    ],
)
def test_what_the_tools_found_or_did_is_told(agent: str, text: str, results: list[object], said: str) -> None:
    assert told(text, agent, *results) == said


def test_what_waits_for_a_yes_is_not_said_to_be_done_and_after_it_what_was_done_is_told() -> None:
    large = "recebi R$ 1.500 de salário"
    (call,) = answer(prompt(large, tools=tools_of("finance"))).calls
    assert answer(prompt(large, tools=tools_of("finance"), done=[(call.name, call.arguments, WAITS)])).text == (
        "Preciso da sua confirmação."
    )
    for words, result, said in (
        ("sim", {"booked": MONEY}, "Registrei: despesa de R$ 32,50 (almoço, alimentação) em 20/11."),
        ("não", {"error": REFUSED}, "Tudo bem, fica como está."),
    ):
        after = prompt(words, tools=tools_of("finance"), done=[("add_income", call.arguments, result)], earlier=(large,))
        assert answer(after).text == said


def test_a_matter_of_another_specialist_is_handed_over_once_and_then_done() -> None:
    text = "gastei 10 no café"
    assert answer(prompt(text, tools=tools_of("general"))) == Answer("", (Call("transfer_to_finance", {}),))
    handed = ("transfer_to_finance", {}, "Transferred to finance.")
    (call,) = answer(prompt(text, tools=tools_of("finance"), done=[handed])).calls
    assert call.name == "add_expense"
    refused = ("transfer_to_finance", {}, {"error": "This agent is not available."})
    assert "ainda não consigo lançar" in answer(prompt(text, tools=tools_of("general"), done=[refused])).text


def test_matters_of_two_specialists_are_both_done_and_told_together() -> None:
    texts = ("gastei 32,50 no almoço", "me lembra de pagar a luz amanhã às 9h")
    (spent,) = answer(prompt(*texts, tools=tools_of("finance"))).calls
    done = [(spent.name, spent.arguments, {"booked": MONEY})]
    assert answer(prompt(*texts, tools=tools_of("finance"), done=done)).calls == (Call("transfer_to_relationship", {}),)
    done.append(("transfer_to_relationship", {}, "Transferred to relationship."))
    (reminder,) = answer(prompt(*texts, tools=tools_of("relationship"), done=done)).calls
    done.append((reminder.name, reminder.arguments, {"text": "pagar a luz", "spoken": "domingo"}))
    assert answer(prompt(*texts, tools=tools_of("relationship"), done=done)).text.splitlines() == [
        "Registrei: despesa de R$ 32,50 (almoço, alimentação) em 20/11.",
        "Lembrete criado para domingo: pagar a luz.",
    ]


@pytest.mark.parametrize("text", ASKED)
def test_it_claims_nothing_that_no_tool_has_done(text: str) -> None:
    for failed in (False, True):
        tools = tools_of("finance") | tools_of("relationship") | MEMORY if failed else {}
        asked = prompt(text, tools=tools)
        done = [(call.name, call.arguments, {"error": "It did not work."}) for call in answer(asked).calls]
        said = answer(prompt(text, tools=tools, done=done)).text
        assert said
        assert unkept(said, AGENTS.values(), (), looked_up=False) is None


def test_a_claim_of_its_own_would_be_caught_and_told_of_one_it_owns_up() -> None:
    said = told("gastei 32,50 no almoço", "finance", {"booked": MONEY})
    claim = unkept(said, AGENTS.values(), (), looked_up=False)
    assert claim is not None
    note = UNKEPT.format(claim=claim)
    assert answer(prompt("gastei 32,50 no almoço", tools={}, notes=(note,))).text == NOT_DONE
    assert unkept(NOT_DONE, AGENTS.values(), (), looked_up=True) is None


def test_what_is_to_be_remembered_and_forgotten_goes_to_memory() -> None:
    for text, call in (
        ("lembra que eu sou alérgica a camarão", Call("remember", {"text": "eu sou alérgica a camarão"})),
        ("o que você sabe sobre minha alergia?", Call("recall", {"query": "o que você sabe sobre minha alergia?"})),
        ("esquece o que eu disse sobre camarão", Call("recall", {"query": "camarão"})),
        ("esquece tudo o que você sabe de mim", Call("forget_everything", {})),
    ):
        assert answer(prompt(text, tools=MEMORY)) == Answer("", (call,))


def test_everything_found_about_a_subject_is_forgotten_and_nothing_else() -> None:
    asked = "esquece o que eu disse sobre camarão"
    found = [
        {"memory": "mem_1", "text": "Come camarão."},
        {"memory": "mem_2", "text": "Mora em Lins."},
        {"memory": "mem_3", "text": "Camarão faz mal."},
    ]
    done: list[tuple[str, Mapping[str, JsonValue], object]] = [("recall", {"query": "camarão"}, {"memories": found})]
    for identity in ("mem_1", "mem_3"):
        assert answer(prompt(asked, tools=MEMORY, done=done)).calls == (Call("forget", {"memory": identity}),)
        done.append(("forget", {"memory": identity}, {"forgotten": "…"}))
    assert answer(prompt(asked, tools=MEMORY, done=done)).text == "Esqueci."


def test_a_question_about_the_past_is_answered_from_memory_from_the_note_or_from_the_conversation() -> None:
    asked = "qual é o nome do meu cachorro?"
    dog = {"text": "O cachorro se chama Rex.", "told_on": "2026-10-28"}
    found = {"memories": [{"text": "A pessoa mora em Lins.", "told_on": "2026-10-28"}, dog]}
    said = "Você me contou em 28/10: “O cachorro se chama Rex.”."
    assert answer(prompt(asked, tools=MEMORY, done=[("recall", {"query": asked}, found)])).text == said
    assert answer(prompt(asked, tools=MEMORY, known=("2026-10-28: O cachorro se chama Rex.",))).text == said
    assert answer(prompt(asked, tools=MEMORY, known=("2026-10-28 (no longer): O cachorro se chama Rex.",))).calls
    assert "Rex" in answer(prompt(asked, tools=MEMORY, earlier=("meu cachorro se chama Rex",))).text
    nothing = [("recall", {"query": asked}, {"memories": []})]
    assert answer(prompt(asked, tools=MEMORY, done=nothing)).text == "Ainda não sei isso sobre você."
    assert answer(prompt("qual é o meu nome?", tools=MEMORY, earlier=("quero apagar meu cadastro",))).calls


def test_the_programs_notes_are_what_it_knows_and_no_messages() -> None:
    kept = (Memory("mem_1", "O cachorro se chama Rex.", 1_793_188_800_000, False, 1.0, Parts(1, 1, None, 1)),)
    notes = [note(1_795_237_200_000, "UTC", kept), *(said.text for said in recap("Falou de bolos.", None))]
    messages = [{"role": "user", "content": text} for text in [*notes, "oi"]]
    asked = ChatRequest.model_validate({"model": "m", "messages": messages}).prompt()
    assert asked.texts == ("oi",)
    assert asked.known == ("2026-10-28: O cachorro se chama Rex.", "Falou de bolos.")
    assert asked.notes == ()


def test_facts_are_taken_from_the_persons_lines_of_a_transcript_in_the_shape_asked_for() -> None:
    parts = {"text": TEXT, "kind": {"type": "string", "enum": ["fact", "relation"]}, "entity": {"type": ["string", "null"]}}
    item = {"type": "object", "properties": {**parts, "message": {"type": "integer"}}}
    shape = Parameters.model_validate({"properties": {"facts": {"type": "array", "items": item}}})
    transcript = (
        "[7] 2026-10-28 Wed 10:00 USER: Meu cachorro se chama Rex e eu moro em Lins",
        "[8] 2026-10-28 Wed 10:00 CONTEXT: Entendi: Meu cachorro se chama Rex.",
        "[9] 2026-10-28 Wed 10:01 USER: obrigada!",
    )
    found = json.loads(answer(Prompt("", (), transcript, (), {}, shape)).text)["facts"]
    assert found == [
        {"text": "O cachorro se chama Rex.", "kind": "relation", "entity": "cachorro", "message": 7},
        {"text": "A pessoa mora em Lins.", "kind": "fact", "entity": "user", "message": 7},
    ]


def test_a_transcript_without_a_shape_is_summed_up() -> None:
    transcript = ("USER: quero um bolo", "AGENT: de quê?", "USER: de fubá")
    assert answer(Prompt("", (), transcript, (), {}, None)).text == "A pessoa disse: quero um bolo; de fubá"


def test_an_echo_routes_like_any_model() -> None:
    shape = Parameters.model_validate({"properties": {"agent": {"type": "string", "enum": ["general", "finance"]}}})
    assert echo(Prompt("", (), ("qual é o meu saldo?",), (), {}, shape)).text == '{"agent": "finance"}'
