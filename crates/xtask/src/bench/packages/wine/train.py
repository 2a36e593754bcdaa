"""train.py FILE: fits a scaler and a classifier to the wine data that comes with scikit-learn and stores them in FILE."""
import sys

import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rows, labels = load_wine(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
model.fit(rows, labels)
joblib.dump(model, sys.argv[1])
