#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""report.py RESULTS.jsonl DIR: a table on stdout, DIR/results.json and DIR/results.png."""
import json
import os
import platform
import statistics
import subprocess
import sys

# figure: (key, unit, kind of target, factor or rate)
#   latency: at most factor x (do-nothing FUSE + one fabric round trip)
#   share:   at least factor x what the do-nothing FUSE daemon reaches
#   rate:    at least so many
FIGURES = {
    "random_write_osync": ("p50_us", "us", "latency", 2.0),
    "random_write_fsync": ("p50_us", "us", "latency", 2.0),
    "mmap_write_msync": ("p50_us", "us", "latency", None),
    "random_read": ("per_second", "/s", "share", 0.8),
    "sequential_read": ("mb_per_second", "MB/s", "share", 0.8),
    "sequential_write": ("mb_per_second", "MB/s", "share_or_rate", (0.3, 300)),
    "create_write_4k": ("per_second", "/s", "rate", 5000),
    "stat": ("per_second", "/s", "rate", 10000),
    "rename": ("per_second", "/s", "rate", 5000),
    "unlink": ("per_second", "/s", "rate", 5000),
    "sqlite_wal": ("per_second", "/s", "rate", 1500),
    "sqlite_rollback": ("per_second", "/s", "rate", None),
}


def load(path):
    """The median of each figure over its rounds."""
    rounds = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rounds.setdefault((row.pop("system"), row.pop("name")), []).append(row)
    # The fabric was measured waiting in two ways, one after the other: the better one counts.
    both = iter(rounds["fabric", "fabric_round_trip"])
    rounds["fabric", "fabric_round_trip"] = [
        min(pair, key=lambda row: row["p50_us"]) for pair in zip(both, both)]
    return {key: {figure: statistics.median(row[figure] for row in rows)
                  for figure, value in rows[0].items() if isinstance(value, (int, float))}
            for key, rows in rounds.items()}


def rows_of(measured):
    round_trip = measured["fabric", "fabric_round_trip"]["p50_us"]
    rows = []
    for name, (key, unit, kind, wanted) in FIGURES.items():
        if ("mirdax", name) not in measured:
            continue
        ours = measured["mirdax", name]
        nothing = measured.get(("nullfs", name), {}).get(key)
        row = {"name": name, "unit": unit, "mirdax": ours[key], "do_nothing_fuse": nothing}
        if "p99_us" in ours:
            row["p50_us"], row["p99_us"] = ours["p50_us"], ours["p99_us"]
        target = None
        if kind == "latency":
            row["floor"] = nothing + round_trip
            row["of_floor"] = ours[key] / row["floor"]
            target = None if wanted is None else wanted * row["floor"]
        elif nothing:
            row["floor"] = nothing
            row["of_floor"] = ours[key] / nothing
        if kind == "share":
            target = wanted * nothing
        elif kind == "share_or_rate":
            target = max(wanted[0] * nothing, wanted[1])
        elif kind == "rate":
            target = wanted
        row["target"] = target
        if target is not None:
            row["met"] = ours[key] <= target if kind == "latency" else ours[key] >= target
        rows.append(row)
    return rows, round_trip


def number(value):
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def print_table(rows, round_trip):
    print(f"one fabric round trip (4 KiB write + message), p50: {round_trip:.1f} us\n")
    print(f"{'workload':<20}{'mirdax':>12}{'p99':>10}{'floor':>12}{'x floor':>9}{'target':>12}")
    for row in rows:
        bound = "<=" if row["unit"] == "us" else ">="
        target = "-" if row["target"] is None else f"{bound} {number(row['target'])}"
        share = f"{row['of_floor']:.2f}" if "of_floor" in row else "-"
        met = {True: "ok", False: "MISSED"}.get(row.get("met"), "")
        print(f"{row['name']:<20}{number(row['mirdax']) + ' ' + row['unit']:>12}"
              f"{number(row.get('p99_us')):>10}{number(row.get('floor')):>12}{share:>9}"
              f"{target:>12}  {met}")


def draw_chart(rows, path):
    """Each figure as a multiple of its floor; 1 is the floor."""
    bars = [row for row in rows if "of_floor" in row]
    if not bars:
        return
    data = "\n".join(f'"{row["name"]}" {row["of_floor"]:.3f}' for row in bars)
    script = f"""
set terminal pngcairo size 1100,500 font 'sans,10' noenhanced
set output '{path}'
set title 'mirdax beside its floor (us: less is better; /s, MB/s: more is better)'
set ylabel 'multiple of the floor'
set yrange [0:*]
set style fill solid 0.7
set boxwidth 0.6
set xtics rotate by -20
set grid ytics
set arrow from graph 0, first 1 to graph 1, first 1 nohead dashtype 2
$data << EOD
{data}
EOD
plot $data using 0:2:xtic(1) with boxes notitle, \\
     $data using 0:2:(sprintf('%.2f', $2)) with labels offset 0,0.7 notitle
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    results, output = sys.argv[1:3]
    rows, round_trip = rows_of(load(results))
    document = {
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(),
                    "cpu": platform.machine()},
        "fabric_round_trip_p50_us": round_trip,
        "figures": rows,
    }
    with open(os.path.join(output, "results.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    print_table(rows, round_trip)
    draw_chart(rows, os.path.join(output, "results.png"))


if __name__ == "__main__":
    main()
