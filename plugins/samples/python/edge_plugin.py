"""Makes a plugin of edge out of a function. edge starts the program, gives it verified webhooks and jobs that are due, and tries again what did not work.

    import edge_plugin as edge

    def handle(ctx, delivery):
        ctx.log.info("received %s", delivery.type)
        return edge.ok()

    if __name__ == "__main__":
        edge.serve(webhook=handle)

A delivery comes at least once, so what must not happen twice goes into ctx.once. Handlers run at the same time, in threads. An exception is a failed attempt,
which is tried again; Invalid is never tried again. Import this module first: from then on it is safe to print.
"""

import base64
import dataclasses
import datetime
import json
import logging
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc
from google.protobuf.duration_pb2 import Duration

import plugin_pb2 as pb

COOKIE = ("EDGE_PLUGIN", "edge.plugin.v1")
MAX_MESSAGE = 16 << 20  # bytes: a delivery has 10 MiB and its head
WORKERS = 1024  # deliveries at once, with room for the calls by which edge sees that the plugin lives
BEYOND = 5  # seconds that a claim lasts longer than the attempt's time, to say that it is done


class Error(Exception):
    """What edge answered: it may work later."""


class Conflict(Error):
    """The value has another version: get it again."""


class Busy(Error):
    """Somebody else is at it, or was when it crashed."""


class NotFound(Error):
    """There is no such entry."""


class Denied(Error):
    """The plugin's configuration does not allow it: see may."""


class Invalid(Error):
    """It never can work: too large, no address, no JSON."""


KINDS = {
    grpc.StatusCode.ABORTED: Conflict, grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNAUTHENTICATED: Denied, grpc.StatusCode.INVALID_ARGUMENT: Invalid,
}
REFUSALS = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 412: Conflict, 429: Error}  # what the content API's statuses are; others: Invalid, from 500 on Error


@dataclasses.dataclass
class Result:
    """What came of an attempt. Made with ok, skip, retry, fail and reply."""
    kind: str
    reason: str = ""
    after: float | None = None
    answer: tuple | None = None


def ok():
    """It is done."""
    return Result("OK")


def skip(reason):
    """There is nothing to do about it: done."""
    return Result("SKIP", reason)


def retry(reason, after=None):
    """It may work later: not before that many seconds, or as the source's schedule says."""
    return Result("RETRY", reason, after)


def fail(reason):
    """It never will work: a person has to look at it."""
    return Result("FAIL", reason)


def reply(status=200, header=(), body=b""):
    """It is done, and this is what a source is told that waits (sync). header is a list of names and values."""
    return Result("OK", answer=(status, list(header), body))


@dataclasses.dataclass
class Delivery:
    """One webhook that edge received, verified and kept."""
    id: str  # edge's own: the same in each attempt and redelivery
    source: str
    event_id: str  # what the source calls it
    type: str
    received: datetime.datetime
    method: str
    path: str
    header: list  # of names and values, as they came
    body: bytes
    attempt: int = 1
    sync: bool = False

    def field(self, name):
        """The first value of a field of the head, or ""."""
        return next((value for n, value in self.header if n.lower() == name.lower()), "")

    def json(self):
        """The body, which has to be JSON."""
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise Invalid(f"the body of {self.id} is no JSON: {e}") from None


@dataclasses.dataclass
class Run:
    """One execution of a job."""
    id: str  # the same in each attempt for one due time
    job: str
    due: datetime.datetime
    attempt: int = 1


