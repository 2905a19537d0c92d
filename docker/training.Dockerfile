# The training package. Mount data at /data and runs at /runs; nothing of either goes into the image.
FROM python:3.11.14-slim-bookworm AS installed
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /app
COPY requirements/training.txt requirements/training.txt
RUN pip install -r requirements/training.txt

FROM installed AS kernels
RUN apt-get update && apt-get install -y --no-install-recommends gcc=4:12.2.* libc6-dev=2.36-* \
    && rm -rf /var/lib/apt/lists/*
COPY ecg ecg
RUN python -m ecg.native

FROM installed
COPY --from=kernels /app/ecg ecg
COPY model_training model_training
COPY models models
USER 10001:0
VOLUME ["/data", "/runs"]
ENTRYPOINT ["python", "-m", "model_training"]
CMD ["--help"]
