"""SQL of opt-outs that outlived their people: of the erased nothing is left but digests of the addresses that want nothing."""

from collections.abc import Callable, Iterable, Sequence

from wtai.db.tx import OwnerTx

Digests = Callable[[OwnerTx, str], Sequence[str]]
"""What may have been kept of an address of the transaction's owner."""


def keep_opt_out(tx: OwnerTx, digests: Iterable[str], our_address: str, *, now: int) -> None:
    """The address behind one of ``digests`` wants nothing from ours, whoever it comes to belong to."""
    for one in digests:
        tx.run(
            """
            INSERT INTO kept_opt_outs (owner_id, our_address, digest, created_at) VALUES (:owner, :our_address, :digest, :now)
            ON CONFLICT (owner_id, digest, our_address) DO NOTHING
            """,
            our_address=our_address,
            digest=one,
            now=now,
        )


def recall_opt_outs(tx: OwnerTx, user_id: int, addresses: Iterable[str], digests: Digests, *, now: int) -> None:
    """Someone who has ``addresses`` now is opted out as whoever had them before was; what was kept of that is theirs.

    Nothing is computed for an owner of whom nothing is kept.
    """
    if tx.one("SELECT 1 FROM kept_opt_outs WHERE owner_id = :owner LIMIT 1") is None:
        return
    for digest in [digest for address in addresses for digest in digests(tx, address)]:
        tx.run(
            """
            INSERT INTO opt_outs (owner_id, user_id, our_address, created_at)
            SELECT owner_id, :user_id, our_address, :now FROM kept_opt_outs WHERE owner_id = :owner AND digest = :digest
            ON CONFLICT (owner_id, user_id, our_address) DO NOTHING
            """,
            user_id=user_id,
            digest=digest,
            now=now,
        )
        tx.run("DELETE FROM kept_opt_outs WHERE owner_id = :owner AND digest = :digest", digest=digest)
