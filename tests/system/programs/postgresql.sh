#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# PostgreSQL: initdb, pgbench for 20 s, SIGKILL of the server under load, recovery, consistency.
source "$(dirname "${BASH_SOURCE[0]}")/program.sh"

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || fail "no PostgreSQL: packaging/install-packages test"
begin 2G
chmod 711 "$scratch"
install -d -o postgres -m 700 "$mount_dir/pg" "$scratch/socket"
export PGHOST=$scratch/socket PGPORT PGDATABASE=postgres PGUSER=postgres LC_ALL=C
PGPORT=$(free_port)

as_postgres() { (cd / && runuser -u postgres -- "$@"); }
start_server() {
  as_postgres "$bin/pg_ctl" -D "$mount_dir/pg" -s -w -t 90 -l "$scratch/socket/server.log" \
    -o "-p $PGPORT -k $PGHOST -h ''" start </dev/null >/dev/null ||
    { cat "$scratch/socket/server.log" >&2; fail "PostgreSQL did not start"; }
}
query() { as_postgres "$bin/psql" -XAtqc "$1"; }
check_balances() {
  local different
  different=$(query 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) <> sum(delta)
    OR (SELECT sum(bbalance) FROM pgbench_branches) <> sum(delta)
    OR (SELECT sum(tbalance) FROM pgbench_tellers) <> sum(delta) FROM pgbench_history')
  [ "$different" = f ] || fail "balances and history differ: a transaction was torn"
  as_postgres "$bin/pg_amcheck" --install-missing -d postgres >/dev/null || fail "pg_amcheck"
}

as_postgres "$bin/initdb" -D "$mount_dir/pg" -A trust --no-instructions >/dev/null
say_time initdb
start_server
as_postgres "$bin/pgbench" -i -q -s 5 2>/dev/null
say_time "pgbench -i"
as_postgres "$bin/pgbench" -c 4 -j 2 -T 20 >"$scratch/pgbench" 2>&1 || { cat "$scratch/pgbench"; fail pgbench; }
grep -E 'processed|tps' "$scratch/pgbench"
processed=$(sed -nE 's/.*actually processed: ([0-9]+).*/\1/p' "$scratch/pgbench")
check_balances

as_postgres "$bin/pgbench" -n -c 4 -j 2 -T 20 >"$scratch/pgbench" 2>&1 &
load=$!
sleep 5
server=$(head -n 1 "$mount_dir/pg/postmaster.pid")
kill -KILL "$server"
wait $load || true
deadline=$((SECONDS + 30))
until ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$server/status" 2>/dev/null; do
  [ $SECONDS -lt $deadline ] || fail "the server survived SIGKILL"
  sleep 0.1
done
# Where process 1 reaps nobody, the dead server stays a zombie that PostgreSQL takes for alive.
rm -f "$mount_dir/pg/postmaster.pid"
sleep 1 # its children end by themselves
start_server
say_time "recovered"
check_balances
rows=$(query 'SELECT count(*) FROM pgbench_history')
[ "$rows" -ge "$processed" ] || fail "$rows transactions are there, $processed were acknowledged"
as_postgres "$bin/pg_ctl" -D "$mount_dir/pg" -s -m fast -w stop
finish
