"""A function for tests: it does what its event says."""
import os
import time


class Full(Exception):
    pass


def handler(event, context):
    do = event.get("do")
    if do == "fail":
        raise Full(event["text"])
    if do == "exit":
        os._exit(event["n"])
    if do == "sleep":
        time.sleep(event["n"] / 1000)
    if do == "print":
        print("printed", event["text"])
    if do == "context":
        return {"id": context.aws_request_id, "name": context.function_name, "arn": context.invoked_function_arn}
    if do == "set":
        return {1, 2}
    return {"text": event.get("text"), "pid": os.getpid()}
