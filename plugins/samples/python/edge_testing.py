"""Tries a handler without edge: deliveries from files, and a context whose key-value, once and mail are kept in memory."""

import base64
import datetime
import hashlib
import json
import logging

import edge_plugin as edge
import plugin_pb2 as pb


def load(path, attempt=1):
    """The delivery in a file, as `edge webhooks export` writes it."""
    with open(path, encoding="utf-8") as f:
        e = json.load(f)
    body = base64.b64decode(e["body_base64"]) if "body_base64" in e else e["body"].encode()
    return edge.Delivery(
        "test", e["source"], e.get("event_id") or hashlib.sha256(body).hexdigest(), e.get("type", ""), datetime.datetime.now(datetime.timezone.utc),
        e.get("method", "POST"), e.get("path", "/"), [(f["name"], f["value"]) for f in e.get("header", ())], body, attempt)


class Edge:
    """Stands for edge: what a handler has put, done and mailed is in values, done and mails."""

    def __init__(self, secrets=None, mail=True, api=None):
        """api takes the place of the content API: a function of method, path and body that returns status and answer."""
        self._api, self.values, self.done, self.mails = api, {}, set(), []
        self._secrets, self._may_mail, self._version, self._busy = secrets or {}, mail, 0, set()

    def context(self):
        """What a handler is given."""
        return edge.Context(self._call, self._secrets, logging.getLogger("plugin"), lambda: 30.0)

    def _call(self, name, r, _within):
        return getattr(self, "_" + name.lower())(r)

    def _get(self, r):
        value, version = self.values.get(r.key, (b"", 0))
        return pb.GetResponse(found=version > 0, value=value, version=version)

    def _put(self, r):
        if r.HasField("if_version") and r.if_version != self.values.get(r.key, (b"", 0))[1]:
            raise edge.Conflict(f"{r.key} has another version")
        self._version += 1
        self.values[r.key] = (r.value, self._version)
        return pb.PutResponse(version=self._version)

    def _delete(self, r):
        self.values.pop(r.key, None)

    def _begin(self, r):
        if r.key in self.done:
            return pb.BeginResponse(state=pb.BeginResponse.DONE)
        if r.key in self._busy:
            return pb.BeginResponse(state=pb.BeginResponse.BUSY)
        self._busy.add(r.key)
        return pb.BeginResponse(state=pb.BeginResponse.BEGUN, turn=1)

    def _finish(self, r):
        self._busy.discard(r.key)
        if r.done:
            self.done.add(r.key)

    def _sendmail(self, r):
        if not self._may_mail:
            raise edge.Denied("the plugin may not send mail")
        self.mails.append(r)

    def _askcontent(self, r):
        if self._api is None:
            raise edge.Denied("there is no content API: give Edge one")
        status, answer = self._api(r.method, r.path, json.loads(r.body) if r.body else None)
        return pb.ApiResponse(status=status, body=b"" if answer is None else json.dumps(answer).encode())
