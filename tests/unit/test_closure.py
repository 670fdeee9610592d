"""When a message ends the conversation, when it only may, and what must never be taken for a goodbye."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.conversation.closure import Closure, Decision, Thresholds, Turn, closure
from wtai.conversation.veto import Veto

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "closure"
DEVELOPMENT = ("hand_pt_br.dev.jsonl", "hand_es.dev.jsonl", "hand_en.dev.jsonl")

CLOSE, CONFIRM, CARRY_ON = Decision.CLOSE, Decision.CONFIRM, Decision.CARRY_ON
STATEMENT = "Pronto, despesa lançada."
ANYTHING_ELSE = "Posso ajudar em mais alguma coisa?"
MAY_CLOSE = "Posso encerrar o atendimento?"


def judged(
    text: str, after: str = STATEMENT, *, turns: int = 1, language: str | None = "pt-BR", keywords: tuple[str, ...] = ()
) -> Closure:
    return closure(text, before=[Turn("assistant", after)], user_turns=turns, language=language, owner_keywords=keywords)


def evaluated(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "closure", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def report() -> dict:
    done = evaluated("--json", *(str(CASES / name) for name in (*DEVELOPMENT, "own.jsonl")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "f1"), [*zip(DEVELOPMENT, (0.92, 0.90, 0.90), strict=True), ("own.jsonl", 0.95)])
def test_the_cases_are_told_apart_as_well_as_promised(report: dict, name: str, f1: float) -> None:
    figures = report["files"][str(CASES / name)]
    assert figures["f1"] >= f1
    assert figures["false_close"] <= 0.03
    assert figures["accuracy"] >= 0.94


def test_rows_of_another_origin_are_measured_too(tmp_path: Path) -> None:
    rows = [
        {"user_text": "tchau", "label": "close"},
        {"user_text": "au revoir", "label": "close", "lang": "fr", "turns": None},
        {
            "user_text": "tchau pra quem fica, lança 20 reais",
            "label": "continue",
            "lang": "pt",
            "turns": [{"role": "user", "text": "oi"}],
        },
    ]
    file = tmp_path / "unseen.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n", "utf-8")
    done = evaluated("--json", str(file))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["rows"], figures["precision"], figures["recall"], figures["false_close"]) == (3, 1.0, 0.5, 0.0)
    assert set(figures["languages"]) == {"none", "fr", "pt"}


def test_a_file_that_is_no_case_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"label": "close"}\n', "utf-8")
    for given_file in (file, tmp_path / "missing.jsonl"):
        done = evaluated(str(given_file))
        assert done.returncode == 2
        assert "cannot read the cases" in done.stderr


@given(text=st.text(), after=st.text(), turns=st.integers(0, 50), language=st.sampled_from(["pt-BR", "es", "en", None]))
def test_the_confidence_is_the_formula_for_any_text(text: str, after: str, turns: int, language: str | None) -> None:
    result = judged(text, after, turns=turns, language=language)
    assert 0.85 <= result.modifier <= 1.05
    weighed = (result.keyword * 0.5 + result.pattern * 0.3 + result.context * 0.2) * result.modifier
    assert result.confidence == pytest.approx(0.0 if result.veto else min(max(weighed, 0.0), 1.0), abs=1e-6)
    assert result.decision is (CLOSE if result.confidence >= 0.8 else CONFIRM if result.confidence >= 0.6 else CARRY_ON)


@pytest.mark.parametrize("turns", range(1, 8))
def test_how_long_we_have_talked_decides_nothing_alone(turns: int) -> None:
    assert judged("obrigado", turns=turns).decision is CONFIRM
    assert judged("obrigado", "De nada!", turns=turns).decision is CONFIRM
    assert judged("tchau", turns=turns).decision is CLOSE
    assert judged("qual o meu saldo", turns=turns).decision is CARRY_ON


def test_a_conversation_that_has_barely_started_counts_less() -> None:
    assert judged("tchau", turns=1).confidence < judged("tchau", turns=2).confidence < judged("tchau", turns=3).confidence


@pytest.mark.parametrize(
    ("answer", "after", "decision"),
    [
        ("não", ANYTHING_ELSE, CLOSE),
        ("não", MAY_CLOSE, CARRY_ON),
        ("não", "Quer que eu lance?", CARRY_ON),
        ("não", STATEMENT, CARRY_ON),
        ("sim", ANYTHING_ELSE, CARRY_ON),
        ("sim", MAY_CLOSE, CLOSE),
        ("sim", "Quer encerrar sua conta?", CARRY_ON),
        ("não, pode encerrar", MAY_CLOSE, CLOSE),
        ("pode encerrar", "Quer encerrar sua conta?", CARRY_ON),
        ("pode encerrar", STATEMENT, CLOSE),
        ("não", "Posso encerrar ou precisa de mais alguma coisa?", CARRY_ON),
        ("não", "Deseja adicionar mais alguma coisa ao pedido?", CARRY_ON),
        ("não", "Anotado! Algo mais?\nEstou por aqui 😊", CLOSE),
        ("obrigado", ANYTHING_ELSE, CLOSE),
        ("obrigado", STATEMENT, CONFIRM),
        ("tá bom", STATEMENT, CONFIRM),
        ("tá bom", "Posso agendar para quinta?", CARRY_ON),
        ("até amanhã", STATEMENT, CLOSE),
        ("até amanhã", "Quando você paga?", CARRY_ON),
        ("fui", STATEMENT, CLOSE),
        ("fui", "Você foi ao banco?", CARRY_ON),
        ("igualmente", "Tenha um ótimo dia!", CLOSE),
        ("tchau", "Qual o nome do contato?", CARRY_ON),
        ("tchau", "Qual o valor?", CLOSE),
    ],
)
def test_the_same_words_mean_what_was_asked(answer: str, after: str, decision: Decision) -> None:
    assert judged(answer, after).decision is decision


def test_only_what_was_said_since_the_user_last_spoke_is_a_question_to_answer() -> None:
    asked = Turn("assistant", ANYTHING_ELSE)
    assert closure("não", before=[asked], language="pt").decision is CLOSE
    assert (
        closure("não", before=[asked, Turn("user", "o saldo"), Turn("assistant", "R$ 10.")], language="pt").decision is CARRY_ON
    )
    assert closure("não", before=[asked, Turn("assistant", "😊")], language="pt").decision is CLOSE


@pytest.mark.parametrize(
    ("message", "veto"),
    [
        ("até amanhã chega?", Veto.QUESTION),
        ("ele mandou um “tchau”", Veto.QUOTATION),
        ("aí ela disse tchau e desligou", Veto.REPORTED),
        ("falou que vem depois", Veto.REPORTED),
        ("encerrar minha conta", Veto.OBJECT),
        ("fechar o atendimento do cliente João", Veto.OBJECT),
        ("encerra o atendimento de todos os clientes", Veto.OBJECT),
        ("no fim do mês, obrigado", Veto.CALENDAR),
        ("tchau, lança 20 reais", Veto.DIGITS),
        ("obrigado, me manda o extrato", Veto.REQUEST),
        ("obrigado, mas o boleto veio errado", Veto.CONTRAST),
        ("não encerra", Veto.NEGATION),
        ("não é só isso", Veto.NEGATION),
        ("obrigado, espera", Veto.HOLD),
        ("tchau nada", Veto.HOLD),
        ("PARAR", Veto.OPT_OUT),
        ("STOP", Veto.OPT_OUT),
    ],
)
def test_what_only_looks_like_an_end_is_vetoed_by_name(message: str, veto: Veto) -> None:
    result = judged(message)
    assert (result.veto, result.confidence, result.decision) == (veto, 0.0, CARRY_ON)


def test_a_greeting_at_the_start_is_none() -> None:
    assert closure("boa noite", language="pt").veto is Veto.GREETING
    assert judged("obrigado, boa noite").decision is CLOSE


@pytest.mark.parametrize(
    "message",
    [
        "TCHAU, OBRIGADO",
        "tchauuuu obrigadooo",
        "tchau obrigado",
        "Tchau! Obrigado 👋🏽",
        "tchau, obrigdo",
        "  tchau…\nobrigado  ",
    ],
)
def test_case_accents_repeated_letters_and_slips_change_nothing(message: str) -> None:
    assert judged(message).decision is CLOSE


def test_an_owners_keyword_is_a_whole_clause() -> None:
    keywords = ("fim", "#fim", "Câmbio, desligo")
    for message in ("fim", "FIM!", "ok, fim", "#fim", "cambio desligo", "Câmbio, desligo!"):
        assert judged(message, keywords=keywords).decision is CLOSE, message
    for message in ("no fim do mês", "finalmente chegou", "o fim da picada", "cambio"):
        assert judged(message, keywords=keywords).decision is CARRY_ON, message
    assert judged("câmbio desligo").decision is CARRY_ON


def test_the_thresholds_are_the_callers() -> None:
    before = [Turn("assistant", STATEMENT)]
    assert closure("obrigado", before=before, language="pt", thresholds=Thresholds(confirm=0.7)).decision is CARRY_ON
    assert closure("obrigado", before=before, language="pt", thresholds=Thresholds(confirm=0.3, close=0.6)).decision is CLOSE


@pytest.mark.parametrize("language", [None, "fr"])
@pytest.mark.parametrize("message", ["tchau, obrigado", "hasta luego, gracias", "see you later, thanks"])
def test_without_a_known_language_every_list_is_tried(message: str, language: str | None) -> None:
    assert judged(message, "Ok.", language=language).decision is CLOSE


def test_a_message_takes_a_fraction_of_a_millisecond() -> None:
    rows = [json.loads(line) for line in (CASES / DEVELOPMENT[0]).read_text("utf-8").splitlines()]
    cases = [(row["user_text"], [Turn(turn["role"], turn["text"]) for turn in row["turns"]]) for row in rows]
    cases.append(("obrigado mas eu queria saber " * 2000, [Turn("assistant", "Olá! " * 2000)]))
    for _ in range(2):  # the first round reads the lists
        started = time.process_time()
        for text, before in cases:
            closure(text, before=before, language="pt")
        spent = time.process_time() - started
    assert spent / len(cases) < 0.0005
