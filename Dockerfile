# The mirror-proxy image, the demo origins included, and (target `load`) its Locust load generator.
#
#   docker build -t mirror-proxy .
#   docker run --read-only -p 8080:8080 mirror-proxy run --primary http://v1:8080 --mirror http://v2:8080
#
# BASE_IMAGE: any Linux image with python3 >= 3.11, venv and pip included. EXTRAS: postgres, otel or both, by a comma.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/mirror-proxy
WORKDIR /src
COPY requirements.lock ./
RUN /opt/mirror-proxy/bin/python -m pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE requirements-dev.lock ./
COPY proxy proxy
# What only installing or compiling needs stays behind. The bytecode stays in: a read-only root file system
# could never write it, and each new worker would compile every module again. Of SQLAlchemy, Core and its two dialects
# are used, once a second: the ORM, the other dialects and the compiled twins of Python modules are 20 MiB. Of lxml, the
# parser is used: the rest is 5 MiB. Of what aiohttp needs for WebSockets, the compiled twins are 3 MiB.
RUN /opt/mirror-proxy/bin/python -m pip install --no-deps . \
    && if [ -n "$EXTRAS" ]; then /opt/mirror-proxy/bin/python -m pip install -c requirements-dev.lock ".[$EXTRAS]"; fi \
    && /opt/mirror-proxy/bin/python -m pip uninstall -q -y pip setuptools \
    && mkdir /opt/state \
    && cd /opt/mirror-proxy/lib/python3.*/site-packages/sqlalchemy \
    && rm -r orm ext testing dialects/mssql dialects/mysql dialects/oracle \
    && find . -name '*.so' -delete \
    && cd ../lxml && rm -r html includes isoschematron objectify* \
    && cd .. && rm aiohttp/_websocket/*.so frozenlist/*.so propcache/*.so \
    && find /opt/mirror-proxy \( -name '*.c' -o -name '*.h' -o -name '*.py[xi]' -o -name '*.px[di]' \) -delete

FROM ${BASE_IMAGE} AS load
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/locust
COPY requirements-dev.lock /tmp/
RUN /opt/locust/bin/python -m pip install -c /tmp/requirements-dev.lock locust
COPY benchmarks/locustfile.py /benchmarks/
USER 65532:65532
EXPOSE 8089
ENTRYPOINT ["/opt/locust/bin/locust", "-f", "/benchmarks/locustfile.py"]

FROM ${BASE_IMAGE}
COPY --from=build /opt/mirror-proxy /opt/mirror-proxy
# Where comparisons are kept: mount a volume there, which then belongs to the user below.
COPY --from=build --chown=65532:65532 /opt/state /var/lib/mirror-proxy
ENV PATH=/opt/mirror-proxy/bin:$PATH PYTHONUNBUFFERED=1 XDG_STATE_HOME=/var/lib
USER 65532:65532
EXPOSE 8080 9901
STOPSIGNAL SIGTERM
# Asks /ready where MIRROR_PROXY_ADMIN says the admin server listens; http.client, as it heeds no http_proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
admin = os.environ.get('MIRROR_PROXY_ADMIN', '127.0.0.1:9901'); \
door = http.client.HTTPConnection(admin, timeout=2); \
door.request('GET', '/ready'); \
sys.exit(door.getresponse().status != 200)"]
ENTRYPOINT ["mirror-proxy"]
CMD ["run"]
