# The program as one static binary on an empty image.
#
#   docker build -t pullkey .
#   docker run --rm -p 8443:8443 -p 8080:8080 -v "$PWD/certs:/certs:ro" pullkey webhook \
#       --tls-cert /certs/tls.crt --tls-key /certs/tls.key

FROM rust:1.95 AS build
WORKDIR /build
COPY . .
# Without shared libraries the binary needs nothing of the image that it runs in. The target is named, although it is
# the host's, because otherwise the flag would reach procedural macros, which cannot be static.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    set -eu; \
    target="$(rustc -vV | sed -n 's/^host: //p')"; \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target"; \
    install -D "target/$target/release/pullkey" /image/pullkey; \
    install -D --mode 0644 config/rules.yaml /image/config/rules.yaml; \
    /image/pullkey --version

FROM scratch
COPY --from=build /image/ /
# In a container, loopback is reached by nobody outside of it.
ENV PULLKEY_LISTEN=0.0.0.0:8443 \
    PULLKEY_HEALTH_LISTEN=0.0.0.0:8080
# Long lists of objects pass through a program that keeps little of them. What is freed goes back to the system, and is not
# kept by the C library for the next list: no more than 128 KiB of it, in no more than two heaps.
ENV MALLOC_TRIM_THRESHOLD_=131072 \
    MALLOC_ARENA_MAX=2
EXPOSE 8443 8080
# A number, so that Kubernetes can see that it is not root. Nothing is written to the image's file system.
USER 65532:65532
ENTRYPOINT ["/pullkey"]
CMD ["webhook"]
