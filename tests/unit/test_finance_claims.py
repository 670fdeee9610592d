"""Which words say that money was booked, an entry changed or deleted, and which only offer, ask, deny or list it."""

import re
from time import perf_counter

import pytest

from wtai.ai.tools.finance_claims import ADDED, DELETED, EDITED

NAMES = {ADDED: "added", EDITED: "edited", DELETED: "deleted"}

SAYS_ADDED = """
Registrei a despesa de R$ 32,50.
Anotei a despesa!
Já lancei o seu almoço.
Lançado ✅
✅ Lançado: R$ 32,50 em alimentação.
Pronto! Despesa de R$ 32,50 registrada em alimentação.
A despesa foi lançada.
Sua receita de R$ 1.500,00 foi registrada com sucesso.
Seu salário de R$ 3.000,00 já foi registrado.
Não se preocupe, registrei tudo.
Acabei de lançar seu almoço.
Já está anotado.
_Registrado!_
*Registrei* R$ 32,50
Ok, tá lançado.
Lançamento feito!
Fiz o lançamento de ontem.
Salvei sua despesa de 20 reais.
Coloquei R$ 30 em transporte.
R$ 32,50 anotados em alimentação.
Feito: anotado.
Olá! Anotei: almoço, R$ 32,50. Mais alguma coisa?
Entendi e registrei os dois gastos.
Os dois gastos foram lançados.
Tudo anotado!
No almoço de ontem registrei R$ 32,50.
Registré el gasto de R$ 20.
Ya registré tu gasto
He registrado el gasto
El gasto quedó registrado.
Gasto registrado: R$ 50,00
Listo, anoté el ingreso.
Agregué el gasto de hoy.
I recorded the expense.
I've added it to your expenses.
I have just logged your lunch.
Your expense has been recorded.
Expense of R$ 32.50 recorded.
Recorded!
Noted, R$ 5.
""".strip().splitlines()

SAYS_NOTHING_ADDED = """
Posso registrar essa despesa?
Quer que eu registre?
Quer que eu registre a despesa de R$ 32,50?
Se quiser, eu registro.
Não registrei nada.
Ainda não registrei a despesa.
A despesa ainda não foi registrada.
Nada foi registrado.
Para registrar, me diga o valor.
Vou registrar a despesa assim que você confirmar.
A despesa será registrada depois da confirmação.
Quando for registrada, aviso.
Posso deixar anotado?
Já está registrado?
Não consegui registrar a despesa.
Não foi possível registrar: o valor precisa ser positivo.
Não há despesas registradas neste mês.
Nenhuma despesa registrada.
Você tem 3 despesas registradas em novembro.
As despesas registradas em maio somam R$ 10,00.
Registro de gastos: nenhum.
Salvei o nome da Ana.
Seu saldo é R$ 100,00.
Você gastou R$ 32,50 no almoço em 19/11.
Lançar a despesa de R$ 1.500,00 (aluguel) de 20/11/2026?
No registré el gasto.
El gasto no fue registrado.
No está registrado.
¿Quieres que registre el gasto?
Puedo registrarlo.
I haven't recorded it.
It has not been recorded.
I can record it for you.
Would you like me to record it?
No expenses recorded this month.
Your recorded expenses add up to R$ 10.
I would have recorded it if you had said so.
""".strip().splitlines()

SAYS_EDITED = """
Corrigi o valor.
Alterei a categoria para lazer.
Valor atualizado para R$ 40,00.
Atualizei!
Corrigido!
O valor foi alterado.
Correção feita.
Mudei a data para ontem
Corregí el monto.
Cambié la categoría
I updated the amount.
The amount has been updated.
""".strip().splitlines()

SAYS_NOTHING_EDITED = """
Seu saldo atualizado é R$ 100,00.
Seu saldo está atualizado.
Quer que eu corrija?
Posso mudar o valor?
Não alterei nada.
O valor não foi alterado.
Nada foi alterado.
No cambié nada.
I haven't changed anything.
Your spending changed.
""".strip().splitlines()

SAYS_DELETED = """
Apaguei a despesa.
Excluí o lançamento de ontem.
Despesa removida.
Apagado!
O lançamento foi excluído.
Todos os lançamentos foram apagados.
Cancelei o lançamento.
Pronto, removi!
Borré el gasto.
Eliminado.
I deleted it.
The expense has been deleted.
""".strip().splitlines()

SAYS_NOTHING_DELETED = """
Quer apagar a despesa?
Apagar a despesa de R$ 32,50 (almoço) de 20/11/2026?
Não apaguei nada.
Para apagar, confirme.
Posso excluir?
A despesa não foi apagada.
Cancelei a reunião
No borré nada
Do you want it deleted?
I can't delete it.
""".strip().splitlines()


def cases(claims: re.Pattern[str], lines: list[str]) -> list[tuple[re.Pattern[str], str]]:
    return [(claims, line) for line in lines]


@pytest.mark.parametrize(("claims", "line"), cases(ADDED, SAYS_ADDED) + cases(EDITED, SAYS_EDITED) + cases(DELETED, SAYS_DELETED))
def test_words_that_say_it_was_done_are_a_claim(claims: re.Pattern[str], line: str) -> None:
    assert claims.search(line)
    assert claims.search(f"Oi, Ana!\n{line}\nMais alguma coisa?")
    assert claims.search(line.upper())


@pytest.mark.parametrize(
    ("claims", "line"),
    cases(ADDED, SAYS_NOTHING_ADDED) + cases(EDITED, SAYS_NOTHING_EDITED) + cases(DELETED, SAYS_NOTHING_DELETED),
    ids=lambda value: NAMES.get(value, value),
)
def test_an_offer_a_question_a_denial_or_a_list_is_no_claim(claims: re.Pattern[str], line: str) -> None:
    assert not claims.search(line)
    assert not claims.search(f"Oi, Ana! {line}")


def test_a_claim_is_of_its_own_deed_only() -> None:
    assert not DELETED.search("Registrei a despesa de R$ 32,50.")
    assert not ADDED.search("Apaguei a despesa de R$ 32,50.")
    assert not EDITED.search("Anotei a despesa de R$ 32,50.")


@pytest.mark.parametrize("claims", [ADDED, EDITED, DELETED], ids=NAMES.values())
@pytest.mark.parametrize(
    "part", ["e a despesa, de ", "não ", "R$ 1.234,56 ", "a", ", ", "foi foi ", "despesa ", "\n", "e ", "I "]
)
def test_a_long_answer_is_searched_in_a_moment(claims: re.Pattern[str], part: str) -> None:
    text = (part * 4096)[:4096]
    started = perf_counter()
    claims.search(text)
    assert perf_counter() - started < 5.0
