# docker build -t mammo-jax .                           for CPUs
# docker build -t mammo-jax --build-arg EXTRA=cuda .    for NVIDIA GPUs; then docker run --gpus all …
# docker run --rm -v "$PWD/runs:/work/runs" mammo-jax study
FROM python:3.11-slim

ARG EXTRA=""
WORKDIR /app
COPY pyproject.toml requirements.lock Makefile README.md LICENSE ./
COPY codec ./codec
COPY mammo_jax ./mammo_jax
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/* \
    && make PYTHON=python3 install EXTRA="$EXTRA" && rm -rf /root/.cache

RUN useradd --create-home user && mkdir --parents /work/runs && chown user /work/runs
USER user
WORKDIR /work
ENTRYPOINT ["/app/.venv/bin/mammo-jax"]
CMD ["--help"]
