"""No spelling of a URL, and no name server, leads to an address that is not on the internet."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest

from wtai import egress as egress_module
from wtai.egress import Egress, EgressError, EgressRefused, EgressUnavailable, is_public

# {p} is the port on which the machine's own addresses listen.
TRICKS = [
    # schemes
    "http://example.com/",
    "http://127.0.0.1:{p}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{p}/",
    "gopher://127.0.0.1:{p}/_x",
    "ws://127.0.0.1:{p}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "https+unix://%2Ftmp%2Fx/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "jar:https://127.0.0.1:{p}!/",
    "//127.0.0.1:{p}/",
    "127.0.0.1:{p}",
    "https:127.0.0.1:{p}/",
    "https:/127.0.0.1:{p}/",
    "https:///127.0.0.1:{p}/",
    "https://",
    "",
    # IPv4
    "https://127.0.0.1:{p}/",
    "https://127.0.0.2:{p}/",
    "https://0.0.0.0:{p}/",
    "https://2130706433:{p}/",
    "https://0x7f000001:{p}/",
    "https://0x7f.0.0.1:{p}/",
    "https://0x7f.1:{p}/",
    "https://017700000001:{p}/",
    "https://0177.0.0.1:{p}/",
    "https://0177.0.0.0x1:{p}/",
    "https://127.1:{p}/",
    "https://127.0.1:{p}/",
    "https://127.0.0.01:{p}/",
    "https://00127.0.0.1:{p}/",
    "https://4294967297:{p}/",
    "https://127.0.0.257:{p}/",
    "https://127.0.0.1.:{p}/",
    "https://127.0.0.1..:{p}/",
    "https://10.0.0.1:{p}/",
    "https://172.16.0.1:{p}/",
    "https://192.168.0.1:{p}/",
    "https://100.64.0.1:{p}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials/",
    "https://0251.0376.0251.0376/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://255.255.255.255:{p}/",
    "https://224.0.0.1:{p}/",
    # IPv6
    "https://[::1]:{p}/",
    "https://[0:0:0:0:0:0:0:1]:{p}/",
    "https://[::]:{p}/",
    "https://[::ffff:127.0.0.1]:{p}/",
    "https://[::ffff:7f00:1]:{p}/",
    "https://[::FFFF:A9FE:A9FE]/",
    "https://[::127.0.0.1]:{p}/",
    "https://[64:ff9b::127.0.0.1]:{p}/",
    "https://[64:ff9b:1::7f00:1]:{p}/",
    "https://[2002:7f00:1::]:{p}/",
    "https://[fe80::1]:{p}/",
    "https://[fe80::1%25lo]:{p}/",
    "https://[fe80::1%lo]:{p}/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]:{p}/",
    "https://[ff02::1]:{p}/",
    "https://[127.0.0.1]:{p}/",
    "https://[v1.127.0.0.1]:{p}/",
    "https://[::1:{p}/",
    "https://::1:{p}/",
    # users, and who is the host
    "https://user@127.0.0.1:{p}/",
    "https://user:pass@example.com/",
    "https://@127.0.0.1:{p}/",
    "https://example.com@127.0.0.1:{p}/",
    "https://example.com%2f@127.0.0.1:{p}/",
    "https://127.0.0.1:{p}#@example.com/",
    "https://127.0.0.1:{p}\\@example.com/",
    "https://example.com\\@127.0.0.1:{p}/",
    "https:\\\\127.0.0.1:{p}\\",
    "https://127.0.0.1:{p}\\.example.com/",
    "https://127.0.0.1%2eexample.com/",
    "https://127.0.0.1%00.example.com/",
    "https://127.0.0.1%23.example.com/",
    "https://example.com#x",
    "https://example.com/#@127.0.0.1:{p}/",
    # letters that are not what they seem
    "https://①②⑦.⓪.⓪.①:{p}/",
    "https://１２７.０.０.１:{p}/",
    "https://127。0。0。1:{p}/",
    "https://ｌocalhost:{p}/",
    "https://locaⅼhost:{p}/",
    "https://bücher.example/",
    "https://loc\u00adalhost:{p}/",
    "https://localhost\u200b:{p}/",
    "https://127.0.0.1:{p}\n.example.com/",
    "https://127.0.0.1:{p}\r\nHost: example.com/",
    "\thttps://127.0.0.1:{p}/",
    " https://127.0.0.1:{p}/",
    "https://127.0.0.1:{p}/ HTTP/1.1",
    "https://127.0.0.1\t:{p}/",
    # names
    "https://localhost:{p}/",
    "https://LOCALHOST:{p}/",
    "https://localhost.:{p}/",
    "https://ip6-localhost:{p}/",
    "https://inside.example:{p}/",
    "https://inside6.example:{p}/",
    "https://127.0.0.1.inside.example:{p}/",
    "https://metadata.google.internal/",
    "https://both.example:{p}/",
    f"https://{'a' * 64}.example/",
    "https://a..example/",
    "https://-.example/",
    "https://" + "a." * 130 + "example/",
    "https://example.com/" + "a" * 3_000,
    # ports
    "https://127.0.0.1:0{p}/",
    "https://127.0.0.1:99999/",
    "https://127.0.0.1:-1/",
    "https://127.0.0.1:/",
    "https://127.0.0.1: {p}/",
    "https://127.0.0.1:{p}:443/",
    "https://127.0.0.1:+{p}/",
]

NAMES = {
    "inside.example": ["127.0.0.1"],
    "127.0.0.1.inside.example": ["127.0.0.1"],
    "inside6.example": ["::1"],
    "both.example": ["::1", "127.0.0.1"],
    "localhost": ["::1", "127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
}


@dataclass
class Inside:
    """Sockets that listen on this machine's own addresses, on one port, and hang up on whoever comes."""

    port: int
    seen: int = 0


