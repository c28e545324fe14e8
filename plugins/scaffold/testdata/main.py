"""Does what its deliveries say."""

import os
import subprocess
import sys

import edge_plugin as edge

print("printed while it starts")


def handle(ctx, delivery):
    do = delivery.json()
    match do["do"]:
        case "count":
            print("printed by the handler")
            subprocess.run(["/bin/echo", "printed by a program that it starts"], check=True)
            ctx.once("count/" + delivery.event_id, lambda: ctx.kv.update("count", lambda n: b"%d" % (int(n or 0) + 1)))
        case "raise":
            raise KeyError("oh")
        case "fail":
            return edge.fail("never")
        case "skip":
            return edge.skip("nothing to do")
        case "retry":
            return edge.retry("later", after=2.5)
        case "reply":
            return edge.reply(201, [("X-A", "b")], b"hello")
        case "nothing":
            return None
        case "tell":
            return edge.reply(body=repr((
                delivery.source, delivery.type, delivery.received.isoformat(), delivery.method, delivery.path, delivery.field("x-a"), delivery.attempt, delivery.sync,
                ctx.secret("S"), 20 < ctx.remaining() <= 30, sorted(n for n in os.environ if n not in ("PWD", "OLDPWD", "LC_CTYPE") and not n.startswith(("PLUGIN_", "EDGE_PLUGIN"))), os.getcwd() == os.path.dirname(os.path.abspath(__file__)),
            )).encode())
        case "mail":
            ctx.mail("ann@example.org", "Hello", "Text", id=delivery.event_id)
        case "refused":
            kv = ctx.kv
            version = kv.put("k", b"1", version=0)
            assert kv.put("k", b"2", version=version, keep=3600) != version
            for refused in (lambda: kv.put("k", b"x", version=0), lambda: kv.put("", b"x"), lambda: kv.put("k", bytes(65537))):
                try:
                    refused()
                except (edge.Conflict, edge.Invalid) as e:
                    print(type(e).__name__, e)
                else:
                    return edge.fail("it was not refused")
            kv.delete("k")
            assert kv.get("k") is None
        case "wait":
            ctx.mail("ann@example.org", "Wait", "Text")  # edge takes its time
        case "once":
            try:
                ctx.once("o", lambda: 1 / 0)
            except ZeroDivisionError:
                ctx.once("o", lambda: None)
                ctx.once("o", lambda: sys.exit("twice"))
    return edge.ok()


if __name__ == "__main__":
    edge.serve(webhook=handle, jobs={"nightly": lambda ctx, run: edge.skip(f"{run.job} {run.id} {run.due.isoformat()} {run.attempt}")})
