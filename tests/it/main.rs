//! One test binary, a file per noun.
