# The one image of the project: every console script of pyproject.toml, told apart by the pod's command.
# Built by scripts/images, which puts dependencies and sources under build/image with the versions and hashes of
# requirements.lock; nothing is fetched in here, and no pip or compiler is left behind.
# BASE is any Debian-like image with Python 3.11; where none can be pulled, scripts/base-image makes one.
ARG BASE=python:3.11-slim
FROM ${BASE}

# Compiled once here, since a pod's root file system is read-only: importing pysui alone takes 2 s otherwise.
# "unchecked": files of an image never change under their bytecode.
ADD build/image/dependencies.tar /opt/walrus/lib
RUN ["python3", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "/opt/walrus/lib"]

ENV PATH=/opt/walrus/app/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/walrus/app:/opt/walrus/lib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /tmp
CMD ["walrusctl", "--help"]
LABEL org.opencontainers.image.title="walrus-on-kubernetes" org.opencontainers.image.licenses="Apache-2.0"

# The project itself, last: a change of it reuses everything above.
COPY build/image/source /opt/walrus/app
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/walrus/app"]
USER 10001:10001
