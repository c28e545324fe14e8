# A mail server that prints what happens, one JSON object a line: first its port, then each message. It ends when its standard input does.
import asyncio, base64, json, os, ssl, sys, threading
from aiosmtpd.smtp import SMTP, AuthResult

wanted = json.loads(sys.argv[1])  # tls: off, starttls or implicit; cert, key: PEM files; user, password; utf8; plain: whether PLAIN is offered


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        tell(
            sender=envelope.mail_from, recipients=envelope.rcpt_tos, data=base64.b64encode(envelope.original_content).decode(),
            options=envelope.mail_options, hello=session.host_name, user=session.auth_data, secure=session.ssl is not None or wanted["tls"] == "implicit",
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    name, password = data.login.decode(), data.password.decode()
    good = (name, password) == (wanted["user"], wanted["password"])
    return AuthResult(success=good, handled=good or False, auth_data=name)


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


async def main():
    tls = None
    if wanted["tls"] != "off":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(wanted["cert"], wanted["key"])
    starttls = wanted["tls"] == "starttls"

    def factory():
        return SMTP(
            Handler(), hostname="mail.test", enable_SMTPUTF8=wanted["utf8"], tls_context=tls if starttls else None, require_starttls=starttls,
            auth_required=bool(wanted["user"]), auth_require_tls=starttls, authenticator=authenticate,
            auth_exclude_mechanism=[] if wanted["plain"] else ["PLAIN"], loop=asyncio.get_running_loop(), data_size_limit=8 << 20,
        )

    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=None if starttls else tls)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


threading.Thread(target=watch, daemon=True).start()
asyncio.run(main())
