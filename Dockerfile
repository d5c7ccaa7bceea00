# CPU, the default: docker build --build-arg TORCH_INDEX=ADDRESS -t mhc-scope:cpu .
#   ADDRESS is the index address that PyTorch's install page shows for pip and CPU. Without it, pip would install PyPI's
#   torch, which is ten times as large, so the build stops with a message.
# GPU: docker build --target gpu -t mhc-scope:gpu .
ARG PYTHON_BASE=python:3.12.12-slim-bookworm
ARG NODE_BASE=node:22.21.1-bookworm-slim

FROM ${NODE_BASE} AS page
WORKDIR /page
COPY static/package.json static/package-lock.json static/compress.mjs ./
RUN npm ci --omit=dev --no-audit --no-fund && npm run compress

# Everything except torch: files, user and command.
FROM ${PYTHON_BASE} AS base
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
ENV RAY_USAGE_STATS_ENABLED=0
# A number, because Kubernetes cannot check that a name is not root.
RUN groupadd --gid 10001 scope \
    && useradd --no-log-init --uid 10001 --gid 10001 --create-home scope \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data \
    && python3 -m venv /opt/venv
WORKDIR /srv
COPY constraints.txt ./
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]

FROM ${PYTHON_BASE} AS source
WORKDIR /srv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docs/licences.md docs/licences.md
COPY mhc_core mhc_core
COPY mhc_probe mhc_probe
COPY mhc_service mhc_service
COPY app app
COPY templates templates
COPY static static
COPY --from=page /page/node_modules static/node_modules

FROM base AS gpu
RUN pip install --constraint constraints.txt "torch>=2.9"
COPY --from=source /srv /srv
RUN pip install --constraint constraints.txt --editable ".[service,cluster,postgres]"
VOLUME /data
USER 10001:10001

FROM base AS cpu
ARG TORCH_INDEX=""
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} "torch>=2.9" \
    && python -c "import torch, sys; sys.exit(torch.version.cuda and 'TORCH_INDEX is missing: see the top of Dockerfile')"
COPY --from=source /srv /srv
RUN pip install --constraint constraints.txt --editable ".[service,cluster,postgres]"
VOLUME /data
USER 10001:10001
