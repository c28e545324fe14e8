import unittest

import edge_testing
import main


class Handle(unittest.TestCase):
    def test_an_event_is_counted_once(self):
        edge = edge_testing.Edge()
        event = edge_testing.load("testdata/event.json")
        for _ in range(2):  # as when edge did not hear the first answer
            self.assertEqual(main.handle(edge.context(), event).kind, "OK")
        self.assertEqual(edge.context().kv.get("count/push"), b"1")

    def test_what_is_no_json_is_refused(self):
        event = edge_testing.load("testdata/event.json")
        event.body = b"{"
        with self.assertRaises(main.edge.Invalid):
            main.handle(edge_testing.Edge().context(), event)


if __name__ == "__main__":
    unittest.main()
