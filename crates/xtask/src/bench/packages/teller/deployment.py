"""Tells as many updates as asked for."""


class Deployment:
    def request(self, data, context):
        tell = context["streaming_update"]
        for number in range(data["count"]):
            tell("update %d" % number)
        return {"count": data["count"]}