class Context:
    """What a handler is given besides the delivery."""

    def __init__(self, host, secrets, log, remaining):
        self.log = log  # its lines reach edge's log with the delivery's id
        self.kv = KV(self)
        self.remaining = remaining  # a function: seconds until edge no longer waits
        self._host = host
        self._secrets = secrets

    def secret(self, name):
        """The secret of edge's configuration by that name, or ""."""
        return self._secrets.get(name, "")

    def mail(self, to, subject, text, html="", reply_to="", id=""):
        """Sends mail by edge's configuration, which has to allow it. id tells it apart: what is sent twice is then seen as one."""
        self.call("SendMail", pb.Mail(to=[to] if isinstance(to, str) else to, subject=subject, text=text, html=html, reply_to=reply_to, id=id))

    def api(self, method, path, body=None, if_match=""):
        """Asks the content API, whose entries edge's configuration has to let it read or write, and returns what it answers: api("GET", "/goals?sort=due")["data"]."""
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.call("AskContent", pb.ApiRequest(method=method, path=path, body=sent, if_match=if_match))
        said = json.loads(answer.body) if answer.body else None
        if 200 <= answer.status < 300:
            return said
        error = said.get("error", {}) if isinstance(said, dict) else {}
        raise REFUSALS.get(answer.status, Invalid if answer.status < 500 else Error)(f"{method} {path}: {error.get('message', 'no reason')} ({answer.status})")

    def once(self, key, fn):
        """Calls fn, unless it was done before under this key, which is remembered for 30 days. Raises Busy when somebody else is at it."""
        claim = max(self.remaining(), 0) + BEYOND
        begun = self.call("Begin", pb.BeginRequest(key=key, claim=seconds(claim)))
        if begun.state == pb.BeginResponse.DONE:
            return
        if begun.state != pb.BeginResponse.BEGUN:
            raise Busy(f"{key} is being done elsewhere")
        done = False
        try:
            fn()
            done = True
        finally:
            try:
                self.call("Finish", pb.FinishRequest(key=key, turn=begun.turn, done=done), BEYOND)
            except Error as e:  # what was done is done: an exception would only have it done again
                self.log.warning("what was done could not be noted, it may be done again: %s", e)

    def call(self, name, request, within=None):
        try:
            return self._host(name, request, max(self.remaining(), 0) if within is None else within)
        except grpc.RpcError as e:
            raise KINDS.get(e.code(), Error)(e.details()) from None


class KV:
    """A plugin's own small durable store, which all its processes share. Keys have 1 to 256 bytes, values 64 KiB at most."""

    def __init__(self, ctx):
        self._ctx = ctx

    def get(self, key):
        """What was put under key, or None."""
        return self.entry(key)[0]

    def entry(self, key):
        """What was put under key and its version; None and 0 when there is nothing."""
        got = self._ctx.call("Get", pb.GetRequest(key=key))
        return (got.value, got.version) if got.found else (None, 0)

    def put(self, key, value, version=None, keep=None):
        """Puts bytes under key; with a version only when what is there has it still (0: nothing), else it raises Conflict. Kept for that many seconds, or always."""
        request = pb.PutRequest(key=key, value=value, if_version=version, keep=None if keep is None else seconds(keep))
        return self._ctx.call("Put", request).version

    def update(self, key, change, keep=None):
        """Puts what change makes of the bytes under key, None at first. Nothing that others put at the same time is lost: change is called again then."""
        while True:
            value, version = self.entry(key)
            try:
                return self.put(key, change(value), version, keep)
            except Conflict:
                if self._ctx.remaining() <= 0:
                    raise
                time.sleep(random.random() / 50)  # those who collided are to part

    def delete(self, key):
        """Removes what is under key, if there is anything."""
        self._ctx.call("Delete", pb.DeleteRequest(key=key))


def seconds(n):
    return Duration(seconds=int(n), nanos=int(n % 1 * 1e9))


class Lines(logging.Formatter):
    """Writes a line of the log as edge reads it: JSON in go-hclog's form, of less than the 16 KiB that edge keeps of a line."""

    LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (0, "debug"))

    def format(self, record):
        text = record.getMessage()[:2000]
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)[-4000:]
        at = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        return json.dumps({
            "@level": next(name for least, name in self.LEVELS if record.levelno >= least), "@message": text,
            "@timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), **getattr(record, "about", {}),
        }, ensure_ascii=False)


