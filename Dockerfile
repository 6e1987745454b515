# SPDX-License-Identifier: Apache-2.0
#
#   bpf -> wheel -> runtime -> probe -> exporter -> exporter-full
#
# `make image` builds all three. The images hold files that tools/image_root.py chose one by one: no
# shell, no package manager, nothing to write to. docs/docker.md says more.
#
# By digest: --build-arg BASE=debian@sha256:...
#
# For another architecture (--platform linux/arm64) all but the first stage runs under the engine's
# emulation; clang, by far the slowest there, runs on the machine that builds.
ARG BASE=debian:trixie-slim
# Where BASE names an image of the other architecture alone: one of this machine's.
ARG BUILD_BASE=${BASE}


# hadolint ignore=DL3029 # the building machine's architecture: see above
FROM --platform=${BUILDPLATFORM} ${BUILD_BASE} AS bpf
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Another mirror, for example a snapshot: the packages as they were on a day, so the same bytes.
ARG APT_MIRROR=
ARG http_proxy https_proxy no_proxy
# hadolint ignore=DL3008 # versions are the mirror's: pinning them here would break with each update
RUN --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/99build \
    if [ -n "${APT_MIRROR}" ]; then \
        rm -f /etc/apt/sources.list.d/*; \
        echo "deb ${APT_MIRROR} trixie main" >/etc/apt/sources.list; \
    fi; \
    apt-get update -q; \
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
        clang libbpf-dev llvm python3; \
    rm -rf /var/lib/apt/lists/*
WORKDIR /work
COPY bpf bpf
COPY build.py ./
# The image's architecture, in the engine's words.
ARG TARGETARCH
RUN case "${TARGETARCH}" in amd64) BPF_MACHINE=x86_64;; arm64) BPF_MACHINE=aarch64;; esac; \
    export BPF_MACHINE; \
    python3 build.py object oomkill.bpf.o


FROM ${BASE} AS tools
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ARG APT_MIRROR=
ARG http_proxy https_proxy no_proxy
# hadolint ignore=DL3008 # as above
RUN --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/99build \
    if [ -n "${APT_MIRROR}" ]; then \
        rm -f /etc/apt/sources.list.d/*; \
        echo "deb ${APT_MIRROR} trixie main" >/etc/apt/sources.list; \
    fi; \
    apt-get update -q; \
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
        ca-certificates gcc libbpf-dev libc6-dev libseccomp-dev python3-dev python3-venv; \
    rm -rf /var/lib/apt/lists/*
WORKDIR /work
COPY deploy/docker/requirements.txt ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /venv; \
    /venv/bin/pip install -q --no-cache-dir --no-compile --only-binary :all: --require-hashes \
        -r requirements.txt


FROM tools AS wheel
COPY --from=bpf /work/oomkill.bpf.o /
ENV BPF_OBJECT=/oomkill.bpf.o
COPY build.py setup.py pyproject.toml README.md ./
COPY bpf bpf
COPY LICENSES LICENSES
COPY docs docs
COPY src src
RUN /venv/bin/pip wheel -q --no-cache-dir --no-deps --no-build-isolation -w /wheel . \
    && /venv/bin/pip install -q --no-cache-dir --no-compile --no-index --no-deps /wheel/*.whl
# The wheel as installed: libbpf answers, a wrong option is one line.
WORKDIR /
RUN /venv/bin/container-oomkill --version \
    && if /venv/bin/container-oomkill probe --no-such-option; then exit 1; fi


FROM wheel AS runtime
COPY tools/image_modules.py tools/image_root.py deploy/docker/recording.jsonl /tools/
RUN /venv/bin/python -X no_debug_ranges /tools/image_root.py /roots


# .devcontainer: what `make` installs there too, so that it need not.
FROM tools AS dev
ENV DEBIAN_FRONTEND=noninteractive
COPY tools/system-packages.sh /tools/
# hadolint ignore=DL3008 # as above
RUN --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/99build \
    apt-get update -q; \
    apt-get install -yq --no-install-recommends git make; \
    /tools/system-packages.sh build; \
    rm -rf /var/lib/apt/lists/*


FROM scratch AS probe
COPY --from=runtime /roots/probe/ /
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="container-oomkill-probe" \
      org.opencontainers.image.description="Prints every kill by the kernel's OOM killer" \
      org.opencontainers.image.licenses="Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["/usr/bin/container-oomkill"]
CMD ["probe"]


FROM probe AS serving
COPY --from=runtime /roots/exporter/ /
LABEL org.opencontainers.image.title="container-oomkill-exporter" \
      org.opencontainers.image.description="Exports every kill by the kernel's OOM killer to Prometheus"
# Two threads share one arena well; each further one costs memory.
ENV MALLOC_ARENA_MAX=1
EXPOSE 9262
CMD ["exporter"]


FROM serving AS exporter-full
COPY --from=runtime /roots/exporter-full/ /
LABEL org.opencontainers.image.title="container-oomkill-exporter-full"


FROM serving AS exporter
