#!/bin/sh
# kubectl-whois with its licence as the archive that src/kubectl-whois/whois.yaml names: the same bytes wherever GNU tar and gzip make it.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")/.."
tar --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=u=rwX,go=rX -cf - -C src/kubectl-whois kubectl-whois -C ../.. LICENSE |
  gzip -9n >"$out"
