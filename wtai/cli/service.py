"""``wtai service``: what runs wtai on a machine and stands in front of it, written for these settings."""

import shlex
import sys
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

import click

import wtai
from wtai.cli.configuration import settings_of
from wtai.cli.main import SharedOptions
from wtai.errors import SettingsError
from wtai.settings import Settings
from wtai.settings_source import read

_SYSTEMD: Final = Template("""\
# /etc/systemd/system/wtai.service
#   useradd --system --home-dir $data --shell /usr/sbin/nologin wtai
#   chown -R wtai:wtai $data
#   systemctl daemon-reload && systemctl enable --now wtai
[Unit]
Description=wtai: WhatsApp conversations with LLM agents
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User=wtai
Group=wtai
WorkingDirectory=$data
ExecStartPre=$check
ExecStart=$run
Restart=on-failure
RestartSec=2
# What starting again does not mend: usage, settings, environment, schema.
RestartPreventExitStatus=2 3 4 5
TimeoutStopSec=$stop
KillMode=mixed
LimitNOFILE=65536
UMask=0077

ProtectSystem=strict
ReadWritePaths=$writable
ProtectHome=$home
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
RemoveIPC=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# The addresses at which clouds give out the machine's credentials.
IPAddressDeny=link-local multicast

[Install]
WantedBy=multi-user.target
""")

_CADDY: Final = Template("""\
# /etc/caddy/Caddyfile: certificates come by themselves
$host {
	request_body {
		max_size $most
	}
	reverse_proxy $upstream {
		# what is told live goes out at once
		flush_interval -1
	}
}
""")

_NGINX: Final = Template("""\
# /etc/nginx/conf.d/wtai.conf
server {
    listen 80;
    listen [::]:80;
    server_name $host;
    return 301 https://$$host$$request_uri;
}

server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name $host;
    ssl_certificate     /etc/letsencrypt/live/$host/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/$host/privkey.pem;
    client_max_body_size $most;

    location / {
        proxy_pass http://$upstream;
        proxy_http_version 1.1;
        proxy_set_header Host $$host;
        proxy_set_header Connection "";
        # in place of what the client says: limits and the audit log go by it
        proxy_set_header X-Forwarded-For $$remote_addr;
        proxy_set_header X-Forwarded-Proto $$scheme;
        # what is told live goes out at once, and may be silent for long
        proxy_buffering off;
        proxy_read_timeout 1h;
    }
}
""")

_PLACEHOLDER: Final = "bot.example.com"
_INSTALLED: Final = (Path(sys.prefix), Path(sys.base_prefix), Path(wtai.__file__))
_SPARE_SECONDS: Final = 10
"""What the service has after its jobs' grace to close everything."""


@click.group()
def service() -> None:
    """Print what runs wtai as a service, and proxies in front of it."""


@service.command()
@click.argument("what", type=click.Choice(["systemd", "caddy", "nginx"]))
@click.pass_obj
def show(options: SharedOptions, what: str) -> None:
    """Print a systemd unit, or the configuration of a reverse proxy with TLS, for these settings. Nothing is installed."""
    settings = settings_of(options)
    if what == "systemd":
        click.echo(_unit(options, settings), nl=False)
        return
    host = urlsplit(settings.server.public_url or "").hostname
    if host is None:
        click.echo(f"server.public_url is not set: {_PLACEHOLDER} stands for the host", err=True)
    most = str(max(settings.limits.webhook_body_bytes, settings.limits.api_body_bytes))
    template = _CADDY if what == "caddy" else _NGINX
    click.echo(template.substitute(host=host or _PLACEHOLDER, upstream=_upstream(settings), most=most), nl=False)


def _unit(options: SharedOptions, settings: Settings) -> str:
    sources = read(options.config, options.data_dir)
    data = sources.data_dir.absolute()
    where = ["--data-dir", str(data)]
    if options.config is not None:
        where += ["--config", str(options.config.absolute())]
    places = {data, settings.database_path.parent, settings.media.directory, settings.backup.directory}
    writable = sorted(place for place in places if place == data or not place.is_relative_to(data))
    program = _program()
    return _SYSTEMD.substitute(
        data=str(data).replace("%", "%%"),
        check=_words([*program, "check", *where]),
        run=_words([*program, "run", *where]),
        stop=round(settings.worker.shutdown_grace_seconds) + _SPARE_SECONDS,
        writable=_words(map(str, writable)),
        home="read-only" if any(_is_in_a_home(place) for place in (*_INSTALLED, *writable)) else "yes",
    )


def _program() -> list[str]:
    """What this very program was started by: a script, a zipapp, or ``python -m wtai``."""
    started = Path(sys.argv[0]).absolute()
    if started.name == "__main__.py":
        return [sys.executable, "-m", "wtai"]
    return [sys.executable, str(started)] if started.suffix in (".py", ".pyz") else [str(started)]


def _words(words: "list[str] | map[str]") -> str:
    """A line of a unit (systemd.syntax(7)): what is no plain word is quoted, and a percent sign is doubled."""
    return " ".join(shlex.quote(word).replace("%", "%%") for word in words)


def _is_in_a_home(path: Path) -> bool:
    return path.is_relative_to("/home") or path.is_relative_to("/root")


def _upstream(settings: Settings) -> str:
    """Where the proxy, on the same machine, finds the program. SettingsError if that changes with each start."""
    host, port = settings.server.host, settings.server.port
    if port == 0:
        raise SettingsError("server.port = 0 takes another port at each start; mend: name one")
    try:
        address = ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if address.is_unspecified:
        return f"127.0.0.1:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
