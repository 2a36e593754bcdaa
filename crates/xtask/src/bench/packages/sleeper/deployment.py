"""Holds its process for as long as it is let."""
import time


class Deployment:
    def request(self, data):
        while True:
            time.sleep(1)
