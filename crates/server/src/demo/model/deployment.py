"""Tells iris species apart by the sizes of their leaves."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

FIELDS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class Deployment:
    def __init__(self, base_directory, context):
        iris = load_iris()
        self.species = list(iris.target_names)
        self.model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
        print(f"trained on {len(iris.data)} flowers, accuracy {self.model.score(iris.data, iris.target):.2f}")

    def request(self, data):
        chances = self.model.predict_proba([[data[field] for field in FIELDS]])[0]
        best = chances.argmax()
        return {"species": self.species[best], "probability": round(chances[best], 4)}
