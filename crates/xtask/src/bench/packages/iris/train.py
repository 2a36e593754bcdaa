"""train.py FILE: fits a classifier to the iris data that comes with scikit-learn and stores it in FILE."""
import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, labels = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000)
model.fit(rows, labels)
joblib.dump(model, sys.argv[1])
