"""What the scripted model answers: decided from the request alone, the same each time.

Each unanswered message is looked at for the topics of :mod:`wtai.simulator.intents`. The calls that their plans ask for come
first, by another specialist where this one lacks the tool; then one text answers them all, and repeats what it did not
understand, so that a reader can check that no message was passed over.
"""

from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from wtai.simulator.facts import summary
from wtai.simulator.heard import Heard
from wtai.simulator.intents import GREETING, TOLD, topics
from wtai.simulator.model_wire import Answer, Call
from wtai.simulator.plan import Intent, Plan, Values, Want, plain, read
from wtai.simulator.prompt import Exchange, Parameters, Prompt
from wtai.simulator.shapes import fitting, shaped

HOW_CAN_I_HELP: Final = "Como posso ajudar?"
NOT_DONE: Final = "Não fiz isso ainda. Pode me pedir de outro jeito?"

_TRANSFER: Final = "transfer_to_"
_WAITS: Final = "Not done yet"
_REFUSED: Final = "said no"
_UNKEPT: Final = "no tool did that"


def echo(prompt: Prompt) -> Answer:
    """The notes and the unanswered messages, word for word; what has to have a shape is answered as ever."""
    if prompt.schema is not None:
        return answer(prompt)
    return Answer(f"eco: {' | '.join((*prompt.notes, *prompt.texts))}")


def answer(prompt: Prompt) -> Answer:
    """A plausible turn: tool calls while some are wanted, then a text."""
    heard = [Heard(text, (*prompt.earlier, *prompt.texts[:at]), prompt.known) for at, text in enumerate(prompt.texts)]
    if prompt.schema is not None:
        return Answer(shaped(prompt.schema, heard))
    summed_up = None if prompt.tools else summary(prompt.texts)
    if summed_up is not None:
        return Answer(summed_up)
    if any(_UNKEPT in note for note in prompt.notes):
        return Answer(NOT_DONE)
    turn = _Turn(prompt, list(prompt.exchanges))
    about = [(one, topics(one)) for one in heard]
    for one, intents in about:
        for intent in intents:
            turn.deal_with(intent, one)
    if turn.wanted:
        return Answer("", tuple(turn.wanted))
    if turn.elsewhere is not None:
        return Answer("", (Call(turn.elsewhere, {}),))
    told = turn.tell_the_rest()
    if not told:
        turn.said += [_repeated(one.text) for one, intents in about if not intents]
        if all(intent.label == GREETING for _, intents in about for intent in intents):
            turn.said.append(HOW_CAN_I_HELP)
    return Answer("\n".join(dict.fromkeys(turn.said)))


@dataclass(slots=True)
class _Turn:
    """What came of the plans so far. ``left`` are results that no plan has asked for yet; ``elsewhere`` is the tool that hands
    over to whom a topic belongs.
    """

    prompt: Prompt
    left: list[Exchange]
    wanted: list[Call] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    elsewhere: str | None = None

    def deal_with(self, intent: Intent, heard: Heard) -> None:
        for part in intent.parts(heard):
            text = intent.offline(part) if intent.plan is None else self._followed(intent.plan(part), intent, part)
            if text is not None:
                self.said.append(text)

    def tell_the_rest(self) -> bool:
        """Tell of what was done without a plan, as by the person's yes; whether there was any."""
        rest = [exchange for exchange in self.left if not exchange.name.startswith(_TRANSFER)]
        for exchange in rest:
            if _REFUSED in exchange.result:
                self.said.append("Tudo bem, fica como está.")
            elif _failed(exchange.result):
                self.said.append("Não deu certo.")
            else:
                self.said.append(TOLD.get(exchange.name, plain)(read(exchange.result)))
        return bool(rest)

    def _followed(self, plan: Plan, intent: Intent, heard: Heard) -> str | None:
        """What the plan comes to; None where it waits for a call."""
        result: JsonValue = None
        while True:
            try:
                want = plan.send(result)
            except StopIteration as done:
                return str(done.value)
            exchange = self._taken(want)
            if exchange is None:
                return self._ask(want, intent, heard)
            if exchange.result.startswith(_WAITS):
                return "Preciso da sua confirmação."
            if _failed(exchange.result):
                return want.otherwise or f"Não consegui resolver agora ({intent.label})."
            result = read(exchange.result)

    def _ask(self, want: Want, intent: Intent, heard: Heard) -> str | None:
        parameters = self.prompt.tools.get(want.tool)
        if parameters is not None:
            self.wanted.append(Call(want.tool, _arguments(parameters, want.values, heard.text)))
            return None
        transfer = _TRANSFER + intent.family
        if transfer in self.prompt.tools and not any(exchange.name == transfer for exchange in self.prompt.exchanges):
            self.elsewhere = self.elsewhere or transfer
            return None
        return intent.offline(heard)

    def _taken(self, want: Want) -> Exchange | None:
        """The first result that is of this call, which is then no other's."""
        for exchange in self.left:
            if exchange.name == want.tool and _fits(exchange.arguments, want.values):
                self.left.remove(exchange)
                return exchange
        return None


def _arguments(parameters: Parameters, values: Values, text: str) -> Values:
    """Arguments that fit the tool: known values under the tool's own names, a required one made up where none is known."""
    return {
        name: fitting(wanted, values.get(name, text))
        for name, wanted in parameters.properties.items()
        if name in values or name in parameters.required
    }


def _fits(arguments: str, values: Values) -> bool:
    """Whether a call was made with these values, in whatever words a client sends it back."""
    called = read(arguments or "{}")
    return isinstance(called, dict) and all(called[name] == value for name, value in values.items() if name in called)


def _failed(result: str) -> bool:
    return result.lstrip().lower().startswith(('{"error"', "error", "erro"))


def _repeated(text: str) -> str:
    return f"Entendi: {text}{'' if text[-1] in '.!?…' else '.'}" if text else "Recebi sua mensagem."
