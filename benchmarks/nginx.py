"""nginx, as a proxy under test and as the cheapest healthy upstream: one configuration file each."""

from __future__ import annotations

import getpass
import re
import shutil
from pathlib import Path

EXECUTABLE = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

FRAME = """
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile 16384;
pid {home}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {http}
}}
"""

ORIGIN = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "ok\\n"; }}
    }}
"""

UPSTREAMS = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    upstream v1 {{ server 127.0.0.1:{primary}; keepalive 256; keepalive_requests 100000000; }}
"""

PLAIN = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://v1; }}
    }}
"""

MIRRORING = """
    split_clients $request_id $is_sampled {{ {percent}% 1; * 0; }}
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ mirror /_mirror; proxy_pass http://v1; }}
        location = /_mirror {{
            internal;
            {sample}
            {target}
        }}
    }}
"""


def write_config(home: Path, http: str) -> list[str]:
    """Write `http` into a complete configuration under `home`; return the command that runs it."""
    path = home / "nginx.conf"
    path.write_text(FRAME.format(user=getpass.getuser(), home=home, http=http))
    return [str(EXECUTABLE), "-p", str(home), "-e", "stderr", "-c", str(path)]


def origin(port: int) -> str:
    """Answer every request at once. For requests without a body only: one with a body is answered unread."""
    return ORIGIN.format(port=port)


def proxy(port: int, primary: int, mirror: tuple[str, int] | None, percent: int) -> str:
    """Forward to `primary`, with keep-alive, and mirror to (host, port)."""
    upstreams = UPSTREAMS.format(primary=primary)
    if mirror is None:
        return upstreams + PLAIN.format(port=port)
    host, mirror_port = mirror
    is_name = host.endswith(".invalid")
    return upstreams + MIRRORING.format(
        port=port,
        percent=percent,
        sample="if ($is_sampled = 0) { return 204; }" if percent < 100 else "",
        upstream=_resolver() if is_name else _keepalive_upstream(host, mirror_port),
        target=_late_target(host, mirror_port) if is_name else "proxy_pass http://v2$request_uri;",
    )


def _keepalive_upstream(host: str, port: int) -> str:
    return f"upstream v2 {{ server {host}:{port}; keepalive 256; keepalive_requests 100000000; }}"


def _late_target(host: str, port: int) -> str:
    """Resolve at request time: nginx does not start with a name it cannot resolve."""
    return f"set $v2 {host}:{port}; proxy_pass http://$v2$request_uri;"


def _resolver() -> str:
    found = re.search(r"^nameserver\s+([\d.]+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    return f"resolver {found[1] if found else '127.0.0.1'} ipv6=off;"
