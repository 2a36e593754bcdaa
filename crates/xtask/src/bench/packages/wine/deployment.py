"""Predicts the kind of a wine from one row of measurements or from many at once, with a model trained beforehand."""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import joblib


class Deployment:
    def __init__(self, base_directory, context):
        self.model = joblib.load(os.path.join(base_directory, "wine.joblib"))

    def request(self, data):
        return self.requests([data])[0]

    def requests(self, data):
        labels = self.model.predict([item["row"] for item in data])
        return [{"label": int(label)} for label in labels]