class Server:
    """Answers edge."""

    def __init__(self, webhook, jobs):
        self.webhook, self.jobs = webhook, jobs
        self.host = self.secrets = None
        self.quiet = threading.Condition()  # of the next two
        self.inside, self.closed = 0, False

    def start(self, r, _):
        channel = grpc.insecure_channel(r.host)
        token = [("authorization", "Bearer " + r.token)]
        answers = {"Get": pb.GetResponse, "Put": pb.PutResponse, "Delete": pb.DeleteResponse, "Begin": pb.BeginResponse, "Finish": pb.FinishResponse, "SendMail": pb.SendMailResponse}
        calls = {name: channel.unary_unary(f"/edge.plugin.v1.Host/{name}", lambda m: m.SerializeToString(), answer.FromString) for name, answer in answers.items()}
        self.host = lambda name, request, within: calls[name](request, timeout=within, metadata=token)
        self.secrets = dict(r.secrets)
        return pb.StartResponse(sdk="python " + sys.version.split()[0], webhooks=self.webhook is not None, jobs=sorted(self.jobs))

    def handle_webhook(self, r, call):
        if self.webhook is None:
            call.abort(grpc.StatusCode.UNIMPLEMENTED, "this plugin handles no webhooks: its program gives serve no webhook")
        header = [(f.name, f.value) for f in r.header]
        d = Delivery(r.id, r.source, r.event_id, r.type, when(r.received), r.method, r.path, header, r.body, r.attempt, r.sync)
        return self.do(self.webhook, d, {"delivery": r.id, "source": r.source, "attempt": r.attempt}, call)

    def run_job(self, r, call):
        if r.job not in self.jobs:
            call.abort(grpc.StatusCode.NOT_FOUND, f"this plugin has no job {r.job}")
        return self.do(self.jobs[r.job], Run(r.id, r.job, when(r.due), r.attempt), {"run": r.id, "job": r.job, "attempt": r.attempt}, call)

    def do(self, function, what, about, call):
        """Calls the author's function. Whatever it does, edge gets an outcome."""
        with self.quiet:
            if self.closed or self.host is None:
                call.abort(grpc.StatusCode.UNAVAILABLE, "the plugin is about to end, or was not started")
            self.inside += 1
        log = logging.LoggerAdapter(logging.getLogger("plugin"), {"about": about})
        try:
            return outcome(function(Context(self.host, self.secrets, log, remaining_of(call)), what))
        except Invalid as e:
            return outcome(fail(str(e)))
        except Exception as e:  # noqa: BLE001: of the author's code
            log.exception("the handler raised an exception")
            return outcome(retry(f"{type(e).__name__}: {e}"))
        finally:
            with self.quiet:
                self.inside -= 1
                self.quiet.notify_all()

    def shutdown(self, _, call):
        """Takes no more calls, and lets those under way come to their end."""
        with self.quiet:
            self.closed = True
            self.quiet.wait_for(lambda: self.inside == 0, left(call))
            self.quiet.notify_all()
        return b""


def left(call):
    """How many seconds a call has. Without a deadline gRPC says none, or centuries, which no lock can wait for; there is an hour then."""
    given = call.time_remaining()
    return 3600 if given is None else min(given, 3600)


def remaining_of(call):
    """A function that says how many seconds a call has left."""
    end = time.monotonic() + left(call)
    return lambda: end - time.monotonic()


def when(timestamp):
    return timestamp.ToDatetime(datetime.timezone.utc)


def outcome(result):
    if not isinstance(result, Result):
        result = retry("the handler returned no result: return ok(), skip, retry or fail")
    out = pb.Outcome(kind=result.kind, reason=result.reason[:1000])
    if result.after is not None:
        out.after.CopyFrom(seconds(result.after))
    if result.answer is not None:
        status, header, body = result.answer
        out.answer.CopyFrom(pb.Answer(status=status, header=[pb.Field(name=n, value=v) for n, v in header], body=body))
    return out


def certificate():
    """A key and a certificate of this process's own, of the curve P-256, as edge's is."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - datetime.timedelta(hours=1), now + datetime.timedelta(days=10950))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).add_extension(x509.BasicConstraints(True, None), True)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), made.sign(key, hashes.SHA256())


def serve(webhook=None, jobs=None):
    """Serves a function for webhooks, and functions for jobs by name, until edge ends the program."""
    if stdout is None:
        sys.exit("This is a plugin of edge, which starts it: name it in edge.yaml, plugins, and try it with: edge plugins test NAME EVENT.json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False
    server, own = Server(webhook, jobs or {}), lambda m: m.SerializeToString()
    method = grpc.unary_unary_rpc_method_handler
    served = grpc.server(futures.ThreadPoolExecutor(WORKERS), options=[("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)])
    served.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("edge.plugin.v1.Plugin", {
            "Start": method(server.start, pb.StartRequest.FromString, own),
            "HandleWebhook": method(server.handle_webhook, pb.Delivery.FromString, own),
            "RunJob": method(server.run_job, pb.Run.FromString, own),
        }),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method(lambda _, __: b"\x08\x01")}),  # status: SERVING
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": method(server.shutdown)}),
    ))
    from cryptography.hazmat.primitives import serialization
    key, cert = certificate()
    path = os.path.join(os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir(), "plugin-" + secrets.token_hex(8))
    served.add_secure_port("unix:" + path, grpc.ssl_server_credentials(
        [(key, cert.public_bytes(serialization.Encoding.PEM))], os.environ["PLUGIN_CLIENT_CERT"].encode(), require_client_auth=True))
    served.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    der = base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    os.write(stdout, f"1|1|unix|{path}|grpc|{der}\n".encode())
    with server.quiet:
        server.quiet.wait_for(lambda: server.closed and server.inside == 0)
    served.stop(BEYOND).wait()


def take_stdout():
    """Has standard output lead to edge's log, for C code and programs that are started, too; edge reads the first line of the real one. None: edge did not start it."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        return None
    real = os.dup(1)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)
    return real


stdout = take_stdout()
