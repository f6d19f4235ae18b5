"""The report of an import, for programs."""

import json
from typing import Any

from billing.imports.importing import ImportReport


def as_json(report: ImportReport) -> str:
    """Return the report as JSON."""
    told: dict[str, Any] = {
        "imported": report.is_imported,
        "records": report.counts,
        "faults": [fault._asdict() for fault in report.faults],
        "faultCount": report.fault_count,
        "putOff": list(report.put_off),
        "totals": {
            "clients": report.proof.clients,
            "balanceMinor": report.proof.balance_minor,
            "differing": report.proof.explanations,
        },
    }
    return json.dumps(told, ensure_ascii=False)
