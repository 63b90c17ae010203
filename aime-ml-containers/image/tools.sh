#!/bin/sh
# Runs while a prepared image is built: makes sure that sudo and git are there.
set -eu
if command -v sudo > /dev/null && command -v git > /dev/null; then exit 0; fi
if ! command -v apt-get > /dev/null; then
    echo 'the base image lacks sudo or git, and apt-get to install them' >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold \
    sudo git ca-certificates
apt-get clean
rm -rf /var/lib/apt/lists/*
