# The service, its models and nothing else: no torch, no compiler, no shell scripts, no secret.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements/service.txt requirements/service.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --require-hashes -r requirements/service.txt
# Only this stage has a compiler; what it makes runs on every processor of its kind.
RUN apt-get update && apt-get install -y --no-install-recommends gcc=4:12.2.* libc6-dev=2.36-* \
    && rm -rf /var/lib/apt/lists/*
COPY ecg ecg
RUN /opt/venv/bin/python -m ecg.native
COPY service service
COPY models models
# Compiled here, since the running image cannot write and would compile at every start.
RUN /opt/venv/bin/python -m compileall -q -j 0 ecg service /opt/venv/lib \
    && mkdir -p /var/lib/ecg && chmod 2770 /var/lib/ecg

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="ECG heart-failure risk service" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    HOME=/tmp \
    HOST=0.0.0.0 \
    PORT=8000 \
    AUDIT_URL=sqlite:////var/lib/ecg/audit.db
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/ecg ecg
COPY --from=build /app/service service
COPY --from=build /app/models models
# Any user of group 0 may write the audit folder: platforms that run containers under an arbitrary uid use that group.
COPY --from=build --chown=10001:0 /var/lib/ecg /var/lib/ecg
USER 10001:0
VOLUME /var/lib/ecg
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/health/ready' % os.environ['PORT'], timeout=2)"]
CMD ["python", "-m", "service"]
