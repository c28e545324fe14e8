# A moto server that says on its standard output where it listens. It ends when its standard input does.
import os, sys, threading

os.dup2(1, 2)  # where its log goes, which says it
os.environ["MOTO_PORT"] = "0"


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
from moto.server import main

main(["-H", "127.0.0.1", "-p", "0"])
