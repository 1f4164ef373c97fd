# syntax=docker/dockerfile:1

# 1. The binary, with Swift's own libraries inside it.
FROM swift:6.3-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      libsqlite3-dev libcurl4-openssl-dev libssl-dev libopenblas-dev libxml2-dev zlib1g-dev \
      libjs-marked \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies change less often than the sources: they get a layer of their own.
COPY Package.swift ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
COPY web web
RUN swift build -c release --product heptad --static-swift-stdlib -debug-info-format none \
 && install -D "$(swift build -c release --show-bin-path)/heptad" /out/heptad \
 && strip /out/heptad

# 2. The two models, each checked against its sum.
FROM debian:bookworm-slim AS models
RUN apt-get update \
 && apt-get install -y --no-install-recommends make python3 python3-pip ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
RUN make models MODELS=/models BUILD_PACKAGES=

# 3. What runs: the binary, the models, and the libraries they need.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      libsqlite3-0 libcurl4 libssl3 libopenblas0-pthread libxml2 zlib1g poppler-utils \
      ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin heptad \
 && install -d -o heptad -g heptad -m 0700 /data
COPY --from=build /out/heptad /usr/local/bin/heptad
COPY --from=models /models /models
USER heptad
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Inside a container the published port decides who may connect, so it listens on all addresses.
ENV HEPTAD_GATEWAY_HOST=0.0.0.0 HEPTAD_DATA=/data HEPTAD_MODELS=/models
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["heptad", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["heptad"]
CMD ["serve"]
