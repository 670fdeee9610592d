"""How long a search in one person's memories takes in a full house, without the embedding call, and what a memory costs."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import uvloop

from benchmarks.database import opened
from benchmarks.program import disk_directory
from benchmarks.report import AT_MOST, Figure, Result, percentile
from wtai.ai.memory.embedder import HASHED_DIMENSIONS, HashedEmbedder, Vector, hashed
from wtai.ai.memory.index import nearest
from wtai.ai.memory.memories import Memories
from wtai.ai.memory.reading import VERSION, keys
from wtai.ai.memory.vectors import packed
from wtai.ai.memory.writing import Told, remember
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteConnection, SqliteDatabase, connect

_OWNER, _ONE, _WIDE = 1, 1, 2
"""The owner of all, the person of many memories, and another whose vectors are longer."""

_WIDTH = 512
_VECTORS = 2_000
_AT_ONCE = 32
_HOUR = 3_600_000

_TEXTS = (
    "Minha {kin} {name} faz aniversário dia {day} de {month}",
    "O aluguel da casa de {name} é {amount} reais",
    "{name} é alérgica a {food}",
    "Paguei {amount} reais pra {name} pelo conserto: {thing}",
    "A consulta de {name} com o {doctor} é dia {day} às {hour}h",
    "Comprei {thing} em {times} vezes de {amount} na loja de {name}",
    "{name} mora em {city} desde {year}",
    "Quero viajar pra {city} com {name} em {month}",
    "{name} trabalha como {job} em {city}, das {hour}h em diante",
    "Combinei com {name} de entregar {thing} na {weekday}",
)
_WORDS = {
    "kin": ["filha", "irmã", "prima", "vizinha", "amiga", "sobrinha", "tia", "cliente", "avó", "cunhada"],
    "name": [
        "Ana",
        "Bia",
        "Carla",
        "Davi",
        "Elisa",
        "Fábio",
        "Gabi",
        "Hugo",
        "Íris",
        "João",
        "Karen",
        "Lucas",
        "Maria",
        "Nina",
        "Otávio",
        "Paula",
        "Rafael",
        "Sofia",
        "Tiago",
        "Vera",
    ],
    "month": [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
    "food": ["camarão", "leite", "amendoim", "poeira", "dipirona", "glúten", "ovo"],
    "thing": ["carro", "geladeira", "fogão", "celular", "notebook", "sofá", "portão", "violão", "bicicleta", "armário"],
    "doctor": ["cardiologista", "dentista", "pediatra", "ortopedista", "oculista"],
    "city": ["Salvador", "Recife", "Curitiba", "Santos", "Pelotas", "Lisboa", "Natal", "Campinas", "Goiânia", "Manaus"],
    "job": ["enfermeira", "mecânico", "professora", "vendedor", "motorista", "contadora"],
    "weekday": ["segunda", "terça", "quarta", "quinta", "sexta"],
}
_QUESTIONS = (
    "quando é o niver da minha irmã Sofia",
    "quanto pago de aluguel",
    "o que a Carla não pode comer",
    "onde mora o Hugo",
    "quem consertou a geladeira",
    "em quantas vezes comprei o celular",
    "posso dar leite pro Davi?",
    "que horas é a consulta da Maria",
    "qual a profissão da minha prima",
    "pra onde quero viajar em janeiro",
    "what food is Nina allergic to",
    "cuándo es el cumpleaños de mi hermana",
    "o que combinei com a Vera agora",
    "que dia entrego o armário",
    "oi, tudo bem? você lembra quanto custou o fogão que comprei na loja do Otávio e em quantas parcelas ficou?",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: memories in all, of the one person, and of each other one."""

    memories: int
    of_one: int
    of_another: int
    rounds: int
    inserts: int


FULL = Size(memories=1_000_000, of_one=10_000, of_another=1_000, rounds=20, inserts=400)
TINY = Size(memories=300, of_one=60, of_another=30, rounds=1, inserts=8)


class _WideEmbedder:
    """The hashed vectors, repeated to the length of those of a model."""

    model = f"wide-{_WIDTH}"

    async def embed(self, texts: Sequence[str], **_: int) -> list[Vector]:
        return [[*vector, *vector] for vector in hashed(texts)]


def run(size: Size) -> Result:
    """Measure in a database of its own, on the disk, and remove it."""
    with disk_directory() as folder:
        path = folder / "wtai.db"
        started = time.perf_counter()
        bytes_each = _build(path, size)
        built = time.perf_counter() - started
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(_measured(path, size))
    return Result(
        [*figures, Figure("bytes per memory, all indexes", bytes_each, "bytes")],
        notes=(
            f"{size.memories:,} memories, {size.of_one:,} of the one searched; built in {built:.0f} s with synchronous=OFF",
            "searches read the database's own snapshot; the hashed embedder's time counts, as no model is called",
            "a durable insert is remember(): guard, look for the same fact, row, words and job in one commit",
        ),
    )


