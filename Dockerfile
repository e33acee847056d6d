# Plain Dockerfile syntax: any builder takes it (docker, podman, buildah, kaniko).
# docker build --build-arg VERSION=$(python3 deploy/version.py) -t edge-agent .
# The base needs glibc and Python 3.11 or newer with venv; another one: --build-arg BASE_IMAGE=...
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1
WORKDIR /src
# dependencies first: this layer stays as long as the lock does
COPY deploy/lock/build.txt deploy/lock/runtime.txt deploy/lock/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --only-binary=:all: --require-hashes -r deploy/lock/build.txt \
    && python3 -m venv /opt/edge-agent \
    && /opt/edge-agent/bin/pip install --only-binary=:all: --require-hashes -r deploy/lock/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY deploy/notices.py deploy/page.py deploy/version.py deploy/
COPY agent agent
# The wheel's build hook bundles the page, with what deno.lock names of the npm registry (NPM_CONFIG_REGISTRY: a mirror).
# What the image has no use for stays behind: the build backend, pip, and the libraries' own commands,
# one of which writes to OPC UA servers.
# the version is the git tag, which is not here
ARG VERSION=0.0.0
RUN EDGE_AGENT_VERSION="${VERSION}" /opt/build/bin/pip wheel --no-deps --no-build-isolation -w /tmp/wheels . \
    && /opt/edge-agent/bin/pip install --no-deps --no-index /tmp/wheels/*.whl \
    && /opt/edge-agent/bin/pip uninstall -y pip setuptools \
    && /opt/edge-agent/bin/python deploy/notices.py > /opt/NOTICES \
    && find /opt/edge-agent/bin -type f ! -name edge-agent -delete

FROM ${BASE_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="edge-agent" \
      org.opencontainers.image.description="OPC UA and Modbus to MQTT, with a durable outbox" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/edge-agent /opt/edge-agent
# licences of what others wrote (asyncua is LGPL)
COPY --from=build /opt/NOTICES /src/LICENSE /usr/share/doc/edge-agent/
# /data is the only place written to; a volume mounted there must belong to 10001 as well
RUN mkdir -p /data /etc/edge-agent \
    && chown 10001:10001 /data
ENV PATH=/opt/edge-agent/bin:$PATH \
    HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "agent.web.probe"]
ENTRYPOINT ["edge-agent"]
CMD ["run", "-c", "/etc/edge-agent/agent.yaml"]
