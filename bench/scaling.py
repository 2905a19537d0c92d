"""What a region and an archive need, computed from the results of the other measurements; measures nothing itself."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

from bench import _document

PAGE: Final = _document.ROOT / "docs" / "scaling.md"
TEXT: Final = Path(__file__).with_name("scaling.md")
AUTOSCALER: Final = _document.ROOT / "docker" / "k8s" / "autoscaler.yaml"
SAMPLES: Final = {"WFDB": "wfdb.zip", "MUSE XML": "muse_xml.xml"}
YEAR_S: Final = 365.25 * 86_400
REGION_A_YEAR: Final = 10_000_000
PEAK: Final = 6.0
ARCHIVES: Final = (1_000_000, 100_000_000)
CORES: Final = (2, 16, 64, 256)
BUSY_CLIENTS: Final = 64


def write() -> None:
    found = _document.known()
    if {"service", "score", "archive"} <= set(found):
        PAGE.write_text(page(found))


def page(found: dict[str, Any]) -> str:
    service = found["service"]
    facts = _region(service) | _servers(service) | _archive(found["score"], found["archive"]["sizes"])
    return TEXT.read_text().format_map(facts)


def _region(service: dict[str, Any]) -> dict[str, str]:
    """Answers one by one: CPU a request times the requests of the busiest quarter of an hour."""
    mean, audit = REGION_A_YEAR / YEAR_S, service["audit"]
    kept = audit["bytes_a_row"] * REGION_A_YEAR
    return {
        "machine": service["machine"],
        "made": service["made"],
        "region": f"{REGION_A_YEAR:,}",
        "mean_per_second": f"{mean:.2f}",
        "peak": f"{PEAK:g}",
        "peak_per_second": f"{mean * PEAK:.1f}",
        "target": f"{_target_share():.0%}",
        "region_table": _region_table(service, mean * PEAK),
        "row_bytes": f"{audit['bytes_a_row']:,.0f}",
        "answer_bytes": f"{audit['answer_bytes']:,}",
        "year_bytes": _bytes(kept),
        "ten_years_bytes": _bytes(10 * kept),
        "row_ms": f"{audit['alone_ms']:.2f}",
        "shared_row_ms": f"{audit['of_sixteen_ms']:.2f}",
        "row_rate": f"{1000 / audit['alone_ms']:,.0f}",
        "row_margin": f"{1000 / audit['alone_ms'] / (mean * PEAK):,.0f}",
    }


def _region_table(service: dict[str, Any], peak: float) -> str:
    lines = [
        "| file | CPU ms a request | requests/s a core | cores at the peak | pods | recordings a year, if kept |",
        "|---|---|---|---|---|---|",
    ]
    for kind, sample in SAMPLES.items():
        cpu_ms = _busy(service, kind)["cpu_ms"]
        of_core = _target_share() * 1000 / cpu_ms
        pods = max(_pods()[0], math.ceil(peak / of_core))
        cells = (kind, f"{cpu_ms:.2f}", f"{of_core:.0f}", f"{peak / of_core:.3f}", f"{pods}")
        lines.append(f"| {' | '.join(cells)} | {_bytes(REGION_A_YEAR * _size_of(sample))} |")
    return "\n".join(lines)


def _servers(service: dict[str, Any]) -> dict[str, str]:
    least, most = _pods()
    dearest = max(_busy(service, kind)["cpu_ms"] for kind in SAMPLES)
    ceiling = most * _target_share() * 1000 / dearest
    ray = [each for each in service["lines"] if each["candidate"] == "ray serve"]
    of_ray = next((each["cpu_ms"] for each in ray if (each["kind"], each["clients"]) == ("WFDB", BUSY_CLIENTS)), None)
    return {
        "least_pods": f"{least}",
        "most_pods": f"{most}",
        "most_per_second": f"{ceiling:,.0f}",
        "most_a_year": f"{ceiling / PEAK * YEAR_S / 1e6:,.0f}",
        "workers": f"{service['workers']}",
        "memory": f"{_busy(service, 'WFDB')['memory_mib']:.0f}",
        "ray_cpu": "an unmeasured number of" if of_ray is None else f"{of_ray:.1f}",
        "own_cpu": f"{_busy(service, 'WFDB')['cpu_ms']:.1f}",
    }


def _archive(score: dict[str, Any], sizes: list[dict[str, Any]]) -> dict[str, str]:
    """A back-file: CPU a record, divided by cores and by what a second process loses."""
    row_ms, share = score["rate"]["row_ms"], min(1.0, score["scaling"]["ratio"] / 2)
    of_core = share * 1000 / row_ms
    return {
        "record_ms": f"{row_ms:.2f}",
        "second_core": f"{share:.0%}",
        "archive_table": _archive_table(of_core, sizes[-1]["bytes_a_record"]),
        "most_cores": f"{CORES[-1]}",
        "read_rate": _bytes(CORES[-1] * of_core * _size_of(SAMPLES["WFDB"])),
        "score_memory": ", ".join(f"{each['peak_mib']:.0f} MiB over {each['records']:,} records" for each in sizes),
    }


def _archive_table(records_per_core_second: float, bytes_a_record: float) -> str:
    heads = ["records", *(f"{cores} cores" for cores in CORES), "recordings read", "answers in Parquet"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for records in ARCHIVES:
        hours = [f"{records / (cores * records_per_core_second) / 3600:,.1f}" for cores in CORES]
        stored = (_bytes(records * each) for each in (_size_of(SAMPLES["WFDB"]), bytes_a_record))
        lines.append(f"| {' | '.join([f'{records:,}', *hours, *stored])} |")
    return "\n".join(lines)


def _busy(service: dict[str, Any], kind: str) -> dict[str, Any]:
    return _document.line_of(service, kind, BUSY_CLIENTS)


def _target_share() -> float:
    found = re.search(r"averageUtilization: (\d+)", AUTOSCALER.read_text())
    assert found, "the autoscaler has a target"
    return int(found.group(1)) / 100


def _pods() -> tuple[int, int]:
    least, most = re.findall(r"(?:min|max)Replicas: (\d+)", AUTOSCALER.read_text())
    return int(least), int(most)


def _size_of(sample: str) -> int:
    return (_document.ROOT / "service" / "samples" / sample).stat().st_size


def _bytes(count: float) -> str:
    power = min(5, int(math.log10(max(count, 1)) // 3))
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def main() -> None:
    _document.write()
    print(PAGE.read_text() if PAGE.exists() else "needs the results of `python -m bench service score archive`")


if __name__ == "__main__":
    main()