async def _measured(path: Path, size: Size) -> list[Figure]:
    async with opened(path) as database:
        narrow = Memories(database, HashedEmbedder())
        scan = await _scan_ms(database, size)
        busy = time.process_time()
        searches = await _search_ms(narrow, _ONE, size)
        busy = (time.process_time() - busy) * 1000 / (len(_QUESTIONS) * (size.rounds + 1))
        wide = await _search_ms(Memories(database, _WideEmbedder()), _WIDE, size)
        alone = await _inserts_per_second(database, size, at_once=1)
        together = await _inserts_per_second(database, size, at_once=_AT_ONCE)
    return [
        Figure(f"search p95, {HASHED_DIMENSIONS} dimensions", percentile(searches, 0.95), "ms", scan, bound=AT_MOST, target=20),
        Figure(f"search p50, {HASHED_DIMENSIONS} dimensions", statistics.median(searches), "ms", scan),
        Figure("processor time of a search", busy, "ms"),
        Figure(f"search p95, {_WIDTH} dimensions", percentile(wide, 0.95), "ms", bound=AT_MOST, target=20),
        Figure("durable inserts, one by one", alone, "/s"),
        Figure(f"durable inserts, {_AT_ONCE} at once", together, "/s"),
    ]


async def _search_ms(memories: Memories, user_id: int, size: Size) -> list[float]:
    for question in _QUESTIONS:  # the first touch of a page is the disk's
        await memories.recall(_OWNER, user_id, question)
    spent = []
    for _ in range(size.rounds):
        for question in _QUESTIONS:
            started = time.perf_counter()
            await memories.recall(_OWNER, user_id, question)
            spent.append((time.perf_counter() - started) * 1000)
    return spent


async def _scan_ms(database: SqliteDatabase, size: Size) -> float:
    """The distance to each vector of the person alone: no search with vectors can be faster."""
    [vector] = hashed([_QUESTIONS[0]])
    spent = []
    for _ in range(1 + 3 * size.rounds):
        started = time.perf_counter()
        await database.read(_OWNER, nearest, _ONE, HashedEmbedder().model, packed(vector))
        spent.append((time.perf_counter() - started) * 1000)
    return statistics.median(spent)


async def _inserts_per_second(database: SqliteDatabase, size: Size, *, at_once: int) -> float:
    texts = iter([f"{text} (de novo, {at_once})" for text in _texts(size.inserts, seed=at_once + 1)])
    started = time.perf_counter()

    async def insert() -> None:
        for text in texts:
            await database.write(_OWNER, remember, _ONE, Told(text, _HOUR), now=_HOUR)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(insert())
    return size.inserts / (time.perf_counter() - started)


def _build(path: Path, size: Size) -> float:
    """Fill the database; returns the bytes per memory. What others told repeats: only the number of rows and keys counts."""
    migrate(path)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("PRAGMA foreign_keys = OFF")
        empty = connection.execute("PRAGMA page_count").fetchone()[0]
        _fill(connection, size)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0] - empty
        return float(pages * connection.execute("PRAGMA page_size").fetchone()[0] / size.memories)


def _fill(connection: SqliteConnection, size: Size) -> None:
    texts = list(_texts(size.of_one, seed=0))
    told = [(text, blake2b(text.encode(), digest_size=16).hexdigest(), keys(text)) for text in texts]
    narrow = hashed(texts[:_VECTORS])
    vectors = {_ONE: [packed(vector) for vector in narrow], _WIDE: [packed([*vector, *vector]) for vector in narrow]}
    chance = random.Random(0)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO owners (id, public_id, name, created_at) VALUES (?, 'own_1', 'Casa', 0)", (_OWNER,))
    done, user_id = 0, 0
    while done < size.memories:
        user_id += 1
        count = min(size.of_one if user_id <= _WIDE else size.of_another, size.memories - done)
        first = 0 if user_id <= _WIDE else chance.randrange(len(told) - count + 1)
        model = _WideEmbedder.model if user_id == _WIDE else HashedEmbedder().model
        _fill_person(connection, user_id, done, told[first : first + count], model, vectors[_WIDE if user_id == _WIDE else _ONE])
        done += count
    connection.execute("COMMIT")


def _fill_person(
    connection: SqliteConnection, user_id: int, base: int, told: list[tuple[str, str, str]], model: str, vectors: list[bytes]
) -> None:
    connection.execute(
        "INSERT INTO users (id, owner_id, public_id, created_at) VALUES (?, ?, ?, 0)", (user_id, _OWNER, f"u{user_id}")
    )
    ids = range(base + 1, base + 1 + len(told))
    connection.executemany(
        """
        INSERT INTO memories (id, owner_id, public_id, user_id, text, observed_at, text_hash, keys, keys_version, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
        """,
        (
            (id_, _OWNER, f"mem_{id_:024x}", user_id, text, id_ * _HOUR, text_hash, known, VERSION)
            for id_, (text, text_hash, known) in zip(ids, told, strict=True)
        ),
    )
    scope = f"{_OWNER}z{user_id}z"
    connection.executemany(
        "INSERT INTO memory_words (rowid, keys) VALUES (?, ?)",
        ((id_, " ".join([scope + key for key in known.split()])) for id_, (_, _, known) in zip(ids, told, strict=True)),
    )
    connection.executemany(
        "INSERT INTO memory_vectors (owner_id, user_id, memory_id, model, vector) VALUES (?, ?, ?, ?, ?)",
        ((_OWNER, user_id, id_, model, vectors[id_ % len(vectors)]) for id_ in ids),
    )


def _texts(count: int, *, seed: int) -> Iterator[str]:
    """Different sentences of everyday life."""
    chance = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        words = {name: chance.choice(choices) for name, choices in _WORDS.items()}
        text = chance.choice(_TEXTS).format(
            **words,
            day=chance.randrange(1, 31),
            hour=chance.randrange(7, 20),
            amount=chance.randrange(20, 4_000),
            times=chance.randrange(2, 24),
            year=chance.randrange(1990, 2025),
        )
        if text not in seen:
            seen.add(text)
            yield text