class HangUp(asyncio.Protocol):
    """Counts a connection, and ends it."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inside.seen += 1
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    """127.0.0.0/8, through 0.0.0.0, and ::1."""
    first = socket.create_server(("0.0.0.0", 0))
    port = first.getsockname()[1]
    found = Inside(port)
    second = socket.create_server(("::1", port), family=socket.AF_INET6)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: HangUp(found), sock=sock) for sock in (first, second)]
    yield found
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, inside: Inside) -> dict[str, Callable[[], list[str]]]:
    """A name server: NAMES, and numbers as the C library reads them. Only our own port, so that no refusal is about the port."""
    known: dict[str, Callable[[], list[str]]] = {name: lambda found=found: found for name, found in NAMES.items()}  # type: ignore[misc]
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in known:
            found = known[name]()
        else:
            try:
                found = [socket.inet_ntoa(socket.inet_aton(name))]
            except OSError:
                raise socket.gaierror(socket.EAI_NONAME, "unknown") from None
        return [info for one in found for info in real(one, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(egress_module, "_HTTPS_PORT", inside.port)
    return known


async def ask(url: str, *allowed: str) -> None:
    egress = Egress(allowed)
    try:
        await egress.request("POST", url, headers={}, body=b"{}", seconds=5.0, max_bytes=65_536)
    finally:
        await egress.close()


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.usefixtures("names")
async def test_a_trick_reaches_nothing_inside(inside: Inside, trick: str) -> None:
    with pytest.raises(EgressError) as refused:
        await ask(trick.format(p=inside.port))
    assert not refused.value.received
    assert inside.seen == 0
    assert "user:pass" not in str(refused.value)


def test_there_are_enough_tricks() -> None:
    assert len(set(TRICKS)) >= 60


@pytest.mark.usefixtures("names")
async def test_without_the_check_of_the_address_names_do_lead_inside(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can see: this is what it would look like."""
    monkeypatch.setattr(egress_module, "is_public", lambda address: address.is_loopback or address.is_unspecified)
    for trick in TRICKS:
        with pytest.raises(EgressError):
            await ask(trick.format(p=inside.port))
    assert inside.seen >= 10


PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *(
        "0.0.0.0",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ),
    *(
        "::1",
        "::",
        "::7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
    ),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "64:ff9b:1::808:808"),
    *("2002:7f00:1::", "2002:a00:1::", "2001:0:5ef5:79fd:0:59d:80ff:fffe", "4000::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2600:1f18::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", [address for address in PRIVATE if "%" not in address])
async def test_a_name_that_resolves_to_a_private_address_is_refused(
    names: dict[str, Callable[[], list[str]]], inside: Inside, address: str
) -> None:
    names["tool.example"] = lambda: [address]
    with pytest.raises(EgressRefused, match=r"tool\.example resolves to an address that is not public"):
        await ask(f"https://tool.example:{inside.port}/")
    assert inside.seen == 0


async def test_a_name_server_that_changes_its_mind_does_not_lead_inside(
    names: dict[str, Callable[[], list[str]]], inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.2 plays a public address: the first answer passes any check, a second one would be connected to."""
    connected: list[str] = []
    monkeypatch.setattr(egress_module, "is_public", lambda address: connected.append(str(address)) or str(address) == "127.0.0.2")
    answers = iter(["127.0.0.2", "127.0.0.1"] * 20)
    names["rebind.example"] = lambda: [next(answers)]
    outcomes = []
    for _ in range(20):
        with pytest.raises(EgressError) as failed:
            await ask(f"https://rebind.example:{inside.port}/")
        outcomes.append(failed.type)
    assert outcomes == [EgressUnavailable, EgressRefused] * 10
    assert connected == ["127.0.0.2", "127.0.0.1"] * 10
    assert inside.seen == 10


@pytest.mark.usefixtures("names")
async def test_an_allowed_host_does_not_open_the_way_for_another_name_of_the_same_address(inside: Inside) -> None:
    with pytest.raises(EgressRefused):
        await ask(f"https://inside.example:{inside.port}/", f"127.0.0.1:{inside.port}")
    assert inside.seen == 0
