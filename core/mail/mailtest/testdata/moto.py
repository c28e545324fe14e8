# A moto server. It ends when its standard input does.
import os, sys, threading


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
from moto.server import main

main(["-H", "127.0.0.1", "-p", "0"])
