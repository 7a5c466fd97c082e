# Build: docker build -t etl-runner .
# Run:   docker run --init -p 8083:8083 -v etl-runner-data:/srv/etl-runner/var \
#            -e ETL_RUNNER_API_TOKEN=... etl-runner
#        It listens beyond its container, so it asks for a token, which clients bear too.
#        --init reaps what killed workers leave behind; `docker stop -t 60` leaves the drain its time.

# The version that constraints.txt was tested with.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY etl_runner ./etl_runner
RUN pip wheel --no-cache-dir --wheel-dir /wheels -c constraints.txt .

FROM python:${PYTHON_VERSION}-slim AS runtime
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels etl-runner \
    && groupadd --system --gid 10001 etl-runner \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin etl-runner \
    && install -d -o etl-runner -g etl-runner /srv/etl-runner /srv/etl-runner/var
WORKDIR /srv/etl-runner
COPY config ./config
COPY workflows ./workflows

# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
# The store. A volume made here keeps the owner of the folder above.
VOLUME ["/srv/etl-runner/var"]
EXPOSE 8083
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8083/healthz', timeout=4)"]
# Exec form: SIGTERM reaches the service itself, which then drains.
ENTRYPOINT ["etl-runner"]
CMD ["serve", "--config", "config/", "--host", "0.0.0.0", "--port", "8083"]
