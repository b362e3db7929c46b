"""pysignalr against a server that has the interop hub of ../HUB.md.

python run.py --url URL [--peer NAME] [--report FILE] [--only PART-OF-NAME] [--protocols json,messagepack] [--no-skips]
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path

from harness import Run
from scenarios import ALL

LIMIT = 30
PEERS = json.loads(Path(__file__).parent.parent.joinpath("peers.json").read_text(encoding="utf-8"))


def cannot(peer, protocol, needs):
    """Why a scenario with these needs cannot run. A need that begins with a protocol's name counts only there."""
    for need in needs:
        if need.startswith("messagepack-") and protocol != "messagepack":
            continue
        for lacks in (PEERS["servers"][peer], PEERS["clients"]["python"]["lacks"]):
            if need in lacks:
                return lacks[need]
    return None


async def tried(url, protocol, run):
    t = Run(url, protocol)
    try:
        await asyncio.wait_for(run(t), LIMIT)
        return None
    except asyncio.TimeoutError:
        return "timed out"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await t.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--peer", default="hubwire", choices=PEERS["servers"])
    parser.add_argument("--report")
    parser.add_argument("--only", default="")
    parser.add_argument("--transports", default="WebSockets", choices=["WebSockets"])
    parser.add_argument("--protocols", default="json,messagepack")
    parser.add_argument("--no-skips", action="store_true")
    options = parser.parse_args()
    # The client logs every error that a scenario provokes.
    logging.disable(logging.CRITICAL)
    # And leaves tasks with exceptions that a scenario has seen another way.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    results = []
    for protocol in options.protocols.split(","):
        for name, needs, protocols, run in ALL:
            if options.only not in name or protocol not in protocols:
                continue
            reason = cannot(options.peer, protocol, needs)
            if reason is not None and (run is None or not options.no_skips):
                outcome, took = "skip", 0
            else:
                started = time.monotonic()
                reason = await tried(options.url, protocol, run)
                outcome, took = "pass" if reason is None else "fail", round((time.monotonic() - started) * 1000)
            print(f"{outcome}  {protocol:11}  {name}{'  ' + reason if reason else ''}", flush=True)
            result = {"protocol": protocol, "transport": options.transports, "scenario": name}
            result |= {"outcome": outcome, "milliseconds": took} | ({"reason": reason} if reason else {})
            results.append(result)

    if options.report:
        client = f"pysignalr {version('pysignalr')} (Python)"
        report = {"client": client, "peer": options.peer, "results": results}
        Path(options.report).write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
    return 1 if not results or any(result["outcome"] == "fail" for result in results) else 0


sys.exit(asyncio.run(main()))
