"""Gives a large body back: what it costs to carry it."""


class Deployment:
    def request(self, data):
        return {"data": data["data"]}
