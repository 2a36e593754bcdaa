//! Names of packages and Pythons in sentences.

/// Packages that many use, so that a slip of the pen is recognized.
const COMMON: &[&str] = &[
    "aiohttp",
    "altair",
    "anthropic",
    "arrow",
    "attrs",
    "azure-storage-blob",
    "beautifulsoup4",
    "black",
    "bokeh",
    "boto3",
    "botocore",
    "bottle",
    "cachetools",
    "catboost",
    "celery",
    "certifi",
    "cffi",
    "click",
    "cloudpickle",
    "cryptography",
    "cython",
    "dask",
    "databricks-sdk",
    "datasets",
    "diffusers",
    "django",
    "docker",
    "duckdb",
    "einops",
    "fastapi",
    "fastparquet",
    "flask",
    "fsspec",
    "geopandas",
    "gensim",
    "gitpython",
    "google-cloud-storage",
    "gradio",
    "gunicorn",
    "h5py",
    "httpx",
    "huggingface-hub",
    "imageio",
    "ipython",
    "jax",
    "jinja2",
    "joblib",
    "jsonschema",
    "jupyter",
    "kafka-python",
    "keras",
    "langchain",
    "lightgbm",
    "llama-index",
    "loguru",
    "lxml",
    "markdown",
    "matplotlib",
    "mlflow",
    "mysqlclient",
    "networkx",
    "nltk",
    "numba",
    "numpy",
    "onnx",
    "onnxruntime",
    "openai",
    "opencv-python",
    "opencv-python-headless",
    "openpyxl",
    "optuna",
    "orjson",
    "packaging",
    "paho-mqtt",
    "pandas",
    "paramiko",
    "patsy",
    "peft",
    "pillow",
    "pip",
    "plotly",
    "polars",
    "prophet",
    "protobuf",
    "psutil",
    "psycopg2",
    "psycopg2-binary",
    "pyarrow",
    "pycryptodome",
    "pydantic",
    "pyjwt",
    "pymongo",
    "pymysql",
    "pyodbc",
    "pypdf",
    "pyspark",
    "pytest",
    "python-dateutil",
    "python-dotenv",
    "python-multipart",
    "pytorch-lightning",
    "pytz",
    "pyyaml",
    "ray",
    "redis",
    "regex",
    "requests",
    "rich",
    "ruff",
    "s3fs",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "seaborn",
    "sentence-transformers",
    "sentencepiece",
    "setuptools",
    "shap",
    "simplejson",
    "six",
    "snowflake-connector-python",
    "spacy",
    "sqlalchemy",
    "starlette",
    "statsmodels",
    "streamlit",
    "sympy",
    "tabulate",
    "tensorboard",
    "tensorflow",
    "tenacity",
    "threadpoolctl",
    "tiktoken",
    "timm",
    "tokenizers",
    "torch",
    "torchaudio",
    "torchvision",
    "tornado",
    "tqdm",
    "transformers",
    "typer",
    "typing-extensions",
    "tzdata",
    "ubiops",
    "ultralytics",
    "urllib3",
    "uvicorn",
    "vllm",
    "wandb",
    "websockets",
    "werkzeug",
    "wheel",
    "xarray",
    "xgboost",
    "xlrd",
    "xlsxwriter",
    "zstandard",
];
/// Modules that come from a package of another name.
const MODULES: [(&str, &str); 16] = [
    ("attr", "attrs"),
    ("bs4", "beautifulsoup4"),
    ("crypto", "pycryptodome"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("dotenv", "python-dotenv"),
    ("git", "gitpython"),
    ("jwt", "pyjwt"),
    ("opencv", "opencv-python"),
    ("pil", "pillow"),
    ("psycopg", "psycopg2-binary"),
    ("pytorch", "torch"),
    ("skimage", "scikit-image"),
    ("sklearn", "scikit-learn"),
    ("tf", "tensorflow"),
    ("yaml", "pyyaml"),
];

/// The common package that is probably meant.
pub(super) fn near(name: &str) -> Option<&'static str> {
    let name = crate::environments::requirements::normal(name);
    if let Some((_, package)) = MODULES.iter().find(|(module, _)| *module == name) {
        return Some(package);
    }
    let slips = if name.len() < 4 {
        0
    } else if name.len() < 9 {
        1
    } else {
        2
    };
    let near = COMMON.iter().map(|common| (strsim::osa_distance(&name, common), *common));
    near.filter(|(distance, _)| *distance <= slips).min().map(|(_, common)| common)
}

/// Whether a Python of this minor version meets `>=3.8,<3.12`. What is not understood does not count.
pub(super) fn fits(minor: &str, needs: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let Some(python) = numbers(minor) else { return false };
    needs.split([',', ' ']).filter(|part| !part.is_empty()).all(|part| {
        let version = part.trim_start_matches(['<', '>', '=', '!', '~']);
        let operator = &part[..part.len() - version.len()];
        let wild = version.ends_with(".*");
        let Some(version) = numbers(version.trim_end_matches(".*")) else { return true };
        let short = &version[..version.len().min(2)];
        let order = python.as_slice().cmp(short);
        match operator {
            ">=" => order.is_ge(),
            ">" => order.is_gt() || (order.is_eq() && version.len() > 2),
            "<=" => order.is_le(),
            "<" => order.is_lt() || (order.is_eq() && version.get(2).is_some_and(|patch| *patch > 0)),
            "==" => order.is_eq(),
            "!=" => order.is_ne() || (!wild && version.len() > 2),
            "~=" => order.is_ge() && python.first() == version.first(),
            _ => true,
        }
    })
}

/// What stands between backticks in a text.
pub(super) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The Python that a tag like `cp310` stands for.
pub(super) fn python_of(tag: &str) -> Option<(u32, u32)> {
    let digits: &str = tag.strip_prefix("cp")?.trim_end_matches(['m', 'u', 't', 'd']);
    if digits.len() < 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (major, minor) = digits.split_at(1);
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Which Pythons a package has wheels for, those on offer first, and what to do with that.
pub(super) fn wheels_for(minors: &[String], offered: &[String]) -> String {
    let (here, elsewhere): (Vec<&str>, Vec<&str>) =
        minors.iter().map(String::as_str).partition(|minor| offered.iter().any(|it| it == minor));
    match (here.as_slice(), elsewhere.as_slice()) {
        ([], elsewhere) => {
            format!(
                "it has wheels for Python {}, which this server does not offer; take another version of it",
                either(elsewhere)
            )
        }
        (here, []) => format!("it has wheels for Python {}; take such a base environment", either(here)),
        (here, elsewhere) => format!(
            "it has wheels for Python {}, which this server offers, and for {}; take such a base environment",
            either(here),
            either(elsewhere)
        ),
    }
}

/// `a, b or c`
pub(in crate::environments) fn either(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
