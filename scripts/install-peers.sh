#!/usr/bin/env bash
# Install the real mail programs that tests/interop talks to. Debian packages; nothing is started.
#   scripts/install-peers.sh          install what is missing (needs root or passwordless sudo)
#   scripts/install-peers.sh --check  only say what is missing, exit 1 if anything is
#   scripts/install-peers.sh --filters  also what else bench/filters.py compares with
#   scripts/install-peers.sh --fonts    also a font that has Chinese, for screenshots
# Postfix and Exim exclude each other as packages, and filters would serve at once and for the whole machine: all of
# them are unpacked into .peers/ instead.
set -u
cd "$(dirname "$0")/.."
root=$PWD/.peers

declare -A packages=(
  [swaks]=swaks [curl]=curl [fetchmail]=fetchmail [getmail]=getmail6 [msmtp]=msmtp [mpop]=mpop
  [thunderbird]=thunderbird [s-nail]=s-nail [mbsync]=isync [mutt]=mutt [dovecot]=dovecot-core [ip]=iproute2 [openssl]=openssl
  [sieve-test]=dovecot-sieve [haproxy]=haproxy [chromium]=chromium [pgbouncer]=pgbouncer
  [pebble]=pebble [pebble-challtestsrv]=pebble [named]=bind9
)
# Dovecot's protocols are packages of their own, without a command on the PATH.
declare -A files=(
  [/usr/lib/dovecot/imap]=dovecot-imapd [/usr/lib/dovecot/pop3]=dovecot-pop3d [/usr/lib/dovecot/lmtp]=dovecot-lmtpd
  [/usr/lib/postgresql/15/bin/initdb]=postgresql-15
)
# swaks speaks TLS and finds MX by these Perl modules.
declare -A modules=([Net::SSLeay]=libnet-ssleay-perl [Net::DNS]=libnet-dns-perl)
declare -A unpacked=(
  [postfix]=usr/lib/postfix/sbin/master [exim4-daemon-light]=usr/sbin/exim4
  [clamav-daemon]=usr/sbin/clamd [rspamd]=usr/bin/rspamd
  [opendkim]=usr/sbin/opendkim [opendmarc]=usr/sbin/opendmarc [clamav-milter]=usr/sbin/clamav-milter
)
if [ "${1:-}" = --filters ]; then
  unpacked[postfix-policyd-spf-python]=usr/bin/policyd-spf
elif [ "${1:-}" = --fonts ]; then
  unpacked[fonts-wqy-microhei]=usr/share/fonts/truetype/wqy/wqy-microhei.ttc
fi
# What an unpacked program needs beside it.
declare -A beside=(
  [clamav-daemon]="libclamav12 libmspack0"
  [rspamd]="libhyperscan5 libluajit-5.1-2 libluajit-5.1-common"
  [opendkim]="libopendkim11 libmilter1.0.1 libopendbx1 librbl1 libvbr2 libmemcached11 libhashkit2 libunbound8"
  [opendmarc]="libopendmarc2 libspf2-2 libmilter1.0.1"
  [clamav-milter]="libclamav12 libmilter1.0.1"
  [postfix-policyd-spf-python]="python3-spf-engine python3-spf python3-dns python3-authres"
)

missing() {
  local command
  for command in "${!packages[@]}"; do
    command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || echo "${packages[$command]}"
  done
  for command in "${!files[@]}"; do [ -x "$command" ] || echo "${files[$command]}"; done
  for command in "${!modules[@]}"; do perl "-M$command" -e 1 2>/dev/null || echo "${modules[$command]}"; done
}
missing_unpacked() {
  local name
  for name in "${!unpacked[@]}"; do [ -e "$root/${unpacked[$name]}" ] || echo "$name"; done
}

want=$(missing | sort -u | tr '\n' ' ')
unpack=$(missing_unpacked | sort -u | tr '\n' ' ')
if [ "${1:-}" = --check ]; then
  [ -z "${want// /}${unpack// /}" ] && exit 0
  echo "missing peer programs: $want$unpack" >&2
  exit 1
fi
[ -z "${want// /}${unpack// /}" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "no apt-get here: install by hand what is missing: $want$unpack" >&2
  exit 0
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "not root: these peer programs stay missing, their tests will be skipped: $want$unpack" >&2
    exit 0
  fi
fi
$as_root apt-get update -qq >/dev/null 2>&1
if [ -n "${want// /}" ]; then
  # policy-rc.d 101: Debian's own way to say "install, but start nothing".
  policy=/usr/sbin/policy-rc.d
  made=""
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy" && made=1
  fi
  # shellcheck disable=SC2086  # a list of words is meant
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $want >/dev/null 2>&1 ||
    echo "apt-get could not install all of: $want" >&2
  [ -z "$made" ] || $as_root rm -f "$policy"
fi
for name in $unpack; do
  for package in ${beside[$name]:-} "$name"; do
    mkdir -p "$root/packages"
    (cd "$root/packages" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb "$root" &&
      rm -f "$package"_*.deb) || echo "could not unpack $package" >&2
  done
done
# The libraries that an unpacked program needs, beside it and not installed.
for name in $unpack; do
  binary=$root/${unpacked[$name]}
  [ -x "$binary" ] || continue
  LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/rspamd:$root/usr/lib \
    ldd "$binary" "$root"/usr/lib/postfix/sbin/* 2>/dev/null | awk '/not found/{print $1}' | sort -u |
    grep -v '^libpostfix' | while read -r library; do echo "$name lacks $library" >&2; done
done
exit 0
