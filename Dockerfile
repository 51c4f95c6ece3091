# geo-registry-proxy as an image. Nothing but COPY, RUN and metadata, so that any builder takes it:
#
#   docker build -t geo-registry-proxy .
#   docker run --env-file proxy.env -p 5080:5080 -v geo-data:/data -v /etc/geo-registry-proxy:/etc/geo-registry-proxy:ro geo-registry-proxy
#
# docs/operating.md tells of its environment, its files and of Kubernetes.

ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: the only one brings a Node of its own, for checkouts on machines whose Node is old.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build-web.mjs scripts/
COPY web web
COPY src src
# `npm run build` without its set-up, which is for checkouts too.
RUN node_modules/.bin/tsc -p tsconfig.build.json && node scripts/build-web.mjs
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="geo-registry-proxy" \
      org.opencontainers.image.description="A read-through pull proxy in front of a secondary site's container registry" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    GEO_LISTEN=0.0.0.0:5080 \
    GEO_DATA_DIR=/data
# The spool holds private layers while they come in: for this user only.
RUN mkdir -m 0700 /data && chown 1000:1000 /data
WORKDIR /app
COPY LICENSE package.json ./
COPY bin bin
# `init` makes the site for nginx of it.
COPY nginx nginx
COPY --from=build /app/node_modules node_modules
# Without src: bin runs the sources where it finds them.
COPY --from=build /app/dist dist
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 1000:1000
VOLUME /data
EXPOSE 5080
STOPSIGNAL SIGTERM
# /healthz says that the process answers; what ails the registries is /readyz's to say, and no reason to restart.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.GEO_LISTEN.split(':').pop() + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1, and the program handles its signals. `--`: Node looks for options of its own even after a script.
ENTRYPOINT ["node", "--", "/app/bin/geo-registry-proxy.cjs"]
CMD ["serve"]
