#!/bin/sh
# Installs the Debian package in a Debian of its own, starts it, upgrades, removes and purges it, and says what it saw. Needs
# root, debootstrap and systemd-nspawn (Debian: debootstrap, systemd-container), and a mirror of Debian.
#
#   sudo scripts/try-deb.sh [an empty directory that stays]
#
# Where systemd cannot boot in a container, the program is started as its user without the unit.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PATH=$here/node_modules/.bin:$PATH
name=geo-registry-proxy
work=$(mktemp -d)
system=${1:-$work/system}
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*"; }
fail() { say "failed: $*" >&2; exit 1; }
within() { chroot "$system" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

say "building versions 0.0.1 and 0.0.2"
cat > "$work/build.mjs" <<JS
const { buildDeb } = await import('$here/scripts/build-deb.mjs');
for (const version of ['0.0.1', '0.0.2']) await buildDeb({ folder: '$work', version });
JS
node "$work/build.mjs"

if [ ! -d "$system/etc" ]; then
  say "making a Debian in $system"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$system" > "$work/debootstrap.log" ||
    { tail -20 "$work/debootstrap.log"; fail debootstrap; }
fi
arch=$(within dpkg --print-architecture)
cp "$work/${name}_0.0.1_$arch.deb" "$work/${name}_0.0.2_$arch.deb" "$system/root/"

say "install"
within apt-get -qq update
within apt-get -qq -y install "/root/${name}_0.0.1_$arch.deb" > "$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail install; }
grep -q "systemctl enable --now $name" "$work/apt.log" || fail "nothing says what to do next"
[ "$(within stat -c '%U:%G %a' /etc/$name/proxy.env)" = "root:$name 640" ] || fail "proxy.env: owner and mode"
[ "$(within $name version)" != "" ] || fail version
[ -f "$system/usr/share/man/man1/$name.1.gz" ] || [ -f "$system/etc/dpkg/dpkg.cfg.d/excludes" ] || fail "man page"
within systemd-analyze verify /lib/systemd/system/$name.service 2> "$work/verify.log" || { cat "$work/verify.log"; fail "the unit"; }

# Registries that nobody runs: the proxy starts all the same, and says that they do not answer.
openssl genrsa 2048 > "$system/etc/$name/gitlab-registry.key" 2> /dev/null
chmod 0600 "$system/etc/$name/gitlab-registry.key"
sed -i 's|^GEO_PRIMARY_URL=.*|GEO_PRIMARY_URL=http://127.0.0.1:9|; s|^GEO_SECONDARY_URL=.*|GEO_SECONDARY_URL=http://127.0.0.1:19|' \
  "$system/etc/$name/proxy.env"

# What the machine does at its start, and then answers; it switches itself off.
cat > "$system/root/try" <<'SH'
#!/bin/sh
name=geo-registry-proxy
answers() { node=/opt/$name/node; $node -e "fetch('http://127.0.0.1:5081/healthz').then(({status}) => process.exit(status === 200 ? 0 : 1), () => process.exit(1))"; }
wait_for() { for _ in $(seq 150); do "$@" && return 0; sleep 0.2; done; return 1; }
{
  sed -i.right 's|^GEO_REPLICATION=.*|GEO_REPLICATION=maybe|' /etc/$name/proxy.env
  systemctl start $name; sleep 2
  [ "$(systemctl show -P NRestarts -P ExecMainStatus $name | xargs)" = '0 78' ] && echo 'refused once'
  mv /etc/$name/proxy.env.right /etc/$name/proxy.env
  systemctl enable --now $name && wait_for answers && echo "started $($name version)"
  first=$(systemctl show -P MainPID $name)
  stat -c 'user %U' /proc/$first
  stat -c 'data %U %a' /var/lib/$name
  DEBIAN_FRONTEND=noninteractive dpkg -i /root/${name}_0.0.2_*.deb > /root/upgrade.log 2>&1 && echo upgraded
  wait_for answers && [ "$(systemctl show -P MainPID $name)" != "$first" ] && echo restarted
  journalctl -u $name -o cat | grep -q 'Deactivated successfully' && echo 'stopped in good order'
  DEBIAN_FRONTEND=noninteractive dpkg -r $name > /root/remove.log 2>&1 && echo removed
  systemctl is-active $name
  ls /etc/systemd/system/multi-user.target.wants | grep $name
} > /root/result 2>&1
journalctl -u $name -o cat > /root/journal 2>&1
systemctl poweroff
SH
chmod 0755 "$system/root/try"
cat > "$system/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/try
[Install]
WantedBy=default.target
UNIT
within systemctl --quiet enable try.service

say "start, upgrade, remove"
rm -f "$system/root/result"
if timeout 300 systemd-nspawn --quiet --register=no --keep-unit -D "$system" -b > "$work/boot.log" 2>&1 && [ -s "$system/root/result" ]; then
  cat "$system/root/result"
  for line in '^refused once$' '^started ' '^upgraded$' '^restarted$' '^removed$' '^inactive$' '^stopped in good order$' "^user $name$" "^data $name 700$"; do
    grep -q "$line" "$system/root/result" || { cat "$system/root/journal"; fail "no line $line"; }
  done
else
  say "systemd does not boot in a container here ($(tail -1 "$work/boot.log" | tr -d '\r')): started as its user, without the unit"
  within install -d -o $name -g $name -m 0700 /var/lib/$name
  chgrp "$(within id -g $name)" "$system/etc/$name/gitlab-registry.key"
  chmod 0640 "$system/etc/$name/gitlab-registry.key"
  within setpriv --reuid=$name --regid=$name --clear-groups --no-new-privs $name --env-file /etc/$name/proxy.env serve > "$work/serve.log" 2>&1 &
  for _ in $(seq 150); do
    grep -q 'listening' "$work/serve.log" && break
    sleep 0.2
  done
  grep -q 'listening' "$work/serve.log" || { cat "$work/serve.log"; fail start; }
  say started
  within apt-get -qq -y install "/root/${name}_0.0.2_$arch.deb" > "$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail upgrade; }
  [ "$(within dpkg-query -W -f '${Version}' $name)" = 0.0.2 ] || fail "version after the upgrade"
  say upgraded
  pkill -TERM -f "/opt/$name/$name.mjs .*serve" || true
  wait || true
  within dpkg -r $name > "$work/remove.log" 2>&1 || { cat "$work/remove.log"; fail remove; }
  say removed
fi
grep -q 'GEO_PRIMARY_URL=http://127.0.0.1:9' "$system/etc/$name/proxy.env" || fail "an upgrade and a removal keep the variables"

say "purge"
rm -f "$system/etc/$name/gitlab-registry.key" "$system/etc/systemd/system/try.service" "$system/root/try"
within dpkg --purge $name > "$work/purge.log" 2>&1 || { cat "$work/purge.log"; fail purge; }
left=$(find "$system/etc" "$system/opt" "$system/usr" "$system/lib" "$system/var/lib" -name "*$name*" ! -path '*/apt/*' ! -path '*/systemd/timers/*' 2> /dev/null || true)
[ -z "$left" ] || fail "left: $left"
within getent passwd $name && fail "its user is left"
say "all of it is gone"
