# The program without its simulator, and what a runner needs to execute steps.
# docs/compose.md says how it is used.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package aldis --no-default-features

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      bubblewrap ca-certificates git slirp4netns util-linux \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --create-home --home-dir /var/lib/aldis aldis
COPY --from=build /src/target/release/aldis /usr/local/bin/
ENV ALDIS_LISTEN=0.0.0.0:8080
ENV ALDIS_DATA_DIR=/var/lib/aldis
WORKDIR /var/lib/aldis
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --start-period=30s CMD ["aldis", "healthy"]
ENTRYPOINT ["aldis"]
