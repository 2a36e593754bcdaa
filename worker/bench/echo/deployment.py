"""The smallest deployment: twice the number it is given."""


class Deployment:
    def request(self, data):
        return {"y": data["x"] * 2}
