# geo-registry-proxy as an image. Nothing but COPY, RUN and metadata, so that any builder takes it:
#
#   docker build -t geo-registry-proxy .
#   docker run --env-file proxy.env -p 5080:5080 -v geo-data:/data -v /etc/geo-registry-proxy:/etc/geo-registry-proxy:ro geo-registry-proxy
#
# docs/operating.md tells of its environment, its files and of Kubernetes.

ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
# No install scripts: the only one brings a Node of its own, for checkouts on machines whose Node is old.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY scripts/build-web.mjs scripts/build-bundle.mjs scripts/
COPY LICENSE ./
COPY bin bin
COPY nginx nginx
COPY deploy/omnibus deploy/omnibus
COPY web web
COPY src src
# One file, the same on every architecture, and the licences of what is in it.
RUN node scripts/build-bundle.mjs /out && rm /out/*.map && chmod 0755 /out/geo-registry-proxy.mjs

FROM ${NODE_IMAGE}
ARG VERSION=unknown
# The text (PEM) of more certificate authorities, for registries whose certificates are of a site's own:
#   docker build --build-arg EXTRA_CA="$(cat ca.pem)" .
ARG EXTRA_CA=
LABEL org.opencontainers.image.title="geo-registry-proxy" \
      org.opencontainers.image.description="A read-through pull proxy in front of a secondary site's container registry" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    GEO_LISTEN=0.0.0.0:5080 \
    GEO_DATA_DIR=/data \
    GEO_CA_FILE=${EXTRA_CA:+/app/ca.pem}
# The spool holds private layers while they come in: for this user only.
RUN mkdir -m 0700 /data && chown 1000:1000 /data
WORKDIR /app
COPY LICENSE ./
COPY --from=build /out/ ./
RUN ln -s /app/geo-registry-proxy.mjs /usr/local/bin/geo-registry-proxy && \
    if [ -n "${EXTRA_CA}" ]; then printf '%s\n' "${EXTRA_CA}" > ca.pem; fi
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 1000:1000
VOLUME /data
EXPOSE 5080
STOPSIGNAL SIGTERM
# /healthz says that the process answers; what ails the registries is /readyz's to say, and no reason to restart.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.GEO_LISTEN.split(':').pop() + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1, and the program handles its signals. `--`: Node looks for options of its own even after a script.
# With the heap's flags at once, which the program would start Node anew for (bin/heap.cjs).
ENTRYPOINT ["node", "--max-semi-space-size=8", "--expose-gc", "--", "/app/geo-registry-proxy.mjs"]
CMD ["serve"]
