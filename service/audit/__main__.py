"""python -m service.audit verify | export | retention"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from service.audit import export, tables
from service.audit.engine import make_engine
from service.audit.entry import Link
from service.audit.retention import retain
from service.audit.schema import bring_up_to_date
from service.audit.verify import sealed_rows, verify
from service.settings import Settings, load

_LEAST_AUDIT_DAYS: Final = 183


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service.audit", description=__doc__)
    parser.add_argument("--url", help="audit store; default: AUDIT_URL")
    verbs = parser.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("verify", help="check the hash chain; exit 1 when it is broken")
    check.add_argument("--expect", metavar="SEQ:HASH", help="a head printed earlier, which must still be in the chain")
    out = verbs.add_parser("export", help="write every row to standard output")
    out.add_argument("--as", dest="format", choices=sorted(export.FORMATS), default="csv")
    keep = verbs.add_parser("retention", help="remove what is older; the chain goes on verifying")
    keep.add_argument("--audit-days", type=float, help=f"keep audit rows so long (at least {_LEAST_AUDIT_DAYS})")
    keep.add_argument("--answer-days", type=float, help="keep stored answers so long")
    return parser.parse_args(words)


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    engine = make_engine(arguments.url or settings.audit_url.get_secret_value(), settings.store_timeout_s)
    key = settings.audit_key_file.read_bytes().strip() if settings.audit_key_file else None
    try:
        await bring_up_to_date(engine)
        if arguments.verb == "verify":
            verdict = await verify(engine, key, _link(arguments.expect))
            print(f"{verdict.rows} rows, head {verdict.head}: {verdict.problem or 'the chain holds'}")
            return 1 if verdict.problem else 0
        if arguments.verb == "retention":
            days = {"audit_days": arguments.audit_days, "answer_days": arguments.answer_days}
            removed = await retain(engine, key, **days, key_days=settings.idempotency_hours / 24)
            print(f"removed {removed.rows} audit rows, {removed.answers} answers, {removed.keys} idempotency keys")
            return 0
        line = export.FORMATS[arguments.format]
        if arguments.format == "csv":
            sys.stdout.write(",".join(column.name for column in tables.audit.columns) + "\n")
        async with engine.connect() as connection:
            async for sealed in sealed_rows(connection):
                sys.stdout.write(line(sealed))
        return 0
    finally:
        await engine.dispose()


def _link(text: str | None) -> Link | None:
    if text is None:
        return None
    seq, _, digest = text.partition(":")
    return Link(int(seq), digest)


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(words)
    if arguments.verb == "retention" and (arguments.audit_days or _LEAST_AUDIT_DAYS) < _LEAST_AUDIT_DAYS:
        sys.exit(f"--audit-days must be at least {_LEAST_AUDIT_DAYS}: six months is the least that the law asks for")
    return asyncio.run(_run(arguments, load()))


if __name__ == "__main__":
    sys.exit(main())
