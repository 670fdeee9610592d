"""Download of what a person attached: two hops, the second without credentials.

``MediaUrl{N}`` lies behind Basic authentication on Twilio's API, which redirects to a signed URL of a CDN
(twilio.com/docs/messaging/api/media-resource). The first hop goes to the configured API host alone, the others to listed hosts
alone, each by hand. A host that Twilio is known to use has to be public and https; one that the operator named, in
``media_hosts`` or as ``base_url``, may be private or plain http.
"""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from email.message import Message
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from wtai.channels.channel import Account
from wtai.channels.download import Downloaded, MediaRefused, MediaUnavailable, shown_name
from wtai.channels.twilio.client import API_URL, logins
from wtai.egress import NotPublicError, Sessions

MEDIA_HOSTS = ("mms.twiliocdn.com", "media.twiliocdn.com", "s3-external-1.amazonaws.com")
"""The hosts to which Twilio's API was seen to redirect."""

MAX_BYTES = 16 * 1024 * 1024
"""The most that WhatsApp carries."""

_TWILIO_HOSTS = frozenset({*MEDIA_HOSTS, "api.twilio.com"})
_MAX_REDIRECTS = 3
_CHUNK = 65536

_MEDIA_PATH = re.compile(r"/2010-04-01/Accounts/(?P<account>AC[0-9a-f]{32})/Messages/(SM|MM)[0-9a-f]{32}/Media/ME[0-9a-f]{32}")


class MediaDownload:
    """Downloads attachments. Its connections are ended by ``close``."""

    def __init__(
        self,
        *,
        base_url: str = API_URL,
        media_hosts: Collection[str] = MEDIA_HOSTS,
        max_bytes: int = MAX_BYTES,
        seconds: float = 60.0,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._hosts = frozenset({*media_hosts, _with_port(URL(self._base_url))})
        self._max_bytes = max_bytes
        self._sessions = Sessions(aiohttp.ClientTimeout(total=seconds, connect=10.0))

    async def close(self) -> None:
        """End all connections; the object may be used again."""
        await self._sessions.close()

    async def download(self, account: Account, media_url: str, write: Callable[[bytes], object]) -> Downloaded:
        """Pass the attachment to ``write`` piece by piece, at most 64 KiB each. MediaRefused or MediaUnavailable.

        After an error what was written is a part, to be thrown away. An error of ``write`` itself goes through.
        """
        url = self._first_hop(account, media_url)
        others = logins(account)
        headers = {"Authorization": others.pop(0)}
        try:
            for _ in range(1 + len(others) + _MAX_REDIRECTS):
                async with self._get(url, headers) as response:
                    if response.status == 200:
                        return await self._pass_on(response, write)
                    if response.status == 401 and others and headers:
                        headers = {"Authorization": others.pop(0)}
                        continue
                    url = self._next_hop(url, response)
                headers = {}
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotPublicError):
                raise MediaRefused(f"{url.host} {error.os_error}") from None
            raise MediaUnavailable(f"no connection to {url.host} ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            # Their texts hold the URL, which on a CDN is a credential.
            raise MediaUnavailable(f"{url.host} did not deliver ({type(error).__name__})") from None
        raise MediaRefused(f"more than {_MAX_REDIRECTS} redirects")

    def _first_hop(self, account: Account, media_url: str) -> URL:
        """The same attachment at ``base_url``, so that credentials go there whatever the webhook said."""
        for base in (self._base_url, API_URL):
            path = _MEDIA_PATH.fullmatch(media_url.removeprefix(base))
            if path is not None and path["account"] == account.account_sid:
                return URL(self._base_url + path[0], encoded=True)
        raise MediaRefused("the address is not that of an attachment of this account at Twilio's API")

    def _next_hop(self, url: URL, response: aiohttp.ClientResponse) -> URL:
        if response.status in {401, 408, 429} or response.status >= 500:  # a refused token may be replaced
            raise MediaUnavailable(f"{url.host} answered HTTP {response.status}")
        if response.status not in {301, 302, 303, 307, 308}:
            raise MediaRefused(f"{url.host} answered HTTP {response.status}")
        try:
            target = URL(urljoin(str(url), response.headers.get("Location", "")), encoded=True)
            allowed = self._allows(target)
        except ValueError:
            raise MediaRefused(f"{url.host} redirects to an address that cannot be read") from None
        if not allowed:
            raise MediaRefused(f"{url.host} redirects to {target.host}, which is not among twilio.media_hosts, or not by https")
        return target

    def _allows(self, url: URL) -> bool:
        if url.user is not None or url.password is not None:
            return False
        if url.host in _TWILIO_HOSTS:
            return url.host in self._hosts and url.scheme == "https" and url.port == 443
        return url.scheme in {"http", "https"} and not self._hosts.isdisjoint({url.host, _with_port(url)})

    async def _pass_on(self, response: aiohttp.ClientResponse, write: Callable[[bytes], object]) -> Downloaded:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise MediaRefused("the attachment is compressed, which was not asked for")
        self._check_size(response.content_length or 0)
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            self._check_size(size)
            write(chunk)
        return Downloaded(response.content_type, size, _name(response.headers.get("Content-Disposition")))

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise MediaRefused(f"the attachment has more than {self._max_bytes} bytes")

    def _get(self, url: URL, headers: Mapping[str, str]) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        session = self._sessions.to(public_only=url.host in _TWILIO_HOSTS)
        return session.get(url, headers=headers, allow_redirects=False)


def _name(disposition: str | None) -> str | None:
    """The file name of a Content-Disposition (RFC 6266)."""
    if disposition is None:
        return None
    headers = Message()
    headers["Content-Disposition"] = disposition
    return shown_name(headers.get_filename())


def _with_port(url: URL) -> str:
    return f"{url.host_subcomponent}:{url.port}"
