# syntax=docker/dockerfile:1
# Two stages: the first holds compilers and pip, the second only what runs, as nobody in particular.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
RUN python -m venv /app/.venv
COPY requirements.txt ./
RUN /app/.venv/bin/python -m pip install --require-hashes -r requirements.txt
COPY pyproject.toml requirements.in ./
COPY wallet ./wallet
COPY api ./api
COPY notifications ./notifications
COPY simulators ./simulators
COPY runtime ./runtime
RUN /app/.venv/bin/python -m pip install --no-deps --no-build-isolation --editable . \
    && /app/.venv/bin/python -m compileall -q wallet api notifications simulators runtime

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 smartid \
    && useradd --system --uid 10001 --gid smartid --home-dir /nonexistent --no-create-home smartid \
    && install -d -o smartid -g smartid -m 0700 /data
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SMARTID_DATA=/data \
    SMARTID_HOST=0.0.0.0 \
    SMARTID_PORT=8420
USER 10001:10001
VOLUME /data
EXPOSE 8420
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8420/health/ready', timeout=2)"]
ENTRYPOINT ["smartid"]
CMD ["serve"]
