#!/bin/sh
# Builds a stand-in for the Dockerfile's default base image from Debian's packages, for machines that cannot
# pull one: Debian's minimal system with python3 and venv. Needs root, debootstrap and a Docker engine.
# Usage: base_image.sh [TAG]. An image that already carries the tag is kept.
set -eu

tag=${1:-mirror-proxy-base:bookworm}
suite=bookworm

if docker image inspect "$tag" >/dev/null 2>&1; then
    exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$root"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/*
# What this machine trusts, a build on it has to trust too.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["python3"]' - "$tag"
