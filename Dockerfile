# docker build -t mhc-scope .
# By default pip takes torch as PyPI has it, with CUDA: run with --gpus all, or on a CPU. For the CPU build, a tenth of
# the size, give the index of PyTorch's CPU wheels: docker build --build-arg TORCH_INDEX=<its address> -t mhc-scope .
FROM node:22-slim AS page
WORKDIR /page
COPY static/package.json static/package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM python:3.12-slim
ARG TORCH_INDEX=""
WORKDIR /srv
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} "torch>=2.9"
COPY pyproject.toml constraints.txt README.md ./
COPY mhc_core mhc_core
COPY app app
RUN pip install --no-cache-dir -c constraints.txt -e .
COPY templates templates
COPY static static
COPY --from=page /page/node_modules static/node_modules
RUN useradd --create-home scope && mkdir /data && chown scope /data
USER scope
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]
