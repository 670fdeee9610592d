"""What the scripted model answers: decided from the request alone, the same each time.

Each unanswered message is looked at for the topics of :mod:`wtai.simulator.intents`. A topic whose tool is offered has it
called first; then one text answers them all, and repeats what it did not understand, so that a reader can check that no
message was passed over.
"""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from wtai.simulator.embeddings import fold
from wtai.simulator.intents import INTENTS, Heard, Intent, Values
from wtai.simulator.model_wire import Answer, Call
from wtai.simulator.prompt import Parameters, Prompt, Property

HOW_CAN_I_HELP = "Como posso ajudar?"


def echo(prompt: Prompt) -> Answer:
    """The notes and the unanswered messages, word for word."""
    return Answer(f"eco: {' | '.join((*prompt.notes, *prompt.texts))}")


def answer(prompt: Prompt) -> Answer:
    """A plausible turn: tool calls while some are wanted, then a text."""
    topics = [(Heard(text, (*prompt.earlier, *prompt.texts[:at])), _topics(text)) for at, text in enumerate(prompt.texts)]
    if prompt.schema is not None:
        return Answer(_shaped(prompt.schema, topics))
    done = {(exchange.name, _canonical(exchange.arguments)): exchange.result for exchange in prompt.exchanges}
    wanted: dict[tuple[str, str], Call] = {}
    said: list[str] = []
    for heard, intents in topics:
        for intent in intents:
            call = _call(intent, heard, prompt.tools)
            if call is None:
                said.append(intent.offline(heard))
                continue
            key = (call.name, _canonical(json.dumps(call.arguments)))
            if key in done:
                said.append(_reported(intent, heard, done[key]))
            else:
                wanted[key] = call
        if not intents:
            said.append(
                f"Entendi: {heard.text}{'' if heard.text[-1] in '.!?…' else '.'}" if heard.text else "Recebi sua mensagem."
            )
    if wanted:
        return Answer("", tuple(wanted.values()))
    if all(intent.label == "saudação" for _, intents in topics for intent in intents):
        said.append(HOW_CAN_I_HELP)
    return Answer("\n".join(dict.fromkeys(said)))


def _topics(text: str) -> list[Intent]:
    folded = fold(text)
    return [intent for intent in INTENTS if intent.pattern.search(folded)]


def _call(intent: Intent, heard: Heard, tools: Mapping[str, Parameters]) -> Call | None:
    name = next((name for name in intent.tools if name in tools), None)
    return None if name is None else Call(name, _arguments(tools[name], intent.values(heard), heard.text))


def _arguments(parameters: Parameters, values: Values, text: str) -> Values:
    """Arguments that fit the tool: known values under the tool's own names, a required one made up where none is known."""
    return {
        name: _fitting(wanted, values.get(name, text))
        for name, wanted in parameters.properties.items()
        if name in values or name in parameters.required
    }


def _fitting(wanted: Property, value: JsonValue) -> JsonValue:
    kinds = {wanted.type} if isinstance(wanted.type, str) else set(wanted.type or ())
    kinds |= {option.type for option in wanted.anyOf or () if isinstance(option.type, str)}
    if wanted.enum:
        return value if value in wanted.enum else wanted.enum[0]
    if "number" in kinds and isinstance(value, float):
        return value
    if "integer" in kinds and isinstance(value, float):
        return round(value)
    if "string" in kinds or not kinds:
        return f"{value:.2f}" if isinstance(value, float) else value
    if "null" in kinds:
        return None
    made_up: Values = {"boolean": False, "array": [], "object": {}}
    return made_up.get(next(iter(kinds)), 0)


def _reported(intent: Intent, heard: Heard, result: str) -> str:
    failed = result.lstrip().lower().startswith(('{"error"', "error", "erro"))
    return f"Não consegui resolver agora ({intent.label})." if failed else intent.online(heard, result)


def _shaped(schema: Parameters, topics: list[tuple[Heard, list[Intent]]]) -> str:
    """JSON of the asked shape; where one of several names is asked for, the one of the messages' topic."""
    families = [intent.family for _, intents in topics for intent in intents if not intent.social]
    text = " ".join(heard.text for heard, _ in topics)
    shaped: Values = {}
    for name, wanted in schema.properties.items():
        family = next((family for family in [*families, "general"] if family in (wanted.enum or ())), text)
        shaped[name] = _fitting(wanted, family)
    return json.dumps(shaped, ensure_ascii=False)


def _canonical(arguments: str) -> str:
    """Arguments as a key: a client may send them back in other words."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except ValueError:
        return arguments
