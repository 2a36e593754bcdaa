"""Predicts the kind of an iris from one row of measurements, with a model trained beforehand."""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import joblib


class Deployment:
    def __init__(self, base_directory, context):
        self.model = joblib.load(os.path.join(base_directory, "iris.joblib"))

    def request(self, data):
        return {"label": int(self.model.predict([data["row"]])[0])}
